"""What every reader of annotations gives: labels on the scan's grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from bodycomp.annotation.labels import Structure
from bodycomp.imaging.label_map import LabelValues

Wanted = Callable[[Structure], bool]
"""Whether a structure with a name is worth reading."""


@dataclass(frozen=True, eq=False)
class Layer:
    """Labels of an annotation that do not overlap.

    Attributes:
        labels: (slice, row, column) on the scan's grid, 0 for the background.
        structures: What every other value that occurs stands for. The values are the layer's own:
            numbers of a file may be negative, zero, or shared by several structures.
        notes: How they were read; nothing identifying.
    """

    labels: LabelValues = field(repr=False)
    structures: Mapping[int, Structure]
    notes: tuple[str, ...] = ()


def everything(structure: Structure) -> bool:
    """Want every structure."""
    del structure
    return True


def values_in(labels: LabelValues) -> list[int]:
    """Return the labels that occur, without the background.

    >>> values_in(np.array([[[0, 7, 2]]], np.uint8))
    [2, 7]
    """
    counts = np.zeros(1 + int(labels.max(initial=0)), np.intp)
    for plane in labels:  # bincount makes a copy eight times as large
        counts += np.bincount(plane.reshape(-1), minlength=len(counts))
    return [int(value) for value in np.flatnonzero(counts) if value]
