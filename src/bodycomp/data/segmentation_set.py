"""The segmentation training set: images and masks of each split as two NumPy files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.arrays import ArrayHeader, inspect_array, map_array, open_array
from bodycomp.data.findings import MISSING_FILE, Finding, FindingList, as_error
from bodycomp.data.label_file import read_declaration
from bodycomp.data.naming import OPTIONAL_SPLITS, images_path, masks_path
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE

SAMPLE_SHAPE: Final = (*SEGMENTATION_SIZE, 1)
_SHAPE_TEXT: Final = "(samples, 512, 512, 1)"


@dataclass(frozen=True, eq=False)
class SegmentationSplit:
    """One split, mapped into memory; pickled as file names, so that workers map it anew.

    Attributes:
        name: One of ``SPLITS``.
        images: (N, 512, 512, 1) HU, signed integers or floating point, any byte order.
        masks: (N, 512, 512, 1) uint8 labels; 255 where a pixel is not annotated.
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
    """The inspected files of one split.

    Attributes:
        images, masks: Headers of the files.
        has_not_annotated: Whether the set declares that masks may hold ``NOT_ANNOTATED_LABEL``.
    """

    images: ArrayHeader
    masks: ArrayHeader
    has_not_annotated: bool = False


def open_segmentation_split(data_dir: Path, split: str) -> SegmentationSplit | None:
    """Map one split after checking file names, shapes and dtypes; values are not read.

    Returns:
        The split, or None for a test split that is not there.

    Raises:
        InputNotFoundError: A file is missing.
        TrainingSetError: A file cannot be used; ``check_segmentation_set`` lists all reasons.
    """
    headers, findings = inspect_segmentation_split(data_dir, split)
    if findings:
        raise as_error(findings[0], data_dir / findings[0].where)
    if headers is None:
        return None
    return SegmentationSplit(split, map_array(headers.images), map_array(headers.masks))


def inspect_segmentation_split(
    data_dir: Path, split: str
) -> tuple[SplitHeaders | None, tuple[Finding, ...]]:
    """Check what the files' names and headers tell.

    Returns:
        The headers if nothing is wrong with them, and the errors. Neither for a test split that
        is not there.
    """
    paths = images_path(data_dir, split), masks_path(data_dir, split)
    if split in OPTIONAL_SPLITS and not any(path.exists() for path in paths):
        return None, ()
    images, masks = (inspect_array(path) for path in paths)
    declared = read_declaration(data_dir)
    findings = FindingList(split)
    for header in (images, masks):
        if isinstance(header, Finding):
            findings.add(_explain_half_split(header, split))
    if isinstance(images, ArrayHeader):
        _check_shape(findings, images)
        _check_images_dtype(findings, images)
    if isinstance(masks, ArrayHeader):
        _check_masks_dtype(findings, masks)
    if isinstance(images, Finding) or isinstance(masks, Finding):
        return None, findings.all()
    if isinstance(declared, Finding):
        return None, (*findings.all(), declared)
    if masks.shape != images.shape:
        message = f"expected the shape of {paths[0].name}, {images.shape}, found {masks.shape}"
        hint = "Each image needs its mask, in the same order."
        findings.error("shapes-differ", paths[1].name, message, hint)
    errors = findings.all()
    return (None if errors else SplitHeaders(images, masks, declared)), errors


def _explain_half_split(finding: Finding, split: str) -> Finding:
    if finding.code != MISSING_FILE or split not in OPTIONAL_SPLITS:
        return finding
    hint = f"The {split} split needs images and masks; add this file or remove the other."
    return Finding("error", finding.where, finding.message, hint, finding.code)


def _check_shape(findings: FindingList, header: ArrayHeader) -> None:
    name, shape = header.path.name, header.shape
    if len(shape) != 4:
        message = f"expected a 4-D array {_SHAPE_TEXT}, found {len(shape)}-D with shape {shape}"
        hint = "For (samples, 512, 512) add the channel axis: images[..., numpy.newaxis]."
        findings.error("not-4d", name, message, hint)
        return
    if shape[1:3] != SEGMENTATION_SIZE:
        message = f"expected images of 512 x 512 pixels, found {shape[1]} x {shape[2]} ({shape})"
        hint = "Resize images with interpolation and masks by nearest neighbour to 512 x 512."
        findings.error("not-512x512", name, message, hint)
    if shape[3] != 1:
        message = f"expected a single channel, shape {_SHAPE_TEXT}, found {shape[3]} ({shape})"
        findings.error("not-single-channel", name, message, "Keep one channel: images[..., :1].")
    if shape[0] == 0:
        message = f"expected at least one sample, found none (shape {shape})"
        findings.error("no-samples", name, message, "Put at least one slice into each split.")


def _check_images_dtype(findings: FindingList, header: ArrayHeader) -> None:
    dtype = header.dtype
    if (dtype.kind == "i" and dtype.itemsize >= 2) or dtype.kind == "f":
        return
    message = f"expected signed integers of 16 bits or more, or floating point, found {dtype}"
    hint = "HU reach from about -1024 to 3071; save the raw HU, for instance as int16."
    findings.error("images-dtype", header.path.name, message, hint)


def _check_masks_dtype(findings: FindingList, header: ArrayHeader) -> None:
    if header.dtype != np.uint8:
        message = f"expected uint8 labels, found {header.dtype}"
        hint = "Check that all values are labels 0, 1, 2, 3 and save masks.astype('uint8')."
        findings.error("masks-dtype", header.path.name, message, hint)
