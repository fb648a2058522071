"""The segmentation training set: images and masks of each split as two NumPy files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import NOT_ANNOTATED_LABEL
from bodycomp.data.arrays import ArrayHeader, inspect_array, map_array, open_array
from bodycomp.data.issues import MISSING_FILE, Issue, Rule, as_error, collect, error
from bodycomp.data.layout import LABELS_NAME, OPTIONAL_SPLITS, images_path, masks_path
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE
from bodycomp.storage import atomic_file

SAMPLE_SHAPE: Final = (*SEGMENTATION_SIZE, 1)
_SHAPE_TEXT: Final = "(samples, 512, 512, 1)"

DECLARATION: Final = {"not_annotated": NOT_ANNOTATED_LABEL}
LABELS_FILE: Final = Rule(
    "labels-file",
    "error",
    f"Write {json.dumps(DECLARATION)} into it, or remove it if every pixel is annotated.",
)


@dataclass(frozen=True, eq=False)
class SegmentationSplit:
    """One split, mapped into memory; pickled as file names, so that workers map it anew.

    (N, 512, 512, 1) HU of any signed or floating type, and uint8 labels, 255 where not annotated.
    """

    name: str
    images: NDArray[Any]
    masks: NDArray[np.uint8]

    def __len__(self) -> int:
        return int(self.images.shape[0])

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
    """The inspected files of one split, and whether masks may hold ``NOT_ANNOTATED_LABEL``."""

    images: ArrayHeader
    masks: ArrayHeader
    has_not_annotated: bool = False


def open_segmentation_split(data_dir: Path, split: str) -> SegmentationSplit | None:
    """Map one split after checking file names, shapes and dtypes; values are not read.

    None for a test split that is not there; a file that cannot be used is an error. ``bodycomp
    validate`` lists all reasons.
    """
    headers, issues = inspect_segmentation_split(data_dir, split)
    if issues:
        raise as_error(issues[0], data_dir / issues[0].where)
    if headers is None:
        return None
    return SegmentationSplit(split, map_array(headers.images), map_array(headers.masks))


def inspect_segmentation_split(
    data_dir: Path, split: str
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
    return (None if errors else SplitHeaders(images, masks, declared)), errors


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


def declare_not_annotated(data_dir: Path) -> None:
    """Write that 255 in the masks of a set means not annotated."""
    text = json.dumps(DECLARATION) + "\n"
    with atomic_file(data_dir / LABELS_NAME) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_declaration(data_dir: Path) -> bool | Issue:
    """Return whether 255 means not annotated, or why the file that should say so cannot be used.

    It lies beside the masks, so that it travels with them. Without it 255 is a label that a mask
    must not have: a mask that was scaled to 0..255 is not taken for one that is not finished.
    """
    path = data_dir / LABELS_NAME
    if not path.exists():
        return False
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as fault:
        reason = " ".join(str(fault).split())[:160]
        message = f"expected {json.dumps(DECLARATION)}, found a file that cannot be read ({reason})"
        return LABELS_FILE.broken(LABELS_NAME, message)
    if found != DECLARATION or isinstance(found["not_annotated"], bool | float):
        message = f"expected {json.dumps(DECLARATION)}, found {json.dumps(found)[:160]}"
        return LABELS_FILE.broken(LABELS_NAME, message)
    return True
