"""Annotations of tissues -> one label map on the scan's grid, in the training set's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ALL_TISSUES, BACKGROUND_LABEL, NOT_ANNOTATED_LABEL
from bodycomp.annotation.labels import LabelMapping, Layer, Structure
from bodycomp.annotation.layers import read_layers
from bodycomp.errors import SeriesError
from bodycomp.scan import Scan


@dataclass(frozen=True, eq=False)
class MaskVolume:
    """What annotations say of a scan's tissues.

    Attributes:
        labels: (slice, row, column), labels of ``anatomy``, 0 for the background,
            ``NOT_ANNOTATED_LABEL`` where nobody said what is there.
        annotated: (slice,) whether the annotation says anything of a slice: one labelled pixel is
            enough, also with an ignored label, but not if all its pixels are not annotated. Of
            slices of background alone nobody knows whether anybody looked at them.
        structures: The labels that occur in the annotations, as their files state them.
    """

    labels: NDArray[np.uint8] = field(repr=False)
    annotated: NDArray[np.bool_] = field(repr=False)
    structures: tuple[Structure, ...]
    notes: tuple[str, ...] = ()

    @property
    def left_out(self) -> NDArray[np.bool_]:
        """(slice,) whether no pixel of a slice is annotated, and the annotation says so."""
        return np.array([(plane == NOT_ANNOTATED_LABEL).all() for plane in self.labels])

    @property
    def partial(self) -> NDArray[np.bool_]:
        """(slice,) whether some pixels of an annotated slice are not."""
        some = np.array([(plane == NOT_ANNOTATED_LABEL).any() for plane in self.labels])
        return some & self.annotated


def read_masks(paths: Sequence[Path], scan: Scan, mapping: LabelMapping) -> MaskVolume:
    """Read one or several annotations of one scan and put them together.

    Args:
        paths: Files or folders in any format of ``layers``; each may hold some of the tissues.
        scan: What was annotated.
        mapping: What every label means; labels mapped to nothing give background. A pixel of a
            tissue in one annotation and not annotated in another is of the tissue; not annotated
            in one and background in another, it is not annotated.

    Raises:
        InputNotFoundError: An annotation is not there.
        SeriesError: Damaged or in no known format, not on the scan's grid, of another frame of
            reference; a label that the mapping does not name; a pixel of two different tissues.
    """
    merged = _Merged(scan)
    for path in paths:
        for layer in read_layers(path, scan):
            merged.add(layer, mapping, path.name)
        merged.end_of(path.name, mapping)
    return merged.finish()


class _Merged:
    """Layers laid over one another."""

    def __init__(self, scan: Scan) -> None:
        self.labels = np.zeros(scan.volume.hu.shape, np.uint8)
        self.annotated = np.zeros(len(scan.volume), np.bool_)
        self.structures: list[Structure] = []
        self._checked = 0
        self.notes: list[str] = []
        self._clashes: dict[tuple[int, int], int] = {}
        self._first_clash = ""

    def add(self, layer: Layer, mapping: LabelMapping, where: str) -> None:
        """Put one layer over the others; labels without a meaning wait for ``end_of``."""
        self.structures += layer.structures.values()
        self.notes += layer.notes
        lut = np.zeros(1 + max(layer.structures), np.uint8)
        for value, structure in layer.structures.items():
            lut[value] = mapping.find(structure) or BACKGROUND_LABEL
        for index, plane in enumerate(layer.labels):
            if plane.any():
                self.annotated[index] = True
                self._add_plane(index, lut[plane], where)

    def _add_plane(self, index: int, tissues: NDArray[np.uint8], where: str) -> None:
        below = self.labels[index]
        clash = _is_tissue(tissues) & _is_tissue(below) & (tissues != below)
        if clash.any():
            row, column = (int(n) for n in np.argwhere(clash)[0])
            self._first_clash = self._first_clash or (
                f"{where}: first at slice {index} from the feet (counted from 0), row {row}, "
                f"column {column}"
            )
            pairs, counts = np.unique(
                np.sort(np.stack([tissues[clash], below[clash]]), axis=0),
                axis=1,
                return_counts=True,
            )
            for (one, other), count in zip(pairs.T, counts, strict=True):
                key = int(one), int(other)
                self._clashes[key] = self._clashes.get(key, 0) + int(count)
        np.copyto(below, tissues, where=_is_tissue(tissues) | ((tissues > 0) & (below == 0)))

    def end_of(self, where: str, mapping: LabelMapping) -> None:
        """Refuse labels of this annotation without one meaning, and pixels with two."""
        mapping.check(self.structures[self._checked :], where)
        self._checked = len(self.structures)
        if self._clashes:
            names = {tissue.label: tissue.key for tissue in ALL_TISSUES}
            counted = ", ".join(
                f"{count} of {names[one]} and {names[other]}"
                for (one, other), count in sorted(self._clashes.items())
            )
            raise SeriesError(
                f"expected one tissue per pixel, found pixels with two: {counted}; "
                f"{self._first_clash}",
                hint="Remove the overlap in the annotation, or map one of the labels to ignore.",
            )

    def finish(self) -> MaskVolume:
        """Return what the annotations say together."""
        found = MaskVolume(self.labels, self.annotated, tuple(self.structures), tuple(self.notes))
        return noted(found)


def noted(found: MaskVolume) -> MaskVolume:
    """Return masks without slices that are marked as not annotated, and with notes on marks."""
    left_out, notes = found.left_out, list(found.notes)
    if left_out.any():
        found = replace(found, annotated=found.annotated & ~left_out)
        notes.append("slices that are marked as not annotated are left out")
    if found.partial.any():
        notes.append("some pixels are marked as not annotated")
    return replace(found, notes=tuple(dict.fromkeys(notes)))


def _is_tissue(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    tissue: NDArray[np.bool_] = (labels > 0) & (labels != NOT_ANNOTATED_LABEL)
    return tissue
