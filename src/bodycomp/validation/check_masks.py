"""What is wrong with single masks: they do not fit their image, or no tissue looks like that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import MUSCLE, SUBCUTANEOUS_FAT, VISCERAL_FAT, Tissue
from bodycomp.data.issues import Issue, Place, Rule, sample_place
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE
from bodycomp.validation.segmentation_facts import TURNS, is_moved, is_turned, shift_of

MASK_EMPTY: Final = Rule(
    "mask-empty",
    "warning",
    "If nobody annotated this slice, leave it out: it teaches that there is no tissue here.",
)
MASK_NOT_ANNOTATED: Final = Rule(
    "mask-not-annotated", "warning", "Leave this sample out: nothing is learnt from it."
)
MASK_TURNED: Final = Rule(
    "mask-turned",
    "error",
    "Turn the mask as its image is turned: image and mask must come from one orientation.",
)
MASK_SHIFTED: Final = Rule(
    "mask-shifted",
    "error",
    "Cut, pad and resize the mask as its image: pixel by pixel they must lie on one another.",
)
MASK_MISFIT: Final = Rule(
    "mask-misfit",
    "warning",
    "Check that this is the mask of this image: the order of the samples, a shift, the HU.",
)
TISSUE_IN_AIR: Final = Rule(
    "tissue-in-air",
    "warning",
    "Check for a shifted or grown mask, and for lung under a label.",
)
TISSUE_OUTSIDE_BODY: Final = Rule(
    "tissue-outside-body",
    "warning",
    "Remove labels on the table and on arms; the body's largest part alone is measured.",
)
TISSUE_FILLS_BODY: Final = Rule(
    "tissue-fills-body", "warning", "Check whether a filled contour was exported as this label."
)
MASK_SPARSE: Final = Rule(
    "mask-sparse",
    "warning",
    "Finish the annotation or leave the slice out: what is not labelled is learnt as background.",
)
TISSUE_MISSING: Final = Rule(
    "tissue-missing",
    "warning",
    "Annotate the tissue or leave the slice out: what is not labelled is learnt as background.",
)
FATS_SWAPPED: Final = Rule(
    "fats-swapped", "error", "Swap labels 2 (subcutaneous) and 3 (visceral) of this mask."
)
MASK_SPECKS: Final = Rule(
    "mask-specks", "warning", "Remove specks, for instance left by a threshold or by compression."
)
MASK_INTERPOLATED: Final = Rule(
    "mask-interpolated",
    "warning",
    "Resize masks by nearest neighbour: interpolation makes up labels along borders.",
)

BAD_FIT: Final = 0.75
"""Phantom masks fit by 0.957 and more, those of other patients by 0.21 to 0.68."""

AIR_SHARE: Final = 0.03
"""Phantom masks hold up to 0.003 of air."""

DETACHED_PIXELS, DETACHED_SHARE = 150, 0.005
"""Phantom masks have up to 0.0018 of their pixels outside the body, by its coarse contour."""

FILLING_SHARE, SPARSE_SHARE = 0.8, 0.1
"""A tissue of the phantom fills up to 0.55 of the body, all labels at least 0.50."""

SPECK_SHARE: Final = 0.003
"""Of the phantom's labelled pixels up to 0.0008 stand alone."""

RIM_PIXELS: Final = 120
"""Phantom masks have up to 29, interpolated ones several hundred."""

OUTERMOST_SHARE: Final = 0.6
INNERMOST_SHARE: Final = 0.05
"""Of rows that begin with visceral and with subcutaneous fat where the two are swapped. Where a
narrow field cuts flanks off, many begin with visceral fat, too, but others with subcutaneous."""

USUAL_SHARE: Final = 0.9


_Broken = tuple[Rule, str, float | int]


def check_masks(split: str, facts: NDArray[np.void], tissues: Sequence[Tissue]) -> Iterator[Issue]:
    """Yield what is wrong with the masks of a split, from ``SAMPLE_FACTS``."""
    usual = _usual_tissues(facts, tissues)
    for index in np.flatnonzero(facts["seen"]).tolist():
        place = sample_place(split, index, "masks")
        sample = facts[index]
        labeled = int(sample["pixels"].sum())
        if not labeled:
            yield from _unlabeled(place, sample["unknown_pixels"])
            continue
        broken = [*_missing(sample, usual), *_edges(sample, labeled)]
        if sample["body_pixels"] and not shift_of(sample):  # else there is nothing to compare with
            broken += (*_fit(sample), *_places(sample, labeled), *_amounts(sample, labeled))
        for rule, message, value in broken:
            yield rule.broken(place, message, value)


def _unlabeled(place: Place, unknown: NDArray[np.uint32]) -> Iterator[Issue]:
    """Check a mask without tissue; where a part is not annotated, the tissue may be there."""
    if not unknown.all():  # some tissue was labeled everywhere
        yield MASK_EMPTY.broken(place, "expected labelled tissue, found background alone", 0)
    elif unknown.min() == np.prod(SEGMENTATION_SIZE):
        yield MASK_NOT_ANNOTATED.broken(place, "expected annotated pixels, found none", 0)


def _fit(sample: np.void) -> Iterator[_Broken]:
    fit = float(sample["fit_share"])
    found = (
        f"expected a mask that fits its image, found HU of the labelled tissue in {fit:.0%} of "
        "its pixels, and in"
    )
    if is_turned(sample):
        turn = TURNS[int(sample["turn"])]
        yield MASK_TURNED, f"{found} {sample['turned_fit_share']:.0%} if it is {turn}", fit
    elif is_moved(sample):
        down, across = (int(pixels) for pixels in sample["shift"])
        moved = f"moved by {down:+d} rows and {across:+d} columns"
        yield MASK_SHIFTED, f"{found} {sample['shifted_fit_share']:.0%} if it is {moved}", fit
    elif fit < BAD_FIT:
        message = (
            "expected HU of muscle (-29..150) and fat (-190..-30) where they are labelled, "
            f"found them in {fit:.0%} of the pixels"
        )
        yield MASK_MISFIT, message, fit


def _places(sample: np.void, labeled: int) -> Iterator[_Broken]:
    air = float((sample["air_share"] * sample["pixels"])[sample["pixels"] > 0].sum()) / labeled
    if air > AIR_SHARE:
        message = f"expected tissue where there is matter, found air in {air:.1%} of the pixels"
        yield TISSUE_IN_AIR, message, air
    detached = int(sample["detached_pixels"])
    if detached > max(DETACHED_PIXELS, DETACHED_SHARE * labeled):
        message = f"expected labels in the body, found {detached} pixels on parts beside it"
        yield TISSUE_OUTSIDE_BODY, message, detached


def _amounts(sample: np.void, labeled: int) -> Iterator[_Broken]:
    body = int(sample["body_pixels"])
    largest = int(sample["pixels"].argmax())
    share = int(sample["pixels"][largest]) / body
    if share > FILLING_SHARE:
        message = f"expected several tissues in the body, found label {largest + 1} in {share:.0%}"
        yield TISSUE_FILLS_BODY, message, share
    share = (labeled + int(sample["unknown_pixels"].max())) / body
    if share < SPARSE_SHARE:
        message = f"expected most of the body to be labelled, found {share:.1%} of it"
        yield MASK_SPARSE, message, share


def _missing(sample: np.void, usual: Sequence[Tissue]) -> Iterator[_Broken]:
    for tissue in usual:
        if not (sample["pixels"] + sample["unknown_pixels"])[tissue.label - 1]:
            message = f"expected {tissue.title.lower()} as in other samples, found none"
            yield TISSUE_MISSING, message, tissue.label


def _edges(sample: np.void, labeled: int) -> Iterator[_Broken]:
    fats = [tissue.label - 1 for tissue in (SUBCUTANEOUS_FAT, VISCERAL_FAT)]
    inner, share = sample["outermost"][fats] / max(1, int(sample["outermost"].sum()))
    if sample["pixels"][fats].all() and share > OUTERMOST_SHARE and inner < INNERMOST_SHARE:
        message = (
            "expected subcutaneous fat (2) around visceral fat (3), "
            f"found visceral fat outermost in {share:.0%} of the rows"
        )
        yield FATS_SWAPPED, message, float(share)
    single = int(sample["single_pixels"])
    if single > SPECK_SHARE * labeled:
        message = f"expected connected tissue, found {single} pixels unlike all their neighbours"
        yield MASK_SPECKS, message, single
    rim = int(sample["rim_pixels"])
    if rim > RIM_PIXELS:
        message = (
            f"expected no muscle between skin and fat, found {rim} rows with one pixel of it there"
        )
        yield MASK_INTERPOLATED, message, rim


def _usual_tissues(facts: NDArray[np.void], tissues: Sequence[Tissue]) -> list[Tissue]:
    """Return muscle and subcutaneous fat if nearly all samples have them that say where it is."""
    is_labeled = facts["pixels"].sum(axis=1) > 0
    usual = []
    for tissue in (MUSCLE, SUBCUTANEOUS_FAT):
        is_whole = is_labeled & (facts["unknown_pixels"][:, tissue.label - 1] == 0)
        pixels = facts["pixels"][is_whole, tissue.label - 1]
        if tissue in tissues and len(pixels) and (pixels > 0).mean() >= USUAL_SHARE:
            usual.append(tissue)
    return usual
