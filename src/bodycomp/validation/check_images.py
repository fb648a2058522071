"""What is wrong with single images, or with the values of a split as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import MUSCLE
from bodycomp.data.issues import Issue, Place, Rule, images_place, sample_place, slice_place
from bodycomp.imaging.hu_range import LEAST_TISSUE, TISSUE_HU, lacks_tissue
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE
from bodycomp.validation.segmentation_facts import (
    FITTING_HU,
    is_moved,
    is_turned,
    shift_of,
    tissue_means,
)

IMAGE_CONSTANT: Final = Rule(
    "image-constant", "warning", "Check the export, or leave this sample out."
)
HU_SHIFTED: Final = Rule(
    "hu-shifted",
    "error",
    "Apply the rescale slope and intercept of the DICOM header once: water is 0, air -1000 HU.",
)
TISSUES_SWAPPED: Final = Rule(
    "tissues-swapped",
    "error",
    "Fat is darker than muscle in every CT: swap the labels, or look for inverted images.",
)
HU_IMPLAUSIBLE: Final = Rule(
    "hu-implausible", "warning", "Look at image and mask: wrong label, wrong HU, or metal."
)
BODY_SMALL: Final = Rule(
    "body-small",
    "warning",
    "Check how the image was resized or padded; the body usually fills a third of it or more.",
)
BODY_CUT: Final = Rule(
    "body-cut", "warning", "Check how the image was cropped; areas of a body that is cut are small."
)
IMAGE_ON_ITS_SIDE: Final = Rule(
    "image-on-its-side",
    "warning",
    "Turn image and mask so that the front is on top; a body lying is wider than it is high.",
)

FATTEST_HU: Final = -10.0
"""A brighter mean is not that of fat, however badly it was annotated."""

SMALL_SHARE: Final = 0.08
"""Bodies of the phantom take 0.23 to 0.70 of the image."""

EDGES_CUT: Final = 4
"""Large patients touch left and right, and a narrow field of view a third edge."""

TALL: Final = 1.15
"""Bodies of the phantom are 0.67 to 0.84 times as high as wide."""

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

SOFT_GRAY: Final = (40.0, 170.0)
"""Mean grey of the body: 53 to 141 in phantom slices."""


def check_hu(split: str, facts: NDArray[np.void]) -> Iterator[Issue]:
    """Yield what is wrong with the images of a split, from ``SAMPLE_FACTS``."""
    yield from _check_split(split, facts[facts["seen"]])
    for index in np.flatnonzero(facts["seen"]).tolist():
        place, sample = sample_place(split, index), facts[index]
        if sample["lowest_hu"] == sample["highest_hu"]:
            message = f"expected a CT slice, found {sample['lowest_hu']:g} HU in all pixels"
            yield IMAGE_CONSTANT.broken(place, message, float(sample["lowest_hu"]))
            continue
        yield from _check_tissues(place, sample)
        yield from check_body(
            place, sample["body_box"], int(sample["body_pixels"]), SEGMENTATION_SIZE
        )


def _check_split(split: str, facts: NDArray[np.void]) -> Iterator[Issue]:
    """Check a split as a whole: its images may hold other things than HU, whatever is annotated."""
    if not len(facts):
        return
    share, matter = (float(np.median(facts[name])) for name in ("tissue_share", "matter_share"))
    if lacks_tissue(share, matter):
        low, high = TISSUE_HU
        message = (
            f"expected soft tissue and fat, {low:.0f} to {high:.0f} HU, in at least "
            f"{LEAST_TISSUE:.0%} of the pixels, found {share:.1%} (median of {len(facts)} images)"
        )
        yield HU_SHIFTED.broken(images_place(split), message, share)


def check_body(
    place: Place, box: NDArray[np.uint16], pixels: int, size: tuple[int, int]
) -> Iterator[Issue]:
    """Yield what is wrong with where the body lies in an image.

    ``box`` is its first and last row, first and last column; ``size`` the image's rows and columns.
    """
    share = pixels / (size[0] * size[1])
    if share < SMALL_SHARE:
        message = f"expected a body that fills the image, found {share:.1%} of it"
        yield BODY_SMALL.broken(place, message, share)
        return
    top, bottom, left, right = (int(value) for value in box)
    margin = (size[0] // 128, size[1] // 128)
    edges = sum(
        (
            top <= 0,
            bottom >= size[0] - 1 - margin[0],
            left <= 0,
            right >= size[1] - 1 - margin[1],
        )
    )
    if edges >= EDGES_CUT:
        message = f"expected air around the body, found it at {edges} edges of the image"
        yield BODY_CUT.broken(place, message, edges)
        return
    height, width = bottom - top + 1, right - left + 1
    if height > TALL * width:
        message = f"expected a body wider than high, found {height} rows and {width} columns"
        yield IMAGE_ON_ITS_SIDE.broken(place, message, height / width)


def _check_tissues(place: Place, sample: np.void) -> Iterator[Issue]:
    means = tissue_means(sample)
    if not means or is_turned(sample) or is_moved(sample):
        return
    shift = shift_of(sample)
    if shift:
        found = ", ".join(f"{tissue.title.lower()} {mean:.0f}" for tissue, mean in means.items())
        message = f"expected HU, found values that are {shift:+d} off: mean of {found}"
        yield HU_SHIFTED.broken(place, message, shift)
        return
    muscle = means.get(MUSCLE)
    for tissue, mean in means.items():
        if muscle is None or tissue is MUSCLE:
            continue
        if mean > max(muscle, FATTEST_HU):
            name = tissue.title.lower()
            message = f"expected {name} darker than muscle, found {mean:.0f} and {muscle:.0f} HU"
            yield TISSUES_SWAPPED.broken(place, message, mean - muscle)
            return
    for tissue, mean in means.items():
        low, high = FITTING_HU[tissue.label - 1]
        if not low <= mean <= high:
            name = tissue.title.lower()
            message = f"expected a mean of {low} to {high} HU in {name}, found {mean:.0f}"
            yield HU_IMPLAUSIBLE.broken(place, message, mean)


def check_grays(split: str, facts: NDArray[np.void]) -> Iterator[Issue]:
    """Yield what is wrong with the slices of a split, from ``SEEN_SLICE``."""
    yield from _check_tissue(split, facts[facts["seen"]])
    showing = facts["seen"] & (facts["sd_gray"] > 0)
    inverted = showing & (facts["border_gray"] >= WHITE_BORDER)
    for index in np.flatnonzero(inverted).tolist():
        found = float(facts[index]["border_gray"])
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


def _check_tissue(split: str, facts: NDArray[np.void]) -> Iterator[Issue]:
    """Check the split as a whole: slices beyond the body may be black."""
    shares = 1 - facts["black_share"] - facts["white_share"]
    share = float(np.median(shares)) if len(facts) else 1.0
    if share < LEAST_TISSUE:
        message = (
            f"expected soft tissue, neither black nor white, in at least {LEAST_TISSUE:.0%} of the "
            f"pixels, found {share:.1%} (median of {len(facts)} slices)"
        )
        yield PNG_WITHOUT_TISSUE.broken(Place(f"images/{split}", split), message, share)


def _check_window(split: str, facts: NDArray[np.void]) -> Iterator[Issue]:
    """Check the split as a whole: single slices may lack bone, or be full of body."""
    place = Place(f"images/{split}", split)
    black, white, body = (
        float(np.median(facts[name])) for name in ("black_share", "white_share", "body_gray")
    )
    if black < BLACK_SHARE:
        message = f"expected air cut off at 0, found {black:.1%} of the pixels there (median)"
        yield PNG_NOT_WINDOWED.broken(place, message, black)
    elif white < WHITE_SHARE:
        message = f"expected bone cut off at 255, found {white:.2%} of the pixels there (median)"
        yield PNG_NOT_WINDOWED.broken(place, message, white)
    elif not SOFT_GRAY[0] <= body <= SOFT_GRAY[1]:
        message = f"expected soft tissue near grey 53 to 141, found a mean of {body:.0f} (median)"
        yield PNG_NOT_WINDOWED.broken(place, message, body)
