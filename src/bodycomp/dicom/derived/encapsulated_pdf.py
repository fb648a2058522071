"""A PDF -> Encapsulated PDF (PS3.3 A.45.1), for archives that keep documents beside images."""

from __future__ import annotations

from datetime import datetime

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian, generate_uid

from bodycomp import __version__
from bodycomp.dicom.derived.identity import KeptIdentity, source_header
from bodycomp.dicom.derived.measured import (
    MANUFACTURER,
    MODEL_NAME,
    SERIAL_NUMBER,
    SERIES,
    MeasuredSeries,
)
from bodycomp.dicom.quiet import quiet_pydicom


@quiet_pydicom()
def encapsulated_pdf(measured: MeasuredSeries, content: bytes) -> Dataset:
    """Return a PDF about a series as a document in its study, with its source images.

    Raises:
        SeriesError: The source cannot be referred to.
    """
    made = source_header(measured.slices[0], measured.identity)
    for name in ("FrameOfReferenceUID", "PositionReferenceIndicator"):  # of images alone
        delattr(made, name)
    number, description = SERIES["pdf"]
    now = datetime.now().astimezone()
    made.SOPClassUID = EncapsulatedPDFStorage
    made.SOPInstanceUID = generate_uid()
    made.SeriesInstanceUID = generate_uid()
    made.Modality = "DOC"
    made.SeriesNumber, made.InstanceNumber = number, 1
    made.SeriesDescription = made.DocumentTitle = description
    made.Manufacturer, made.ManufacturerModelName = MANUFACTURER, MODEL_NAME
    made.DeviceSerialNumber, made.SoftwareVersions = SERIAL_NUMBER, f"bodycomp {__version__}"
    made.ConversionType = "WSD"
    made.ContentDate, made.ContentTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    made.AcquisitionDateTime = ""
    is_named = isinstance(measured.identity, KeptIdentity)
    made.BurnedInAnnotation = "YES" if is_named else "NO"
    made.SourceInstanceSequence = [_reference(header) for header in measured.sources]
    made.ConceptNameCodeSequence = []
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocumentLength = len(content)
    made.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def _reference(header: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item
