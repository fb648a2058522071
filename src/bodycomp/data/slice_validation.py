"""Everything that is looked at in a slice-selection training set, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.findings import Finding
from bodycomp.data.naming import SPLITS
from bodycomp.data.slice_facts import SEEN_SLICE, describe_slice
from bodycomp.data.slice_set import inspect_slice_split
from bodycomp.data.validate_slices import Progress, survey_slice_set


class SliceLooker:
    """Gathers the facts of slices as they pass by; to be called from several threads.

    Args:
        counts: Split -> number of slices.
    """

    def __init__(self, counts: dict[str, int]) -> None:
        self.facts = {split: np.zeros(count, SEEN_SLICE) for split, count in counts.items()}

    def __call__(self, split: str, index: int, grey: NDArray[np.uint8]) -> None:
        """Look at one slice."""
        self.facts[split][index], _ = describe_slice(grey)


def validate_slices(
    data_dir: Path, levels: Sequence[str], progress: Progress | None = None
) -> tuple[tuple[Finding, ...], dict[str, NDArray[np.void]]]:
    """Return the findings of a slice-selection set and split -> ``SEEN_SLICE``."""
    counts = {}
    for split in SPLITS:
        opened, _ = inspect_slice_split(data_dir, split, levels)
        if opened is not None:
            counts[split] = len(opened[0])
    looker = SliceLooker(counts)
    survey = survey_slice_set(data_dir, levels=levels, observe=looker, progress=progress)
    for split, known in survey.facts.items():
        looker.facts[split]["content_digest"] = known["content"]
        looker.facts[split]["image_digest"] = known["image"]
    return survey.findings, looker.facts
