"""Scores of one series' slices, each made once, to locate levels and to evaluate the scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.coarse_to_fine import ScoreSlices
from bodycomp.analysis.level_verdict import SATURATION_SCALES
from bodycomp.analysis.pipeline import SliceScorer
from bodycomp.evaluation.level_rows import NO_SLICES, Floats
from bodycomp.imaging.volume import Volume
from bodycomp.networks.targets import NEAR_MM, target_to_offset
from bodycomp.progress import Progress, no_progress


class SeriesScores:
    """Remembers which slices were scored.

    Args:
        score: Scores slices by index.
        count: Slices of the series.
        scale_mm: Scale of the targets.
    """

    def __init__(self, score: ScoreSlices, count: int, scale_mm: float) -> None:
        self._score = score
        self._scale_mm = scale_mm
        self._scored = np.zeros(count, np.bool_)
        self._values: NDArray[np.float32] | None = None

    def __call__(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Return (slice, level) scores of the slices named, in their order."""
        wanted = np.asarray(indices, np.intp)
        missing = [int(index) for index in wanted if not self._scored[index]]
        if missing or self._values is None:
            made = self._score(missing)
            if self._values is None:
                self._values = np.zeros((len(self._scored), made.shape[1]), np.float32)
            self._values[missing] = made
            self._scored[missing] = True
        scores: NDArray[np.float32] = self._values[wanted]
        return scores

    def near(
        self, column: int, slice_z_mm: NDArray[np.float64], true_z_mm: float | None
    ) -> tuple[Floats, Floats]:
        """Return true offset and the network's of every slice near a level, (slice,) each.

        Slices that locating did not need are scored now: without them the series that went wrong
        would be missing.
        """
        true_mm = slice_z_mm - (np.nan if true_z_mm is None else true_z_mm)
        near = np.flatnonzero(np.abs(true_mm) <= NEAR_MM)
        if not near.size:
            return NO_SLICES
        limit_mm = SATURATION_SCALES * self._scale_mm
        offsets_mm = target_to_offset(self(near.tolist())[:, column], self._scale_mm)
        return (
            true_mm[near].astype(np.float32),
            np.clip(offsets_mm, -limit_mm, limit_mm).astype(np.float32),
        )


class RememberingScorer:
    """A scorer of one volume that scores no slice twice.

    Args:
        scorer: The model.
        volume: The only volume that it will be asked for.
    """

    def __init__(self, scorer: SliceScorer, volume: Volume) -> None:
        self.levels = scorer.levels
        self.scale_mm = scorer.scale_mm
        self.calibrations = scorer.calibrations
        self.digest = scorer.digest
        self.runs_as = scorer.runs_as
        self.scores = SeriesScores(
            lambda indices: scorer(volume, no_progress, indices), len(volume), scorer.scale_mm
        )

    def __call__(
        self,
        volume: Volume,
        progress: Progress = no_progress,
        slice_indices: Sequence[int] | None = None,
    ) -> NDArray[np.float32]:
        """Return (slice, level) scores; see ``SliceScorer``."""
        return self.scores(range(len(volume)) if slice_indices is None else slice_indices)
