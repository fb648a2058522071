"""What one look at a PNG slice shows: the numbers that rules and pictures are made of."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.imaging.body_mask import body_box, body_mask
from bodycomp.validation.details import DIGEST_BYTES, describe_details, perceptual_hash

COARSE_SIDE: Final = 128
MATTER_ABOVE_GRAY: Final = 16
"""-135 HU in a window of 40/400: below fat, above clothes and cushions."""

SEEN_SLICE: Final = np.dtype(
    [
        ("seen", "?"),
        ("content_digest", f"V{DIGEST_BYTES}"),
        ("image_digest", f"V{DIGEST_BYTES}"),
        ("perceptual_hash", "<u8"),
        ("rows", "<u2"),
        ("columns", "<u2"),
        ("mean_gray", "<f4"),
        ("sd_gray", "<f4"),
        ("black_share", "<f4"),
        ("white_share", "<f4"),
        ("body_share", "<f4"),
        ("body_gray", "<f4"),
        ("border_gray", "<f4"),
        ("air_share", "<f4"),
        ("body_box", "<u2", (4,)),
    ]
)
"""Per slice: whether it could be decoded; digests of its file and of its pixels
(``image_digest``); ``perceptual_hash``; size,
mean and standard deviation of all grey levels, shares of pixels that are 0 and 255, the share of
the image that the body takes, the body's mean grey, the mean grey of the image's outermost
rows and columns, the share of the body that is black (lungs, bowel gas), and the body's first and
last row and column. All zero where a file cannot be used."""


def describe_slice(gray: NDArray[np.uint8]) -> tuple[np.void, np.void]:
    """Look at a (row, column) slice; return ``SEEN_SLICE`` without digests, and ``DETAIL``."""
    facts: np.void = np.zeros(1, SEEN_SLICE)[0]
    facts["seen"] = True
    counts = np.bincount(gray.ravel(), minlength=256)
    levels = np.arange(256)
    mean = float(counts @ levels) / gray.size
    facts["rows"], facts["columns"] = np.minimum(gray.shape, np.iinfo(np.uint16).max)
    facts["mean_gray"] = mean
    facts["sd_gray"] = np.sqrt(max(float(counts @ levels**2) / gray.size - mean**2, 0))
    facts["black_share"] = counts[0] / gray.size
    facts["white_share"] = counts[-1] / gray.size
    step = (max(1, gray.shape[0] // COARSE_SIDE), max(1, gray.shape[1] // COARSE_SIDE))
    coarse = gray[step[0] // 2 :: step[0], step[1] // 2 :: step[1]]
    body = body_mask(coarse, MATTER_ABOVE_GRAY)
    inside = coarse[body]
    facts["body_share"] = len(inside) / body.size
    facts["body_gray"] = inside.mean() if len(inside) else 0
    facts["air_share"] = np.count_nonzero(inside == 0) / max(1, len(inside))
    facts["body_box"] = box = body_box(body, step)
    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    facts["border_gray"] = border.mean()
    detail = describe_details(gray, box, 1.0)
    facts["perceptual_hash"] = perceptual_hash(detail["thumbnail"].astype(np.float32))
    return facts, detail
