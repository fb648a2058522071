"""What one look at a PNG slice tells: the numbers that rules and pictures are made of."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.body_mask import body_mask
from bodycomp.data.fingerprint import perceptual_hash, thumbnail
from bodycomp.data.leaks import DIGEST_BYTES

COARSE_SIDE: Final = 128
MATTER_ABOVE_GREY: Final = 16
"""-135 HU in a window of 40/400: below fat, above clothes and cushions."""

SEEN_SLICE: Final = np.dtype(
    [
        ("content_digest", f"V{DIGEST_BYTES}"),
        ("image_digest", f"V{DIGEST_BYTES}"),
        ("perceptual_hash", "<u8"),
        ("rows", "<u2"),
        ("columns", "<u2"),
        ("mean_grey", "<f4"),
        ("sd_grey", "<f4"),
        ("black_share", "<f4"),
        ("white_share", "<f4"),
        ("body_share", "<f4"),
        ("body_grey", "<f4"),
        ("border_grey", "<f4"),
    ]
)
"""Per slice: digests of its file and of its pixels (``image_digest``), ``perceptual_hash``, size,
mean and standard deviation of all grey levels, shares of pixels that are 0 and 255, the share of
the image that the body takes, the body's mean grey, and the mean grey of the image's outermost
rows and columns. All zero where a file cannot be used."""


def describe_slice(grey: NDArray[np.uint8]) -> tuple[np.void, NDArray[Any]]:
    """Look at one slice as it was decoded, (row, column).

    Returns:
        ``SEEN_SLICE`` without the two digests, and (32, 32) means for comparisons.
    """
    facts: np.void = np.zeros(1, SEEN_SLICE)[0]
    counts = np.bincount(grey.ravel(), minlength=256)
    levels = np.arange(256)
    mean = float(counts @ levels) / grey.size
    facts["rows"], facts["columns"] = np.minimum(grey.shape, np.iinfo(np.uint16).max)
    facts["mean_grey"] = mean
    facts["sd_grey"] = np.sqrt(max(float(counts @ levels**2) / grey.size - mean**2, 0))
    facts["black_share"] = counts[0] / grey.size
    facts["white_share"] = counts[-1] / grey.size
    small = thumbnail(grey)
    facts["perceptual_hash"] = perceptual_hash(small)
    rows, columns = (max(1, side // COARSE_SIDE) for side in grey.shape)
    coarse = grey[rows // 2 :: rows, columns // 2 :: columns]
    body = body_mask(coarse, MATTER_ABOVE_GREY)
    facts["body_share"] = np.count_nonzero(body) / body.size
    facts["body_grey"] = coarse[body].mean() if body.any() else 0
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    facts["border_grey"] = border.mean()
    return facts, small
