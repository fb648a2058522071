"""Masks that people have or corrected -> labels on the scan's grid, and what they measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp import digests
from bodycomp.analysis.level_measuring import LevelMeasurer
from bodycomp.anatomy import ABDOMINAL_TISSUES, ALL_TISSUES, VERTEBRAE, Tissue
from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.levels import read_levels
from bodycomp.annotation.masks import MaskVolume, read_masks
from bodycomp.annotation.tag_layers import tag_name
from bodycomp.dicom.derived.identity import KeptIdentity, PseudonymIdentity
from bodycomp.errors import ReviewError, SeriesError
from bodycomp.reference.table import reference_columns, references_with
from bodycomp.report.result_rows import SeriesKey, result_columns, result_rows
from bodycomp.results import LevelResult, LevelStatus, SeriesResult, SliceChoice
from bodycomp.review.options import MeasureOptions
from bodycomp.scan import Scan
from bodycomp.storage import atomic_folder, refuse_existing
from bodycomp.study.options import RESULTS_NAME, SERIES_PREFIX, STUDY_PREFIX
from bodycomp.study.outputs import OutputChoice, write_series
from bodycomp.study.pseudonyms import read_or_make_key, series_pseudonym, study_pseudonym
from bodycomp.study.sources import IDENTIFIER_COLUMNS, content_key
from bodycomp.tables import write_table
from bodycomp.tag import TAG_LABELS

_AUTOMATIC_NAME: Final = "Segment_{}"
"""What 3D Slicer calls the segments of a label map that has no names."""


def file_digest(path: Path) -> str:
    """Return the first digits of a file's SHA-256, empty if there is no such file."""
    return digests.file_digest(path, digests.SHORT) if path.is_file() else ""


@dataclass(frozen=True, eq=False)
class GivenMask:
    """A mask that a person gave back: labels and annotated slices on the scan's grid.

    ``digest`` is that of its file; ``notes`` say how it was read, and identify nobody.
    """

    labels: NDArray[np.uint8] = field(repr=False)
    annotated: NDArray[np.bool_] = field(repr=False)
    digest: str
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """On which slices it has labels, in few words."""
        found = np.flatnonzero(self.annotated)
        if not len(found):
            return "none"
        first, last = int(found[0]), int(found[-1])
        return (
            f"some on slice {first} alone" if first == last else f"some on slices {first} to {last}"
        )


def given_mask(path: Path, labels: Sequence[str], scan: Scan, levels: Sequence[str]) -> GivenMask:
    """Read a mask of a file or folder in any format of ``annotation``.

    Without ``labels``, as ``LabelMapping.parse`` has them, they are those of ``labels.nii.gz``
    and of the DICOM segmentations that ``analyze`` writes, whose segments are named after
    ``levels``; a segment of another name is refused, whatever its number.

    Raises:
        InputNotFoundError: It is not there.
        SeriesError: Damaged, not on the scan's grid, or a label without a meaning.
        UsageError: Meanings that cannot be used.
    """
    if labels:
        return _given(path, read_masks([path], scan, LabelMapping.parse(labels)))
    own = LabelMapping.parse(_own_labels(levels))
    found = read_masks([path], scan, own)
    strange = [each for each in found.structures if each.name and own.by_name(each) is None]
    if strange:
        raise SeriesError(
            f"{path.name}: expected the labels of bodycomp, found "
            f"{', '.join(dict.fromkeys(map(str, strange)))}",
            hint="Say with --labels what each means, for instance "
            f"--labels '{strange[0].name}=muscle'.",
        )
    return _given(path, found)


def _own_labels(levels: Sequence[str]) -> list[str]:
    """Return the labels that ``analyze`` writes: numbers, tissues, and tissues at levels."""
    terms = []
    for tissue in ABDOMINAL_TISSUES:
        names = [str(tissue.label), _AUTOMATIC_NAME.format(tissue.label), tissue.key, tissue.title]
        names += [f"{tissue.title} at {level}" for level in levels]
        names.append(tag_name(TAG_LABELS[tissue.label]))
        terms += [f"{name}={tissue.key}" for name in names]
    return terms


def _given(path: Path, found: MaskVolume) -> GivenMask:
    if found.partial.any():
        raise SeriesError(
            f"{path.name}: expected slices whose pixels are all annotated, found "
            f"{int(found.partial.sum())} with pixels that are marked as not annotated",
            hint="Areas are those of whole slices: annotate all of a slice, or none of it.",
        )
    return GivenMask(found.labels, found.annotated, file_digest(path), found.notes)


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
    references = references_with(options.references)
    measurer = LevelMeasurer(
        scan, _tissues(options), options.range_mm, by_hand=True, references=references
    )
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
        references=references,
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
        compared = reference_columns(result.references, [tissue.key for tissue in result.tissues])
        columns = result_columns(result.tissues, tuple(series.identifiers), compared)
        write_table(folder / RESULTS_NAME, columns, result_rows(series, written, result))


def _tissues(options: MeasureOptions) -> tuple[Tissue, ...]:
    if not options.labels:
        return ABDOMINAL_TISSUES
    meant = set(LabelMapping.parse(options.labels).labels.values())
    return tuple(tissue for tissue in ALL_TISSUES if tissue.label in meant)


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
                f"expected labels on one slice, where {level} then lies, found {given.where}",
                hint="Say with --slice or --z-mm where it lies, or give a file with --levels.",
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
