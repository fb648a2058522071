"""The segmentation training set: images and masks of each split as two NumPy files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, MUSCLE, Tissue
from bodycomp.data.arrays import ArrayHeader, inspect_array, map_array, open_array
from bodycomp.data.issues import MISSING_FILE, Issue, as_error, collect, error
from bodycomp.data.label_declaration import read_declaration, with_background
from bodycomp.data.layout import OPTIONAL_SPLITS, images_path, masks_path
from bodycomp.imaging.label_map import folded
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE

SAMPLE_SHAPE: Final = (*SEGMENTATION_SIZE, 1)
_SHAPE_TEXT: Final = "(samples, 512, 512, 1)"


@dataclass(frozen=True, eq=False)
class SegmentationSplit:
    """One split, mapped into memory; pickled as file names, so that workers map it anew.

    (N, 512, 512, 1) HU of any signed or floating type, and uint8 labels as in the file, 255 where
    not annotated. ``backgrounds`` are those of ``LabelDeclaration``. Labels are read as those of
    ``tissues``, where the masks may hold those of others.
    """

    name: str
    images: NDArray[Any]
    masks: NDArray[np.uint8]
    backgrounds: bytes = b""
    tissues: tuple[Tissue, ...] | None = None

    def __len__(self) -> int:
        return int(self.images.shape[0])

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Return (row, column) labels whose background is a tissue, too, that was not labeled."""
        return self.read_as(index, self.masks[index, :, :, 0])

    def read_as(self, index: int, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a sample's labels of the file as ``labels`` does."""
        return relabeled(labels, self.tissues, self.backgrounds[index] if self.backgrounds else 0)

    def __getstate__(self) -> dict[str, Any]:
        return {
            key: Path(value.filename)
            if isinstance(value, np.memmap) and value.filename is not None
            else value
            for key, value in self.__dict__.items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            array = open_array(value) if isinstance(value, Path) else value
            object.__setattr__(self, key, array)


@dataclass(frozen=True, slots=True)
class SplitHeaders:
    """The inspected files of one split, and what ``LabelDeclaration`` says of them."""

    images: ArrayHeader
    masks: ArrayHeader
    has_not_annotated: bool = False
    backgrounds: bytes = b""
    tissues: tuple[Tissue, ...] | None = None


def relabeled(
    labels: NDArray[np.uint8], tissues: Sequence[Tissue] | None, background: int
) -> NDArray[np.uint8]:
    """Return labels as those of some tissues, None for all, with a background that may be more."""
    own = labels if tissues is None else folded(labels, tissues)
    return with_background(own, background)


def open_segmentation_split(
    data_dir: Path, split: str, tissues: Sequence[Tissue] = ABDOMINAL_TISSUES
) -> SegmentationSplit | None:
    """Map one split after checking file names, shapes and dtypes; values are not read.

    Labels of other tissues are read as muscle, if they are groups of it, or else as background, as
    muscle itself is where it is not asked for.

    None for a test split that is not there; a file that cannot be used is an error. ``bodycomp
    validate`` lists all reasons.
    """
    headers, issues = inspect_segmentation_split(data_dir, split, tissues)
    if issues:
        raise as_error(issues[0], data_dir / issues[0].where)
    if headers is None:
        return None
    arrays = map_array(headers.images), map_array(headers.masks)
    return SegmentationSplit(split, *arrays, headers.backgrounds, headers.tissues)


def inspect_segmentation_split(
    data_dir: Path, split: str, tissues: Sequence[Tissue] = ABDOMINAL_TISSUES
) -> tuple[SplitHeaders | None, tuple[Issue, ...]]:
    """Check what the files' names and headers say.

    Returns the headers if nothing is wrong with them, and the errors; neither for a test split that
    is not there.
    """
    paths = images_path(data_dir, split), masks_path(data_dir, split)
    if split in OPTIONAL_SPLITS and not any(path.exists() for path in paths):
        return None, ()
    images, masks = (inspect_array(path) for path in paths)
    declared = read_declaration(data_dir)
    errors = collect(_wrong_headers(images, masks, split), split)
    if isinstance(images, Issue) or isinstance(masks, Issue):
        return None, errors
    if isinstance(declared, Issue):
        return None, (*errors, declared)
    backgrounds = b"" if errors else declared.backgrounds(split, images.shape[0], tissues)
    if isinstance(backgrounds, Issue):
        return None, (backgrounds,)
    is_folded = MUSCLE not in tissues and not declared.has_fats_alone
    is_folded = is_folded or declared.has_more_tissues
    read_as = tuple(tissues) if is_folded else None
    headers = SplitHeaders(images, masks, declared.not_annotated, backgrounds, read_as)
    return (None if errors else headers), errors


def _wrong_headers(
    images: ArrayHeader | Issue, masks: ArrayHeader | Issue, split: str
) -> Iterator[Issue]:
    for issue in (images, masks):
        if isinstance(issue, Issue):
            is_half = issue.code == MISSING_FILE and split in OPTIONAL_SPLITS
            hint = f"The {split} split needs images and masks; add this file or remove the other."
            yield replace(issue, hint=hint) if is_half else issue
    if isinstance(images, ArrayHeader):
        yield from _wrong_images(images)
    if isinstance(masks, ArrayHeader) and masks.dtype != np.uint8:
        message = f"expected uint8 labels, found {masks.dtype}"
        hint = "Check that all values are labels 0, 1, 2, 3 and save masks.astype('uint8')."
        yield error("masks-dtype", masks.path.name, message, hint)
    if isinstance(images, Issue) or isinstance(masks, Issue):
        return
    if masks.shape != images.shape:
        message = f"expected the shape of {images.path.name}, {images.shape}, found {masks.shape}"
        hint = "Each image needs its mask, in the same order."
        yield error("shapes-differ", masks.path.name, message, hint)


def _wrong_images(header: ArrayHeader) -> Iterator[Issue]:
    name, shape, dtype = header.path.name, header.shape, header.dtype
    if len(shape) != 4:
        message = f"expected a 4-D array {_SHAPE_TEXT}, found {len(shape)}-D with shape {shape}"
        hint = "For (samples, 512, 512) add the channel axis: images[..., numpy.newaxis]."
        yield error("not-4d", name, message, hint)
    else:
        if shape[1:3] != SEGMENTATION_SIZE:
            message = (
                f"expected images of 512 x 512 pixels, found {shape[1]} x {shape[2]} ({shape})"
            )
            hint = "Resize images with interpolation and masks by nearest neighbour to 512 x 512."
            yield error("not-512x512", name, message, hint)
        if shape[3] != 1:
            message = f"expected a single channel, shape {_SHAPE_TEXT}, found {shape[3]} ({shape})"
            yield error("not-single-channel", name, message, "Keep one channel: images[..., :1].")
        if shape[0] == 0:
            message = f"expected at least one sample, found none (shape {shape})"
            yield error("no-samples", name, message, "Put at least one slice into each split.")
    if not ((dtype.kind == "i" and dtype.itemsize >= 2) or dtype.kind == "f"):
        message = f"expected signed integers of 16 bits or more, or floating point, found {dtype}"
        hint = "HU reach from about -1024 to 3071; save the raw HU, for instance as int16."
        yield error("images-dtype", name, message, hint)
