"""Headers of images that are nowhere on disk, for rules that look at headers alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bodycomp.dicom.file_header import FileHeader
from bodycomp.subject import Acquisition

_BASE = FileHeader(
    path=Path("image"),
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    sop_instance_uid="",
    study_uid="1.1",
    series_uid="1.1.1",
    frame_of_reference_uid="1.1.9",
    patient_id="P",
    patient_sex="",
    patient_age_years=None,
    patient_height_m=None,
    patient_weight_kg=None,
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    modality="CT",
    image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    series_number=1,
    description="",
    acquisition_number=1,
    instance_number=None,
    position_mm=(0.0, 0.0, 0.0),
    orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    pixel_spacing_mm=(1.0, 1.0),
    rows=16,
    columns=16,
    samples_per_pixel=1,
    photometric="MONOCHROME2",
    frames=1,
    frame_number=None,
    bits_stored=16,
    slope_hu=1.0,
    intercept_hu=0.0,
    rescale_type="HU",
    is_lossy=False,
    units="",
    study_date="",
    region="",
    phase_marks=(None, None),
    acquisition=Acquisition(),
)


def image_header(z_mm: float = 0.0, **attributes: object) -> FileHeader:
    """An axial slice at a height; ``attributes`` as in ``FileHeader``."""
    return replace(_BASE, position_mm=(0.0, 0.0, z_mm), **attributes)
