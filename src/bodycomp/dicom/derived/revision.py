"""Objects of a study that was measured again say so, and which report they replace."""

from __future__ import annotations

from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from bodycomp.dicom.derived.measured import save_object
from bodycomp.dicom.quiet import quiet_pydicom


@quiet_pydicom()
def mark_measured_again(objects: list[Path], earlier: list[Path], times: int) -> None:
    """Write into objects that they are of a later measurement of their study.

    Series descriptions end with which one it is. Reports name those that they replace in
    Predecessor Documents Sequence (PS3.3 C.17.2.3).

    Args:
        objects: Of this measurement; each is written anew.
        earlier: Those of the measurement before, as far as they are there.
        times: Which measurement it is, 2 for the second.
    """
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in earlier]
    reports = [each for each in headers if each.SOPClassUID == Comprehensive3DSRStorage]
    for path in objects:
        dataset = pydicom.dcmread(path)
        dataset.SeriesDescription = f"{dataset.SeriesDescription}, measurement {times}"
        if dataset.SOPClassUID == Comprehensive3DSRStorage and reports:
            dataset.PredecessorDocumentsSequence = [_named(each) for each in reports]
        save_object(dataset, path)


def _named(report: Dataset) -> Dataset:
    """Return an instance as a hierarchical reference (PS3.3 table C.17-3)."""
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID = report.SOPClassUID
    instance.ReferencedSOPInstanceUID = report.SOPInstanceUID
    series.SeriesInstanceUID = report.SeriesInstanceUID
    series.ReferencedSOPSequence = [instance]
    study.StudyInstanceUID = report.StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    return study
