"""Where segmentations of a slice by several models, and of copies of it, disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.inference import SegmentedSlices
from bodycomp.analysis.pipeline import Segmenter
from bodycomp.anatomy import Tissue
from bodycomp.imaging.volume import Volume

COPIES: Final = ((False, 0, 0), (False, 9, 5), (True, 0, 0), (True, -6, 8))
"""Whether a copy is mirrored, and by how many pixels it is moved down and across. All of that is
undone without resampling, so that equal answers are equal pixels; the first is the slice itself."""


@dataclass(frozen=True, eq=False)
class Disagreement:
    """How much segmentations of one slice differ.

    Attributes:
        labels: (row, column) of the first model, on the source grid.
        doubt: (row, column) share of all segmentations that have another label.
        tissues: Tissue key -> 1 minus the mean Dice of pairs of segmentations; those that none of
            them has are missing.
    """

    labels: NDArray[np.uint8] = field(repr=False)
    doubt: NDArray[np.float32] = field(repr=False)
    tissues: dict[str, float]

    @property
    def mean(self) -> float:
        """Mean over the tissues, 0 for slices without any."""
        return float(np.mean(list(self.tissues.values()))) if self.tissues else 0.0


def disagreement(segmenters: Sequence[Segmenter], volume: Volume, index: int) -> Disagreement:
    """Return how much models, and each on copies of a slice, disagree.

    With several models, pairs of them count; with one, pairs of its copies.

    Raises:
        ImageError: The slice cannot be brought into the standard view.
        ModelError: A network gave something other than numbers.
    """
    one = replace(
        volume, hu=volume.hu[index : index + 1], slice_z_mm=volume.slice_z_mm[index : index + 1]
    )
    answers = [_answers(segment, one) for segment in segmenters]
    first = answers[0][0][0]
    every = [labels for each in answers for _, members in each for labels in members]
    doubt = np.stack([labels != first for labels in every]).mean(axis=0).astype(np.float32)
    return Disagreement(first, doubt, _tissues(every, segmenters[0].tissues))


Labels = NDArray[np.uint8]


def _answers(segment: Segmenter, one: Volume) -> list[tuple[Labels, list[Labels]]]:
    """Return the labels of each copy, and beside them those of each member of an ensemble."""
    answers = []
    for mirrored, down, across in COPIES:
        hu = one.hu[0][:, ::-1] if mirrored else one.hu[0]
        hu = np.roll(hu, (down, across), axis=(0, 1))
        found = segment(replace(one, hu=hu[None]), [0])
        members = found.members.get(0) if isinstance(found, SegmentedSlices) else None
        every = [found[0]] if members is None else [found[0], *members]
        back = [np.roll(labels, (-down, -across), axis=(0, 1)) for labels in every]
        combined, *own = [labels[:, ::-1] if mirrored else labels for labels in back]
        answers.append((combined, own or [combined]))
    return answers


def _tissues(
    segmentations: Sequence[NDArray[np.uint8]], tissues: Sequence[Tissue]
) -> dict[str, float]:
    counts: dict[str, float] = {}
    for tissue in tissues:
        masks = [labels == tissue.label for labels in segmentations]
        sizes = [int(mask.sum()) for mask in masks]
        if not any(sizes):
            continue
        pairs = list(combinations(range(len(masks)), 2))
        shares = [
            2 * int((masks[a] & masks[b]).sum()) / (sizes[a] + sizes[b])
            if sizes[a] + sizes[b]
            else 1.0  # they agree that there is none
            for a, b in pairs
        ]
        counts[tissue.key] = 1 - float(np.mean(shares))
    return counts
