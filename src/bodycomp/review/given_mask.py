"""A mask that a person corrected and gave back -> labels on the scan's grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.masks import MaskVolume, read_masks
from bodycomp.errors import SeriesError
from bodycomp.review.recorded_level import file_digest
from bodycomp.scan import Scan

_AUTOMATIC_NAME: Final = "Segment_{}"
"""What 3D Slicer calls the segments of a label map that has no names."""


@dataclass(frozen=True, eq=False)
class GivenMask:
    """A mask that a person gave back: labels and annotated slices on the scan's grid.

    ``digest`` is that of its file; ``notes`` say how it was read, and identify nobody.
    """

    labels: NDArray[np.uint8] = field(repr=False)
    annotated: NDArray[np.bool_] = field(repr=False)
    digest: str
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """On which slices it has labels, in few words."""
        found = np.flatnonzero(self.annotated)
        if not len(found):
            return "none"
        first, last = int(found[0]), int(found[-1])
        return (
            f"some on slice {first} alone" if first == last else f"some on slices {first} to {last}"
        )


def given_mask(path: Path, labels: Sequence[str], scan: Scan, levels: Sequence[str]) -> GivenMask:
    """Read a mask of a file or folder in any format of ``annotation``.

    Without ``labels``, as ``LabelMapping.parse`` has them, they are those of ``labels.nii.gz``
    and of the DICOM segmentations that ``analyze`` writes, whose segments are named after
    ``levels``; a segment of another name is refused, whatever its number.

    Raises:
        InputNotFoundError: It is not there.
        SeriesError: Damaged, not on the scan's grid, or a label without a meaning.
        UsageError: Meanings that cannot be used.
    """
    if labels:
        return _given(path, read_masks([path], scan, LabelMapping.parse(labels)))
    own = LabelMapping.parse(_own_labels(levels))
    found = read_masks([path], scan, own)
    strange = [each for each in found.structures if each.name and own.by_name(each) is None]
    if strange:
        raise SeriesError(
            f"{path.name}: expected the labels of bodycomp, found "
            f"{', '.join(dict.fromkeys(map(str, strange)))}",
            hint="Say with --labels what each means, for instance "
            f"--labels '{strange[0].name}=muscle'.",
        )
    return _given(path, found)


def _own_labels(levels: Sequence[str]) -> list[str]:
    """Return the labels that ``analyze`` writes: numbers, tissues, and tissues at levels."""
    terms = []
    for tissue in ABDOMINAL_TISSUES:
        names = [str(tissue.label), _AUTOMATIC_NAME.format(tissue.label), tissue.key, tissue.title]
        names += [f"{tissue.title} at {level}" for level in levels]
        terms += [f"{name}={tissue.key}" for name in names]
    return terms


def _given(path: Path, found: MaskVolume) -> GivenMask:
    if found.partial.any():
        raise SeriesError(
            f"{path.name}: expected slices whose pixels are all annotated, found "
            f"{int(found.partial.sum())} with pixels that are marked as not annotated",
            hint="Areas are those of whole slices: annotate all of a slice, or none of it.",
        )
    return GivenMask(found.labels, found.annotated, file_digest(path), found.notes)
