"""What is wrong with single PNG slices, or with how those of a split were windowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.findings import Finding, Place, Rule
from bodycomp.data.places import slice_place
from bodycomp.data.validate_hu import check_body
from bodycomp.imaging.hu_range import LEAST_TISSUE

PNG_INVERTED: Final = Rule(
    "png-inverted", "error", "Write grey = 255 - grey: air is black and bone is white."
)
PNG_NOT_WINDOWED: Final = Rule(
    "png-not-windowed",
    "warning",
    "Window the HU at level 40, width 400 before scaling: what lies outside is cut off on purpose.",
)

PNG_WITHOUT_TISSUE: Final = Rule(
    "png-without-tissue",
    "error",
    "Check the HU before windowing, rescale slope and intercept applied once: water is 0, air "
    "-1000 HU.",
)

WHITE_BORDER: Final = 200.0
BLACK_SHARE, WHITE_SHARE = 0.1, 1e-4
"""Phantom slices are black in 0.30 to 0.83 of their pixels, white in a median of 0.004."""

SOFT_GREY: Final = (40.0, 170.0)
"""Mean grey of the body: 53 to 141 in phantom slices."""


def check_greys(split: str, facts: NDArray[np.void]) -> Iterator[Finding]:
    """Yield what is wrong with the slices of a split, from ``SEEN_SLICE``."""
    yield from _check_tissue(split, facts[facts["seen"]])
    showing = facts["seen"] & (facts["sd_grey"] > 0)
    inverted = showing & (facts["border_grey"] >= WHITE_BORDER)
    for index in np.flatnonzero(inverted).tolist():
        found = float(facts[index]["border_grey"])
        message = f"expected black air around the body, found a mean of {found:.0f} at the border"
        yield PNG_INVERTED.broken(slice_place(split, index), message, found)
    upright = showing & ~inverted
    if not upright.any():
        return
    yield from _check_window(split, facts[upright])
    for index in np.flatnonzero(upright).tolist():
        sample = facts[index]
        size = int(sample["rows"]), int(sample["columns"])
        pixels = round(float(sample["body_share"]) * size[0] * size[1])
        yield from check_body(slice_place(split, index), sample["body_box"], pixels, size)


def _check_tissue(split: str, facts: NDArray[np.void]) -> Iterator[Finding]:
    """Judge the split as a whole: slices beyond the body may be black."""
    shares = 1 - facts["black_share"] - facts["white_share"]
    share = float(np.median(shares)) if len(facts) else 1.0
    if share < LEAST_TISSUE:
        message = (
            f"expected soft tissue, neither black nor white, in at least {LEAST_TISSUE:.0%} of the "
            f"pixels, found {share:.1%} (median of {len(facts)} slices)"
        )
        yield PNG_WITHOUT_TISSUE.broken(Place(f"images/{split}", split), message, share)


def _check_window(split: str, facts: NDArray[np.void]) -> Iterator[Finding]:
    """Judge the split as a whole: single slices may lack bone, or be full of body."""
    place = Place(f"images/{split}", split)
    black, white, body = (
        float(np.median(facts[name])) for name in ("black_share", "white_share", "body_grey")
    )
    if black < BLACK_SHARE:
        message = f"expected air cut off at 0, found {black:.1%} of the pixels there (median)"
        yield PNG_NOT_WINDOWED.broken(place, message, black)
    elif white < WHITE_SHARE:
        message = f"expected bone cut off at 255, found {white:.2%} of the pixels there (median)"
        yield PNG_NOT_WINDOWED.broken(place, message, white)
    elif not SOFT_GREY[0] <= body <= SOFT_GREY[1]:
        message = f"expected soft tissue near grey 53 to 141, found a mean of {body:.0f} (median)"
        yield PNG_NOT_WINDOWED.broken(place, message, body)
