"""What one look at a segmentation sample tells: the numbers that rules and pictures are made of."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.data.body_mask import MATTER_ABOVE_HU, STEP, body_mask
from bodycomp.data.fingerprint import perceptual_hash, thumbnail
from bodycomp.data.leaks import DIGEST_BYTES, ROW_STEP, image_digest
from bodycomp.imaging.window import SOFT_TISSUE

TISSUES: Final = len(ABDOMINAL_TISSUES)
LOWEST_BIN_HU: Final = -1024
BIN_BITS: Final = 11
BINS: Final = 2**BIN_BITS
"""HU are counted in bins of 1 HU from -1024 to 1023; what lies beyond counts at the end."""

AIR_BELOW_HU: Final = -300
"""A pixel that holds less than this holds more air than tissue."""

SAMPLE_FACTS: Final = np.dtype(
    [
        ("lowest_hu", "<f4"),
        ("highest_hu", "<f4"),
        ("image_digest", f"V{DIGEST_BYTES}"),
        ("mask_digest", f"V{DIGEST_BYTES}"),
        ("perceptual_hash", "<u8"),
        ("body_pixels", "<u4"),
        ("body_box", "<u2", (4,)),
        ("pixels", "<u4", (TISSUES,)),
        ("mean_hu", "<f4", (TISSUES,)),
        ("sd_hu", "<f4", (TISSUES,)),
        ("air_share", "<f4", (TISSUES,)),
        ("outside_share", "<f4", (TISSUES,)),
        ("detached_pixels", "<u4"),
        ("single_pixels", "<u4"),
        ("rim_pixels", "<u4"),
    ]
)
"""Per sample: range of the image; digests of image (``image_digest``) and mask;
``perceptual_hash``; pixels of the body and its first and last row and column; and for each of
``ABDOMINAL_TISSUES`` its pixels, the mean and standard deviation of their HU (NaN without
pixels), the share of them that holds air, and the share outside the body (NaN likewise).
``detached_pixels`` are labelled matter outside the body: table, arms. ``single_pixels`` are
labelled unlike all four neighbours. ``rim_pixels`` are muscle one pixel wide between background and
subcutaneous fat along a row, which interpolated masks have along the skin."""


def describe_sample(hu: NDArray[Any], labels: NDArray[np.uint8]) -> tuple[np.void, NDArray[Any]]:
    """Look at one sample.

    Args:
        hu: (row, column) HU, finite.
        labels: (row, column) labels 0..3.

    Returns:
        ``SAMPLE_FACTS``, and the windowed image as (32, 32) means for comparisons.
    """
    facts: np.void = np.zeros(1, SAMPLE_FACTS)[0]
    facts["lowest_hu"], facts["highest_hu"] = hu.min(), hu.max()
    facts["image_digest"] = np.void(image_digest(hu))
    facts["mask_digest"] = np.void(_mask_digest(labels))
    small = thumbnail(SOFT_TISSUE(hu[::2, ::2]))
    facts["perceptual_hash"] = perceptual_hash(small)
    body = body_mask(hu[STEP // 2 :: STEP, STEP // 2 :: STEP], MATTER_ABOVE_HU)
    facts["body_pixels"] = np.count_nonzero(body) * STEP**2
    facts["body_box"] = _box(body)
    _describe_tissues(facts, hu, labels, body)
    facts["single_pixels"] = _single_pixels(labels)
    facts["rim_pixels"] = _rim_pixels(labels)
    return facts, small


def _describe_tissues(
    facts: np.void, hu: NDArray[Any], labels: NDArray[np.uint8], body: NDArray[np.bool_]
) -> None:
    counts = _joint_counts(hu, labels, body)
    values = np.arange(BINS, dtype=np.float64) + LOWEST_BIN_HU
    both = counts[:, 1:].sum(axis=0).astype(np.float64)
    pixels = both.sum(axis=1)
    air = AIR_BELOW_HU - LOWEST_BIN_HU
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: no pixels, no mean
        mean = both @ values / pixels
        spread = np.maximum(both @ values**2 / pixels - mean**2, 0)
        facts["air_share"] = both[:, :air].sum(axis=1) / pixels
        facts["outside_share"] = counts[1, 1:].sum(axis=1) / pixels
    facts["pixels"], facts["mean_hu"], facts["sd_hu"] = pixels, mean, np.sqrt(spread)
    facts["detached_pixels"] = counts[1, 1:, air:].sum()


def _joint_counts(
    hu: NDArray[Any], labels: NDArray[np.uint8], body: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return (inside or outside the body, label, HU bin) counts from one histogram."""
    rounded = hu if hu.dtype.kind == "i" else np.rint(hu)
    bins = np.clip(rounded, LOWEST_BIN_HU, LOWEST_BIN_HU + BINS - 1).astype(np.int16, copy=False)
    outside = np.repeat(np.where(body, 0, TISSUES + 1).astype(np.uint8), STEP, axis=1)
    classes = labels.reshape(len(body), STEP, -1) + outside[:, None, :]
    codes = bins - np.int16(LOWEST_BIN_HU)
    codes += np.left_shift(classes.reshape(labels.shape), BIN_BITS, dtype=np.int16)
    counts = np.bincount(codes.ravel(), minlength=2 * (TISSUES + 1) * BINS)
    return counts.reshape(2, TISSUES + 1, BINS)


def _mask_digest(labels: NDArray[np.uint8]) -> bytes:
    rows = np.ascontiguousarray(labels[::ROW_STEP])
    return hashlib.blake2b(rows.data, digest_size=DIGEST_BYTES).digest()


def _box(body: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return first and last row and column of the body in pixels of the whole image."""
    rows, columns = (np.flatnonzero(body.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return 0, 0, 0, 0
    first, last = (
        (rows[0] * STEP, columns[0] * STEP),
        ((rows[-1] + 1) * STEP - 1, (columns[-1] + 1) * STEP - 1),
    )
    return int(first[0]), int(last[0]), int(first[1]), int(last[1])


def _single_pixels(labels: NDArray[np.uint8]) -> int:
    """Count labelled pixels that differ from all four neighbours."""
    flat, width = labels.reshape(-1), labels.shape[1]
    middle = flat[width:-width]
    single = middle != 0
    for shift in (0, 2 * width, width - 1, width + 1):
        single &= middle != flat[shift : shift + len(middle)]
    return int(np.count_nonzero(single))


def _rim_pixels(labels: NDArray[np.uint8]) -> int:
    """Count runs 0, 1, 2 and 2, 1, 0 along rows."""
    flat = labels.reshape(-1)
    ends = flat[:-2] ^ flat[2:]
    between = (flat[1:-1] == 1) & (ends == 2) & ((flat[:-2] & 1) == 0)
    return int(np.count_nonzero(between))
