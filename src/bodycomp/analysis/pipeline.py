"""One volume -> one result: score, choose, check, segment, measure, in this order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.level_order import check_level_order
from bodycomp.analysis.measurement import measure_tissues
from bodycomp.analysis.slice_selection import ChoiceOptions, choose_slice
from bodycomp.anatomy import Tissue
from bodycomp.errors import UsageError
from bodycomp.imaging.volume import Volume
from bodycomp.networks.targets import target_to_offset
from bodycomp.results import LevelResult, LevelStatus, SeriesResult, SliceChoice

SliceProgress = Callable[[str, int, int], None]
"""Called with the step ("score", "segment"), slices done and slices in all."""


def no_progress(_step: str, _done: int, _total: int) -> None:
    """Report nothing."""


class SliceScorer(Protocol):
    """Scores every slice of a volume for the levels that it knows."""

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels, one per column of the scores."""
        ...

    @property
    def scale_mm(self) -> float:
        """Scale of the target that the scores follow."""
        ...

    @property
    def digest(self) -> str:
        """Short digest of the weights."""
        ...

    def __call__(
        self, volume: Volume, progress: SliceProgress = no_progress
    ) -> NDArray[np.float32]:
        """Return (slice, level) scores: 0 far below the level, 1 far above."""
        ...


class Segmenter(Protocol):
    """Labels the tissues on some slices of a volume."""

    @property
    def tissues(self) -> tuple[Tissue, ...]:
        """Tissues that a mask may hold, by ascending label."""
        ...

    @property
    def digest(self) -> str:
        """Short digest of the weights."""
        ...

    def __call__(
        self, volume: Volume, slice_indices: Sequence[int], progress: SliceProgress = no_progress
    ) -> Mapping[int, NDArray[np.uint8]]:
        """Return slice index -> (row, column) labels on the source pixel grid."""
        ...


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """How a series is analysed.

    Attributes:
        range_mm: Slices within half of this of the level are measured and averaged; with 0 only
            the slice nearest to the level, which always takes part.
        choice: When a level counts as found. Its scale is taken from the model.

    Raises:
        UsageError: The range is negative.
    """

    range_mm: float = 0.0
    choice: ChoiceOptions = field(default_factory=ChoiceOptions)

    def __post_init__(self) -> None:
        if not (np.isfinite(self.range_mm) and self.range_mm >= 0):
            raise UsageError(
                f"expected a range of at least 0 mm, found {self.range_mm}",
                hint="--range 30 averages the slices from 15 mm below to 15 mm above the level.",
            )


@dataclass(frozen=True)
class Analyzer:
    """Finds the levels in a volume and measures the tissues there.

    Attributes:
        scorer: Scores the slices.
        segmenter: Labels the chosen ones.
        options: Range and thresholds.
    """

    scorer: SliceScorer
    segmenter: Segmenter
    options: AnalysisOptions = field(default_factory=AnalysisOptions)

    def analyze(self, volume: Volume, progress: SliceProgress = no_progress) -> SeriesResult:
        """Analyse one volume.

        Raises:
            ImageError: The slices cannot be brought into the standard view.
            ModelError: The networks gave something other than numbers.
        """
        choices = self._choose(volume, progress)
        wanted = {
            choice.level: slices_in_range(volume, choice, self.options.range_mm)
            for choice in choices
        }
        needed = sorted({index for indices in wanted.values() for index in indices})
        masks = self.segmenter(volume, needed, progress) if needed else {}
        levels = tuple(
            self._measure(volume, choice, wanted[choice.level], masks) for choice in choices
        )
        models = {"slice_selection": self.scorer.digest, "segmentation": self.segmenter.digest}
        return SeriesResult(self.segmenter.tissues, levels, models)

    def _choose(self, volume: Volume, progress: SliceProgress) -> tuple[SliceChoice, ...]:
        scores = self.scorer(volume, progress)
        offsets_mm = target_to_offset(scores, self.scorer.scale_mm)
        options = replace(self.options.choice, scale_mm=self.scorer.scale_mm)
        return check_level_order(
            [
                choose_slice(level, offsets_mm[:, column], volume.slice_z_mm, options)
                for column, level in enumerate(self.scorer.levels)
            ]
        )

    def _measure(
        self,
        volume: Volume,
        choice: SliceChoice,
        indices: tuple[int, ...],
        masks: Mapping[int, NDArray[np.uint8]],
    ) -> LevelResult:
        if not indices:
            return LevelResult(choice)
        own = {index: masks[index] for index in indices}
        measurements = measure_tissues(
            volume.hu[list(indices)],
            np.stack(list(own.values())),
            self.segmenter.tissues,
            volume.pixel_area_mm2,
        )
        return LevelResult(choice, indices, measurements, own)


def slices_in_range(volume: Volume, choice: SliceChoice, range_mm: float) -> tuple[int, ...]:
    """Return the slices to measure for a level, ascending; none unless it was found."""
    if choice.status is not LevelStatus.FOUND or choice.z_mm is None or choice.slice_index is None:
        return ()
    within = np.flatnonzero(np.abs(volume.slice_z_mm - choice.z_mm) <= range_mm / 2)
    return tuple(sorted({choice.slice_index, *within.tolist()}))
