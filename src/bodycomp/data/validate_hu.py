"""What is wrong with the HU of single images: shifted, cut off, or none that their tissue has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import MUSCLE
from bodycomp.data.findings import Finding, Place, Rule
from bodycomp.data.misfits import (
    FEWEST_PIXELS,
    GOOD_FIT,
    is_moved,
    is_turned,
    shift_of,
    tissue_means,
)
from bodycomp.data.places import images_place, sample_place
from bodycomp.data.sample_facts import FITTING_HU
from bodycomp.imaging.hu_range import LEAST_TISSUE, TISSUE_HU
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE

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
"""A brighter mean is not that of fat, however badly it was drawn."""

SMALL_SHARE: Final = 0.08
"""Bodies of the phantom take 0.23 to 0.70 of the image."""

EDGES_CUT: Final = 4
"""Large patients touch left and right, and a narrow field of view a third edge."""

TALL: Final = 1.15
"""Bodies of the phantom are 0.67 to 0.84 times as high as wide."""


def check_hu(split: str, facts: NDArray[np.void]) -> Iterator[Finding]:
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


def _check_split(split: str, facts: NDArray[np.void]) -> Iterator[Finding]:
    """Judge a split as a whole: its images may hold other things than HU.

    Bodies in a wide field of view show little tissue, too; theirs is where the masks say.
    """
    share = float(np.median(facts["tissue_share"])) if len(facts) else 1.0
    fits = facts["fit_share"][facts["pixels"].sum(axis=1) >= FEWEST_PIXELS]
    if share < LEAST_TISSUE and not (len(fits) and np.median(fits) >= GOOD_FIT):
        low, high = TISSUE_HU
        message = (
            f"expected soft tissue and fat, {low:.0f} to {high:.0f} HU, in at least "
            f"{LEAST_TISSUE:.0%} of the pixels, found {share:.1%} (median of {len(facts)} images)"
        )
        yield HU_SHIFTED.broken(images_place(split), message, share)


def check_body(
    place: Place, box: NDArray[np.uint16], pixels: int, size: tuple[int, int]
) -> Iterator[Finding]:
    """Yield what is wrong with where the body lies in an image.

    Args:
        place: The image.
        box: First and last row, first and last column of the body.
        pixels: Its area.
        size: Rows and columns of the image.
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


def _check_tissues(place: Place, sample: np.void) -> Iterator[Finding]:
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
