"""What is wrong with splits as wholes: too small, or unlike the split that is learnt from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.data.findings import Finding, Place, Rule

SPLIT_SMALL: Final = Rule(
    "split-small",
    "warning",
    "Scores on so few samples are chance; move patients here, or annotate more.",
)
SPLITS_DIFFER: Final = Rule(
    "splits-differ", "warning", "Make splits by chance among patients of all sites and protocols."
)

FEWEST: Final = {"train": 10, "val": 5, "test": 5}
HU_APART: Final = 25.0
"""Medians of phantom splits lie up to 3 HU apart; contrast agent adds about 20 HU to muscle."""

FEWEST_TO_COMPARE: Final = 5


def check_split_sizes(facts: Mapping[str, NDArray[np.void]]) -> Iterator[Finding]:
    """Yield splits of too few samples."""
    for split, samples in facts.items():
        if len(samples) < FEWEST[split]:
            message = f"expected {FEWEST[split]} samples or more, found {len(samples)}"
            yield SPLIT_SMALL.broken(Place(split, split), message, len(samples))


def check_hu_of_splits(facts: Mapping[str, NDArray[np.void]]) -> Iterator[Finding]:
    """Yield tissues whose HU in a split are not those of train, from ``SAMPLE_FACTS``."""
    for split, samples in facts.items():
        if split == "train" or "train" not in facts:
            continue
        for tissue in ABDOMINAL_TISSUES:
            own, learnt = (
                each["mean_hu"][each["pixels"][:, tissue.label - 1] > 0, tissue.label - 1]
                for each in (samples, facts["train"])
            )
            if min(len(own), len(learnt)) < FEWEST_TO_COMPARE:
                continue
            apart = float(np.median(own) - np.median(learnt))
            if abs(apart) > HU_APART:
                message = (
                    f"expected {tissue.title.lower()} as in train, found a median "
                    f"{apart:+.0f} HU from it"
                )
                yield SPLITS_DIFFER.broken(Place(f"{split}_images.npy", split), message, apart)
