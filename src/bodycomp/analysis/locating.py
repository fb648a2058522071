"""Scores of a series' slices -> where its levels lie: from scans and training sets alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.choice_options import ChoiceOptions
from bodycomp.analysis.coarse_to_fine import (
    Scores,
    ScoreSlices,
    choose_scored_slice,
    score_where_needed,
)
from bodycomp.analysis.level_order import check_levels_together
from bodycomp.results import SliceChoice


def locate_levels(
    score: ScoreSlices,
    z_mm: NDArray[np.float64],
    levels: Sequence[str],
    options: ChoiceOptions,
    *,
    score_all: bool = False,
) -> tuple[SliceChoice, ...]:
    """Locate the levels of one series.

    Args:
        score: Scores slices by index.
        z_mm: (slice,), positions, ascending towards the head.
        levels: Levels, one per column of the scores.
        options: When a level counts as found, with the model's scale.
        score_all: Score every slice, rather than some first and then those where a level can be.
    """
    if score_all:
        scores = Scores(score(range(len(z_mm))), np.ones(len(z_mm), dtype=np.bool_))
    else:
        scores = score_where_needed(score, z_mm, levels, options)
    return check_levels_together(
        [
            choose_scored_slice(level, scores.values[:, column], scores.scored, z_mm, options)
            for column, level in enumerate(levels)
        ]
    )
