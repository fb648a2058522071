"""A mask that somebody has, measured on its scan without any model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bodycomp.interface.keywords import PathLike, refuse_rest, take, takes
from bodycomp.interface.models import MeasuredScan
from bodycomp.reading.read_scan import read_scan
from bodycomp.review.measure_options import MeasureOptions
from bodycomp.scan import Scan
from bodycomp.study.options import dicom_objects


@takes(MeasureOptions)
def measure(
    scan: Scan | PathLike,
    mask: PathLike,
    *,
    labels: Mapping[int | str, str] | Iterable[str] = (),
    out: PathLike | None = None,
    **options: Any,
) -> MeasuredScan:
    """Measure a mask at the levels that are named, as ``bodycomp measure``.

    Args:
        scan: What the mask was annotated on: a scan, or whatever ``read_scan`` reads.
        mask: NIfTI, NRRD, DICOM SEG or RTSTRUCT, a folder of PNG images or of one file per tissue.
        labels: What its labels mean, such as ``{1: "muscle"}`` or ``["1=muscle"]``; if empty 1 is
            muscle, 2 subcutaneous and 3 visceral fat.
        out: Folder to make, with table, JSON, label map, pictures and DICOM objects; none if None.
        options: Fields of ``MeasureOptions``: ``level``, and where it lies: ``slice_index``,
            ``z_mm`` or ``levels``, a file; ``range_mm``; what is written.

    Raises:
        InputNotFoundError, ReviewError, SeriesError, UsageError, OutputError: As the command.
    """
    from bodycomp.review.measure_mask import (  # noqa: PLC0415 - PyTorch takes seconds
        measure_mask,
        write_measured,
    )

    terms = (
        [f"{label}={tissue}" for label, tissue in labels.items()]
        if isinstance(labels, Mapping)
        else list(labels)
    )
    if "dicom" in options:
        options["dicom"] = dicom_objects(options["dicom"])
    parsed = take(MeasureOptions, options, labels=terms)
    refuse_rest(measure, options)
    scan = scan if isinstance(scan, Scan) else read_scan(scan, min_slices=1)
    measured = measure_mask(scan, Path(mask), parsed)
    if out is not None:
        write_measured(measured, Path(out), parsed)
    return MeasuredScan.of(measured.scan, measured.result)
