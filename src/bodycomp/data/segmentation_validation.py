"""Everything that is looked at in a segmentation training set, in one pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import tissues_for
from bodycomp.data.findings import Finding
from bodycomp.data.naming import SPLITS
from bodycomp.data.sample_facts import SAMPLE_FACTS, describe_sample
from bodycomp.data.segmentation_set import inspect_segmentation_split
from bodycomp.data.validate_segmentation import Progress, check_segmentation_set

LARGEST_LABEL: Final = 3


class SampleLooker:
    """Gathers the facts of samples as they pass by; to be called from several threads.

    Args:
        counts: Split -> number of samples.
    """

    def __init__(self, counts: dict[str, int]) -> None:
        self.facts = {split: np.zeros(count, SAMPLE_FACTS) for split, count in counts.items()}

    def __call__(
        self, split: str, start: int, images: NDArray[Any], masks: NDArray[np.uint8]
    ) -> None:
        """Look at the samples of a piece; those with NaN or unknown labels are left out."""
        for position, (hu, labels) in enumerate(zip(images, masks, strict=True)):
            if np.isfinite(hu.min()) and np.isfinite(hu.max()) and labels.max() <= LARGEST_LABEL:
                self.facts[split][start + position], _ = describe_sample(hu, labels)


def validate_samples(
    data_dir: Path,
    *,
    thoracic: bool = False,
    allow_scaled: bool = False,
    progress: Progress | None = None,
) -> tuple[tuple[Finding, ...], dict[str, NDArray[np.void]]]:
    """Return the findings of a segmentation set and split -> ``SAMPLE_FACTS``."""
    counts = {}
    for split in SPLITS:
        headers, _ = inspect_segmentation_split(data_dir, split)
        if headers is not None:
            counts[split] = headers.images.shape[0]
    looker = SampleLooker(counts)
    findings = check_segmentation_set(
        data_dir,
        tissues=tissues_for(thoracic=thoracic),
        allow_scaled=allow_scaled,
        observe=looker,
        progress=progress,
    )
    return findings, looker.facts
