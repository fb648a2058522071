"""One scan -> one result: score, choose, check, segment, measure, in this order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.between import between_levels, check_between
from bodycomp.analysis.coarse_to_fine import ScoreSlices
from bodycomp.analysis.level_measuring import LevelMeasurer
from bodycomp.analysis.level_verdict import ChoiceOptions
from bodycomp.analysis.locating import locate_levels
from bodycomp.analysis.measurement import with_intervals, with_prediction_intervals
from bodycomp.analysis.members import MemberScores, with_members
from bodycomp.anatomy import Tissue
from bodycomp.errors import UsageError
from bodycomp.imaging.volume import Volume
from bodycomp.networks.confidence_calibration import LevelCalibration
from bodycomp.progress import Progress, no_progress
from bodycomp.reference.table import ReferenceTable, shipped_references
from bodycomp.results import SeriesResult, SliceChoice
from bodycomp.scan import Scan


class Network(Protocol):
    """What results say of a network that made them."""

    @property
    def digest(self) -> str:
        """Short digest of the weights."""

    @property
    def runs_as(self) -> str:
        """Engine and kind of device, on which the last digits depend."""

    @property
    def caution(self) -> str:
        """What the model's card asks to say with every result; empty if nothing."""


class SliceScorer(Network, Protocol):
    """Scores slices of a volume for the levels that it knows."""

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels, one per column of the scores."""

    @property
    def scale_mm(self) -> float:
        """Scale of the target that the scores follow."""

    @property
    def calibrations(self) -> Mapping[str, LevelCalibration]:
        """Level -> calibration of its confidence; levels without one are missing."""

    @property
    def least_confidence(self) -> float:
        """Confidence, 0..1, below which a level that was found is uncertain."""

    @property
    def sees_series(self) -> bool:
        """Whether a slice's score depends on the whole series, so that all are scored at once."""

    def __call__(
        self,
        volume: Volume,
        progress: Progress = no_progress,
        slice_indices: Sequence[int] | None = None,
    ) -> NDArray[np.float32]:
        """Return (slice, level) scores: 0 far below the level, 1 far above.

        Of the slices that are named, in their order; of all slices if None.
        """


class Segmenter(Network, Protocol):
    """Labels the tissues on some slices of a volume."""

    @property
    def tissues(self) -> tuple[Tissue, ...]:
        """Tissues that a mask may hold, by ascending label."""

    def __call__(
        self, volume: Volume, slice_indices: Sequence[int], progress: Progress = no_progress
    ) -> Mapping[int, NDArray[np.uint8]]:
        """Return slice index -> (row, column) labels on the source pixel grid."""


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """How a series is analysed.

    Attributes:
        range_mm: Slices within half of this of the level are measured and averaged; with 0 only
            the slice nearest to the level, which always takes part.
        choice: When a level counts as found. Scale and calibrations are taken from the model.
        intervals: Segment moved copies of the slices, too, for an interval of each area.
        references: What values are compared with, beside each other; those that ship by default.
        between: Two levels, all between which is measured, too; None for levels alone.
        score_all: Score every slice, rather than some first and then those where a level can be.
    """

    range_mm: float = 0.0
    choice: ChoiceOptions = field(default_factory=ChoiceOptions)
    score_all: bool = False
    intervals: bool = False
    references: tuple[ReferenceTable, ...] = field(default_factory=shipped_references)
    between: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.range_mm) and self.range_mm >= 0):
            raise UsageError(
                f"expected a range of at least 0 mm, found {self.range_mm}",
                hint="--range 30 averages the slices from 15 mm below to 15 mm above the level.",
            )


@dataclass(frozen=True)
class Analyzer:
    """Finds the levels in a scan and measures the tissues there."""

    scorer: SliceScorer
    segmenter: Segmenter
    options: AnalysisOptions = field(default_factory=AnalysisOptions)

    def __post_init__(self) -> None:
        if self.options.between is not None:
            check_between(self.options.between, self.scorer.levels)

    @property
    def caution(self) -> str:
        """What the models' cards ask to say with every result, empty if nothing."""
        both = (self.scorer.caution, self.segmenter.caution)
        return "; ".join(dict.fromkeys(filter(None, both)))

    def analyze(
        self,
        scan: Scan,
        progress: Progress = no_progress,
        score: ScoreSlices | None = None,
        members: MemberScores | None = None,
    ) -> SeriesResult:
        """Analyze one scan; ``score`` may stand in for the scorer on it, to remember scores.

        It then asks ``members``, which remembers the scores of an ensemble's members.

        Raises:
            ImageError: The slices cannot be brought into the standard view.
            ModelError: The networks gave something other than numbers.
        """
        volume, tissues = scan.volume, self.segmenter.tissues
        members = members or MemberScores(self.scorer, volume, progress)
        choices = find_levels(self.scorer, volume, score or members, self.options)
        choices = tuple(members.placed(choice, column) for column, choice in enumerate(choices))
        if self.options.between is not None:
            choices = (*choices, between_levels(choices, self.options.between, volume))
        measurer = LevelMeasurer(
            scan,
            tuple(tissues),
            self.options.range_mm,
            caution=self.caution,
            references=self.options.references,
        )
        needed = sorted({index for choice in choices for index in measurer.slices_of(choice)})
        masks = self.segmenter(volume, needed, progress) if needed else {}
        levels = [
            with_members(measurer.measure(choice, masks), masks, volume, tissues)
            for choice in choices
        ]
        known = getattr(self.segmenter, "area_intervals", None)
        levels = [with_prediction_intervals(each, known, self.scorer.digest) for each in levels]
        if self.options.intervals:
            levels = [
                with_intervals(each, self.segmenter, volume, tissues)
                if each.choice.height_mm is None  # of a hundred slices it would take minutes
                else each
                for each in levels
            ]
        return SeriesResult(
            tissues=tissues,
            levels=tuple(levels),
            models={"slice_selection": self.scorer.digest, "segmentation": self.segmenter.digest},
            subject=scan.subject,
            acquisition=scan.acquisition,
            references=self.options.references,
        )


def find_levels(
    scorer: SliceScorer, volume: Volume, score: ScoreSlices, options: AnalysisOptions
) -> tuple[SliceChoice, ...]:
    """Return where every level that a scorer knows lies in a volume, or why not."""
    return locate_levels(
        score,
        volume.slice_z_mm,
        scorer.levels,
        choice_options(scorer, options.choice),
        score_all=options.score_all or scorer.sees_series,
    )


def choice_options(scorer: SliceScorer, options: ChoiceOptions | None = None) -> ChoiceOptions:
    """Return when a level counts as found, with what the model says of it."""
    return replace(
        options or ChoiceOptions(),
        scale_mm=scorer.scale_mm,
        calibrations=scorer.calibrations,
        least_confidence=scorer.least_confidence,
    )
