"""A mask that somebody has, measured on its scan without any model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bodycomp.interface.keywords import PathLike, options_from, takes
from bodycomp.interface.models import MeasuredScan
from bodycomp.reading.read_scan import read_scan
from bodycomp.review.measure_options import MeasureOptions
from bodycomp.scan import Scan


@takes(MeasureOptions)
def measure(
    scan: Scan | PathLike, mask: PathLike, *, out: PathLike | None = None, **options: Any
) -> MeasuredScan:
    """Measure a mask at the levels that are named, as ``bodycomp measure``.

    Args:
        scan: What the mask was annotated on: a scan, or whatever ``read_scan`` reads.
        mask: NIfTI, NRRD, DICOM SEG or RTSTRUCT, a folder of PNG images or of one file per tissue.
        out: Folder to make, with table, JSON, label map, pictures and DICOM objects; none if None.
        options: Those of the command: what ``labels`` mean, such as ``{1: "muscle"}``; the
            ``level``, and where it lies: ``slice_index``, ``z_mm`` or ``levels``, a file.

    Raises:
        InputNotFoundError, ReviewError, SeriesError, UsageError, OutputError: As the command.
    """
    parsed = options_from(measure, MeasureOptions, options)
    scan = scan if isinstance(scan, Scan) else read_scan(scan, min_slices=1)
    return run_measuring(scan, Path(mask), parsed, None if out is None else Path(out))


def run_measuring(
    scan: Scan, mask: Path, options: MeasureOptions, out: Path | None
) -> MeasuredScan:
    """Measure, and write if a folder is named; raises as ``measure``."""
    from bodycomp.review.measure_mask import (  # noqa: PLC0415 - PyTorch takes seconds
        measure_mask,
        write_measured,
    )

    measured = measure_mask(scan, mask, options)
    if out is not None:
        write_measured(measured, out, options)
    return MeasuredScan.of(measured.scan, measured.result)
