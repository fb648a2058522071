"""One way into all formats that mark vertebral levels in a scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bodycomp.annotation.centroids import read_centroids
from bodycomp.annotation.level_marks import LevelMarks, marks_inside
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.annotation.level_table import read_level_table
from bodycomp.annotation.markups import read_markups
from bodycomp.annotation.vertebrae import read_vertebrae
from bodycomp.errors import SeriesError
from bodycomp.reading.kinds import Kind, kind_of, no_annotation
from bodycomp.scan import Scan

__all__ = ["LevelMarks", "LevelOptions", "read_levels"]


def read_levels(path: Path, scan: Scan, options: LevelOptions | None = None) -> LevelMarks:
    """Read where levels lie, from a table, Slicer markups, or vertebra labels in any mask format.

    Raises:
        InputNotFoundError: Nothing is there.
        SeriesError: Damaged or in no known format; an unknown level, a position that is no number
            or a slice that the scan lacks; levels in the wrong order.
    """
    options = options or LevelOptions()
    kind = kind_of(path)
    notes: tuple[str, ...] = ()
    slice_numbers: dict[str, int] = {}
    if kind is Kind.LEVEL_TABLE:
        z_mm, slice_numbers = read_level_table(path, scan, options)
    elif kind is Kind.MARKUPS:
        z_mm = read_markups(path, scan)
    elif kind is Kind.CENTROIDS:
        z_mm = read_centroids(path, scan, options)
    elif kind in (Kind.UNKNOWN, Kind.DICOM_SERIES):
        expected = "levels as a CSV table, Slicer markups (.mrk.json) or vertebra labels"
        raise no_annotation(path, kind, expected)
    else:
        z_mm, notes = read_vertebrae(path, scan, options)
    try:
        return replace(marks_inside(z_mm, scan.volume, notes), slice_numbers=slice_numbers)
    except SeriesError as error:
        raise SeriesError(f"{path.name}: {error.message}", hint=error.hint) from error
