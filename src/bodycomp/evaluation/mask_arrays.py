"""Masks in NumPy files -> slices to compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import NOT_ANNOTATED_LABEL
from bodycomp.annotation.labels import LabelMapping, Structure
from bodycomp.data.arrays import ArrayHeader, inspect_array, read_samples
from bodycomp.data.issues import Issue, as_error
from bodycomp.data.layout import SPLITS, images_path, masks_path
from bodycomp.data.segmentation_set import read_declaration
from bodycomp.errors import TrainingSetError
from bodycomp.evaluation.segmentation_set import SampleOrigins, read_origins
from bodycomp.evaluation.slice_masks import SliceMasks

ARRAY_SUFFIX: Final = ".npy"


@dataclass(frozen=True, eq=False)
class MaskArray:
    """A file of label masks: slices, rows and columns, and what its labels mean."""

    header: ArrayHeader
    shape: tuple[int, int, int]
    labels: LabelMapping

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return the (row, column) labels of one slice.

        Raises:
            SeriesError: A label has no meaning.
        """
        has_slices = len(self.header.shape) > 2
        start, stop = (index, index + 1) if has_slices else (0, self.shape[1])
        plane = read_samples(self.header, start, stop).reshape(self.shape[1:])
        where = f"{self.header.path.name}, slice {index}"
        there = [int(value) for value in np.unique(plane) if value != 0]
        structures = [Structure(value) for value in there]
        self.labels.check(structures, where)
        tissues = np.zeros(self.shape[1:], np.uint8)
        for value, structure in zip(there, structures, strict=True):
            tissues[plane == value] = self.labels.find(structure)
        return tissues


def open_truth_array(path: Path, labels: LabelMapping) -> MaskArray:
    """Open a truth as ``open_mask_array`` does, with what its training set declares of labels."""
    opened = open_mask_array(path, labels)
    declared = read_declaration(path.parent) if _split_of(path) else False
    if isinstance(declared, Issue):
        raise as_error(declared, path.parent / declared.where)
    if not declared:
        return opened
    own = {str(NOT_ANNOTATED_LABEL): NOT_ANNOTATED_LABEL}
    return replace(opened, labels=LabelMapping(own | dict(labels.labels)))


def open_mask_array(path: Path, labels: LabelMapping) -> MaskArray:
    """Open masks of shape (slice, row, column, 1), (slice, row, column) or (row, column).

    Raises:
        InputNotFoundError: The file is not there.
        TrainingSetError: No array of whole numbers, or of another shape.
    """
    header = inspect_array(path)
    if isinstance(header, Issue):
        raise as_error(header, path)
    shape = header.shape[:-1] if len(header.shape) == 4 and header.shape[-1] == 1 else header.shape
    shape = (1, *shape) if len(shape) == 2 else shape
    if len(shape) != 3 or 0 in shape:
        raise TrainingSetError(
            f"{path}: expected masks of shape (slices, rows, columns), with or without a last axis "
            f"of 1, found {header.shape}"
        )
    if header.dtype.kind not in "iub":
        raise TrainingSetError(
            f"{path}: expected whole label numbers, found {header.dtype}",
            hint="Save the labels with astype('uint8'), not probabilities.",
        )
    return MaskArray(header, (shape[0], shape[1], shape[2]), labels)


def array_slices(predicted: MaskArray, truth: MaskArray, name: str) -> Iterator[SliceMasks]:
    """Yield every slice.

    Where the truth is ``<split>_masks.npy`` of a training set, its images and its manifest give HU,
    patients and the size of pixels.

    Raises:
        TrainingSetError: Shapes differ, or the manifest is for another set.
        SeriesError: A label has no meaning.
    """
    if predicted.shape != truth.shape:
        raise TrainingSetError(
            f"{predicted.header.path}: expected the shape of {truth.header.path.name}, "
            f"{truth.shape} slices, rows and columns, found {predicted.shape}"
        )
    split = _split_of(truth.header.path)
    origins, images = SampleOrigins(), None
    if split:
        origins = read_origins(truth.header.path.parent, split, truth.shape[0])
        images = _images_of(truth.header.path.parent, split, truth.shape)
    for index in range(truth.shape[0]):
        hu = None
        if images is not None:
            hu = read_samples(images, index, index + 1).reshape(truth.shape[1:])
        yield SliceMasks(
            source=split or name,
            index=index,
            patient=origins.patient(index),
            mask=predicted.read(index),
            truth=truth.read(index),
            pixel_spacing_mm=origins.pixel_spacing_mm(index),
            hu=hu,
        )


def _split_of(path: Path) -> str:
    """Return the split whose masks a file is, empty if it is none."""
    return next((split for split in SPLITS if masks_path(path.parent, split) == path), "")


def _images_of(folder: Path, split: str, shape: tuple[int, int, int]) -> ArrayHeader | None:
    header = inspect_array(images_path(folder, split))
    if isinstance(header, Issue) or header.shape not in {shape, (*shape, 1)}:
        return None
    return header
