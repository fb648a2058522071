"""Augmentation by the compiled kernel: from a file's pixels to network input in one pass.

The meaning, and the numbers up to rounding, are those of ``data.augmentation``; masks and noise are
exactly the same.
"""

from __future__ import annotations

import ctypes
from typing import Final

import torch

from bodycomp.data.augmentation import AugmentationDraw, source_positions
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.window import PNG_WHITE
from bodycomp.native import library

SOURCE_BYTES: Final = {torch.int16: 2, torch.uint8: 1}
MAX_WIDTH: Final = 65535
"""Windowed pixels are kept as 16-bit integers on the way."""


class _Augmentation(ctypes.Structure):
    """``struct augmentation`` of ``native/augment.c``."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("images", "labels", "varied", "moved")),
        *((name, ctypes.c_void_p) for name in ("along_row", "along_column", "grey", "seeds")),
        *((name, ctypes.c_int64) for name in ("samples", "rows", "columns")),
        *((name, ctypes.c_int32) for name in ("bytes", "low", "width")),
        ("white", ctypes.c_float),
        ("threads", ctypes.c_int32),
    )


def can_augment(images: torch.Tensor, preprocessing: Preprocessing) -> bool:
    """Return whether the kernel is there and takes these images."""
    low_hu, width_hu = preprocessing.window.low_hu, preprocessing.window.width_hu
    whole_hu = float(low_hu).is_integer() and float(width_hu).is_integer()
    fits = images.dtype == torch.uint8 or (whole_hu and width_hu <= MAX_WIDTH)
    is_plain = images.device.type == "cpu" and images.is_contiguous()
    return images.dtype in SOURCE_BYTES and fits and is_plain and library() is not None


def augment_compact(
    images: torch.Tensor,
    masks: torch.Tensor | None,
    drawn: AugmentationDraw,
    preprocessing: Preprocessing,
    *,
    moves: bool,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Window and vary images that ``can_augment`` accepts, and move their masks.

    Args:
        images: (B, 1, rows, columns) int16 HU or uint8 grey levels.
        masks: (B, rows, columns) uint8, or None.
        drawn: What was drawn.
        preprocessing: The model's.
        moves: Whether pixels change place.

    Returns:
        Images float32 in [0, input_max], and the masks.
    """
    kernels = library()
    if kernels is None:
        raise RuntimeError("there are no compiled kernels")
    samples, _, rows, columns = images.shape
    white = preprocessing.input_max
    varied = torch.empty(images.shape, dtype=torch.float32)
    masks = None if masks is None else masks.contiguous()
    moved = None if masks is None else torch.empty_like(masks)
    offset = white / 2 * (1 - drawn.contrast) + drawn.brightness * white
    grey = torch.stack((drawn.sharpness, drawn.contrast, offset, drawn.noise * white), dim=1)
    positions = tuple(p.contiguous() for p in source_positions(drawn, rows, columns))
    is_grey = images.dtype == torch.uint8
    order = _Augmentation(
        images=images.data_ptr(),
        labels=_pointer(masks),
        varied=varied.data_ptr(),
        moved=_pointer(moved),
        along_row=_pointer(positions[0] if moves else None),
        along_column=_pointer(positions[1] if moves else None),
        grey=grey.data_ptr(),
        seeds=drawn.noise_seed.data_ptr(),
        samples=samples,
        rows=rows,
        columns=columns,
        bytes=SOURCE_BYTES[images.dtype],
        low=0 if is_grey else int(preprocessing.window.low_hu),
        width=PNG_WHITE if is_grey else int(preprocessing.window.width_hu),
        white=white,
        threads=torch.get_num_threads(),
    )
    if kernels.bodycomp_augment(ctypes.byref(order)):
        raise MemoryError("no memory to vary a batch of images")
    return varied, moved


def _pointer(tensor: torch.Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
