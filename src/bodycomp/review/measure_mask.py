"""A mask that somebody has -> what it measures at named levels, without any model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bodycomp.analysis.level_measuring import LevelMeasurer
from bodycomp.anatomy import ABDOMINAL_TISSUES, VERTEBRAE, Tissue
from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.levels import read_levels
from bodycomp.dicom.derived.identity import KeptIdentity, PseudonymIdentity
from bodycomp.errors import ReviewError
from bodycomp.report.result_rows import SeriesKey, result_columns, result_rows
from bodycomp.report.tables import write_table
from bodycomp.results import LevelResult, LevelStatus, SeriesResult, SliceChoice
from bodycomp.review.given_mask import GivenMask, given_mask
from bodycomp.review.options import MeasureOptions
from bodycomp.scan import Scan
from bodycomp.storage import atomic_folder, refuse_existing
from bodycomp.study.options import RESULTS_NAME, SERIES_PREFIX, STUDY_PREFIX
from bodycomp.study.outputs import OutputChoice, write_series
from bodycomp.study.pseudonyms import read_or_make_key, series_pseudonym, study_pseudonym
from bodycomp.study.sources import IDENTIFIER_COLUMNS, content_key


def measure_mask(scan: Scan, options: MeasureOptions) -> tuple[Scan, SeriesResult]:
    """Measure the mask of the options on a scan at the levels that are named.

    Returns:
        The scan with notes on how the mask was read, and the result, without models.

    Raises:
        InputNotFoundError: The mask, or the file of levels, is not there.
        ReviewError: A level lies outside the scan, or where the mask has no label.
        SeriesError: The mask is damaged, not on the scan's grid, or has labels without a meaning.
        UsageError: Meanings that cannot be used.
    """
    given = given_mask(options.mask, options.labels, scan, VERTEBRAE)
    measurer = LevelMeasurer(scan, _tissues(options), options.range_mm, by_hand=True)
    choices = [_choice(level, z_mm, scan) for level, z_mm in _places(scan, given, options).items()]
    levels = [found for choice in choices if (found := _measured(choice, measurer, given))]
    if not levels:
        slices = sorted({str(index) for each in choices for index in measurer.slices_of(each)})
        raise ReviewError(
            f"expected labels where the levels are measured (slice {', '.join(slices)}), found "
            f"{given.where}",
            hint="Counted from 0 at the feet. Say with --slice or --z-mm where the level lies.",
        )
    result = SeriesResult(
        tissues=measurer.tissues,
        levels=tuple(levels),
        models={},
        subject=scan.subject,
        acquisition=scan.acquisition,
    )
    return scan.with_notes(given.notes), result


def write_measured(scan: Scan, result: SeriesResult, out: Path, options: MeasureOptions) -> None:
    """Write table, JSON, label map, pictures and DICOM objects into a folder that appears whole.

    Raises:
        OutputError: The folder has content that may not be replaced, or cannot be written.
        InputNotFoundError, UsageError: The pseudonym key is not there, or is none.
    """
    refuse_existing(out, overwrite=options.overwrite)
    key = read_or_make_key(out, options.pseudonym_key)
    identity = KeptIdentity() if options.identifiers else PseudonymIdentity(key)
    named = {column: str(getattr(scan, column, "")) for column in IDENTIFIER_COLUMNS[:-1]}
    named[IDENTIFIER_COLUMNS[-1]] = str(scan.files[0].parent if scan.slices else scan.path)
    own = scan.study_key and (scan.study_key, scan.series_key)
    study, name = own or (content_key(scan.path),) * 2
    series = SeriesKey(
        study_pseudonym(key, STUDY_PREFIX + study),
        series_pseudonym(key, SERIES_PREFIX + name),
        named if options.identifiers else {},
    )
    choice = OutputChoice(options.dicom, identity, options.previews)
    with atomic_folder(out, overwrite=options.overwrite) as folder:
        written = write_series(folder, series, scan, result, choice)
        columns = result_columns(result.tissues, tuple(series.identifiers))
        write_table(folder / RESULTS_NAME, columns, result_rows(series, written, result))


def _tissues(options: MeasureOptions) -> tuple[Tissue, ...]:
    if not options.labels:
        return ABDOMINAL_TISSUES
    meant = set(LabelMapping.parse(options.labels).labels.values())
    return tuple(tissue for tissue in ABDOMINAL_TISSUES if tissue.label in meant)


def _places(scan: Scan, given: GivenMask, options: MeasureOptions) -> Mapping[str, float]:
    """Return level -> z in mm.

    Raises:
        ReviewError: No place is named and the mask has labels on other than one slice; the place
            lies outside the scan, or the level is not in the file.
    """
    volume, level = scan.volume, options.level
    low, high = float(volume.slice_z_mm[0]), float(volume.slice_z_mm[-1])
    if options.levels is not None:
        marked = read_levels(options.levels, scan).z_mm
        if level and level not in marked:
            raise ReviewError(
                f"expected {level} in {options.levels.name}, found {', '.join(marked) or 'none'}"
            )
        return {level: marked[level]} if level else marked
    if options.z_mm is not None:
        if not low <= options.z_mm <= high:
            raise ReviewError(f"expected a z from {low:.1f} to {high:.1f} mm, found {options.z_mm}")
        return {level: options.z_mm}
    index = options.slice_index
    if index is None:
        labeled = np.flatnonzero(given.annotated)
        if len(labeled) != 1:
            raise ReviewError(
                f"expected to be told on which slice {level} lies, as the mask has labels on other "
                f"than one: found {given.where}",
                hint="Say it with --slice or --z-mm, or give a file of levels with --levels.",
            )
        index = int(labeled[0])
    if not 0 <= index < len(volume):
        raise ReviewError(f"expected a slice from 0 to {len(volume) - 1}, found {index}")
    return {level: float(volume.slice_z_mm[index])}


def _choice(level: str, z_mm: float, scan: Scan) -> SliceChoice:
    offset_mm = (scan.volume.slice_z_mm - z_mm).astype(np.float32)
    return SliceChoice(
        level,
        LevelStatus.FOUND,
        reason="",
        slice_index=scan.volume.nearest_slice(z_mm),
        z_mm=z_mm,
        offset_mm=offset_mm,
        smoothed_offset_mm=offset_mm,
        crossings=1,
    )


def _measured(choice: SliceChoice, measurer: LevelMeasurer, given: GivenMask) -> LevelResult | None:
    """Return what the mask measures at a level, None where it has no label on one of its slices."""
    indices = measurer.slices_of(choice)
    if not given.annotated[list(indices)].all():
        return None
    return measurer.measure(choice, {index: given.labels[index] for index in indices})
