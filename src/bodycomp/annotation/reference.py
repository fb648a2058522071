"""Which scan an annotation says it belongs to."""

from __future__ import annotations

from pathlib import Path

from bodycomp.dicom.reference import SeriesReference, read_reference
from bodycomp.errors import SeriesError
from bodycomp.reading.kinds import Kind, dicom_file, kind_of
from bodycomp.scan import Scan

__all__ = ["SeriesReference", "check_reference", "referenced_series"]


def referenced_series(path: Path) -> SeriesReference | None:
    """Return the series that a SEG or RTSTRUCT names, None for any other annotation."""
    if kind_of(path) not in (Kind.SEG, Kind.RTSTRUCT):
        return None
    return read_reference(dicom_file(path))


def check_reference(reference: SeriesReference, scan: Scan, where: str) -> tuple[str, ...]:
    """Check that an annotation belongs to a scan; return a note where it names another series.

    Series of one frame of reference share the patient's position (PS3.3 C.7.4.1), so that a mask
    drawn on another reconstruction is good where it lies on this one's grid.

    Raises:
        SeriesError: Another frame of reference, or another series and no frame to go by.
    """
    frames = reference.frame_of_reference_uid, scan.frame_of_reference_uid
    if all(frames) and frames[0] != frames[1]:
        raise SeriesError(
            f"{where}: expected the scan's frame of reference, found another one "
            "(FrameOfReferenceUID differs)",
            hint=_which(reference),
        )
    series = reference.series_uid, scan.series_uid
    if not all(series) or series[0] == series[1]:
        return ()
    if not all(frames):
        raise SeriesError(
            f"{where}: expected an annotation of this series, found one of another series",
            hint=_which(reference),
        )
    return ("the annotation names another series of the same frame of reference",)


def _which(reference: SeriesReference) -> str:
    if not reference.series_uid:
        return "Choose the series that it was drawn on."
    return "Choose the series that it was drawn on; the file names its SeriesInstanceUID."
