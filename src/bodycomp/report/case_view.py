"""One case of a report: what was found at one level of one series, with pictures to judge it by.

A case is made while the volume is in memory, so that pages can be written later without the scans.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.imaging.volume import Volume
from bodycomp.report.case_pictures import (
    Framing,
    LabelSource,
    SliceImage,
    ViewImage,
    slice_image,
    view_images,
)
from bodycomp.report.reformat import Reformat, coronal_and_sagittal
from bodycomp.report.result_rows import Cell, SeriesFacts, result_rows
from bodycomp.results import LevelResult, QualityFlag, SeriesResult

NEIGHBOURS_MM: Final = (5.0, 10.0, 15.0, 20.0, 30.0)
"""Heights above and below the level whose slices are shown; a vertebra and a disc take 30 to 40."""

SPREAD_SLICES: Final = 9
"""Slices, evenly over the scan, of a level that was not found: one of them may show it."""


@dataclass(frozen=True, slots=True)
class ScoreCurve:
    """The estimated offset of every slice above the level.

    Attributes:
        z_mm: (slice,) places.
        offset_mm: As scored; None for slices that were not.
        smoothed_offset_mm: The curve that decides.
    """

    z_mm: tuple[float, ...]
    offset_mm: tuple[float | None, ...]
    smoothed_offset_mm: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class CaseTruth:
    """What a person says of the level.

    Attributes:
        masks: Slice index -> (row, column) labels on the source grid.
        z_mm: Place of the level; None if it is not known.
    """

    masks: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    z_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """One case, ready to be shown. Holds nothing identifying unless the facts do.

    Attributes:
        cells: Its row of ``results.csv``; an evaluation adds its own columns.
        curve: Scores over the whole series.
        shown: Position in ``slices`` of the one to begin with.
        slices: In ascending order of z.
        coronal, sagittal: Views along z.
        tissues: Keys, by ascending label.
        reasons: Column -> why it is empty.
        flags: What makes the measurements less sure.
        other_levels: Level -> z in mm of what else was found in the series.
        truth_z_mm: Where a person places the level; None if nobody did.
    """

    cells: Mapping[str, Cell]
    curve: ScoreCurve
    shown: int
    slices: tuple[SliceImage, ...]
    coronal: ViewImage
    sagittal: ViewImage
    tissues: tuple[str, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[QualityFlag, ...] = ()
    other_levels: Mapping[str, float] = field(default_factory=dict)
    truth_z_mm: float | None = None

    @property
    def key(self) -> str:
        """What tells the case from all others of a page."""
        return case_key(self.cells)

    def with_cells(self, cells: Mapping[str, Cell]) -> CaseView:
        """Return the case with further, or newer, columns."""
        return replace(self, cells={**self.cells, **cells})


def case_key(cells: Mapping[str, Cell]) -> str:
    """Return the key of the case that a row of the table belongs to.

    >>> case_key({"study": "study-1", "series": "series-2", "level": "L3"})
    'study-1/series-2/L3'
    """
    return "/".join(str(cells.get(name) or "") for name in ("study", "series", "level"))


def make_case_view(
    volume: Volume,
    result: SeriesResult,
    level: LevelResult,
    facts: SeriesFacts,
    truth: CaseTruth | None = None,
    views: tuple[Reformat, Reformat] | None = None,
) -> CaseView:
    """Make the case of one level, found or not.

    Args:
        volume: The series that was analysed.
        result: Its result.
        level: One of its levels.
        facts: Whom it belongs to, and how it was made.
        truth: What a person says of it.
        views: Of ``coronal_and_sagittal``, if they are there already.
    """
    truth = truth or CaseTruth()
    rows = dict(zip((id(one) for one in result.levels), result_rows(facts, result), strict=True))
    labels = LabelSource(level.masks, truth.masks)
    first = level.choice.slice_index
    shown = len(volume) // 2 if first is None else first
    framing = Framing.around_body(volume, shown, level.masks.get(shown))
    indices = _indices(volume, level, truth)
    coronal, sagittal = view_images(views or coronal_and_sagittal(volume))
    return CaseView(
        cells=rows[id(level)],
        curve=_curve(volume, level),
        shown=indices.index(shown),
        slices=tuple(
            slice_image(volume, index, framing, labels, large=index == shown) for index in indices
        ),
        coronal=coronal,
        sagittal=sagittal,
        tissues=tuple(tissue.key for tissue in result.tissues),
        reasons=_reasons(level),
        flags=level.flags,
        other_levels={
            other.choice.level: other.choice.z_mm
            for other in result.levels
            if other is not level and other.choice.z_mm is not None
        },
        truth_z_mm=truth.z_mm,
    )


def _indices(volume: Volume, level: LevelResult, truth: CaseTruth) -> list[int]:
    """Return the slices to show, in ascending order."""
    chosen = level.choice.slice_index
    if chosen is None:
        spread = np.linspace(0, len(volume) - 1, SPREAD_SLICES).round().astype(int)
        return sorted({len(volume) // 2, *spread.tolist(), *truth.masks})
    z_mm = float(volume.slice_z_mm[chosen])
    offsets = [sign * offset for offset in NEIGHBOURS_MM for sign in (1, -1)]
    near = {
        volume.nearest_slice(z_mm + offset)
        for offset in offsets
        if volume.slice_z_mm[0] <= z_mm + offset <= volume.slice_z_mm[-1]
    }
    return sorted({chosen, *near, *truth.masks})


def _curve(volume: Volume, level: LevelResult) -> ScoreCurve:
    choice = level.choice
    scored = np.ones(len(volume), bool) if choice.scored is None else choice.scored
    return ScoreCurve(
        z_mm=tuple(float(z) for z in volume.slice_z_mm),
        offset_mm=tuple(
            float(offset) if seen else None
            for offset, seen in zip(choice.offset_mm, scored, strict=True)
        ),
        smoothed_offset_mm=tuple(float(offset) for offset in choice.smoothed_offset_mm),
    )


def _reasons(level: LevelResult) -> dict[str, str]:
    told = {key: found.reason for key, found in level.quantities.items()}
    told |= {key: outcome.reason for key, outcome in level.cut_offs.items()}
    return {key: reason for key, reason in told.items() if reason}
