"""Agreement of masks against SimpleITK, MONAI and brute force, on random and degenerate masks."""

import importlib
import math
import warnings
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from bodycomp.agreement.masks import ALL_TISSUES, MaskAgreement, compare_masks
from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    MUSCLE,
    NOT_ANNOTATED_LABEL,
    THORACIC_TISSUES,
    VISCERAL_FAT,
    background_or,
)
from bodycomp.errors import ImageError
from bodycomp.results import Quantity
from support.annotation_files import simpleitk

SITK = simpleitk()

SPACING = (0.8, 1.3)
KEYS = [tissue.key for tissue in ABDOMINAL_TISSUES]

MASKS = arrays(np.uint8, (7, 9), elements=st.integers(0, 3))
SPACINGS = st.tuples(st.floats(0.3, 3.0), st.floats(0.3, 3.0))


def regions(labels: np.ndarray) -> dict[str, np.ndarray]:
    each = {tissue.key: labels == tissue.label for tissue in ABDOMINAL_TISSUES}
    return each | {ALL_TISSUES: labels > 0}


def body_like(seed: int, size: int = 96) -> np.ndarray:
    """Rings and blobs with ragged borders, one of them cut off by the image's border."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size] - size / 2 + rng.uniform(-6, 6, (2, 1, 1))
    radius = np.hypot(row, column * 0.8) + rng.normal(0, 1.0, (size, size))
    labels = np.select([radius < 14, radius < 26, radius < 45], [3, 1, 2], 0)
    return labels.astype(np.uint8)


def both_there(mask: np.ndarray, truth: np.ndarray) -> list[str]:
    found, true = regions(mask), regions(truth)
    return [key for key in found if found[key].any() and true[key].any()]


def check_undefined_have_reasons(agreement: MaskAgreement) -> None:
    for name in MaskAgreement.__slots__:
        quantity: Quantity = getattr(agreement, name)
        assert (quantity.value is None) == bool(quantity.reason), name
        assert quantity.value is None or math.isfinite(quantity.value), name


# --- overlap ------------------------------------------------------------------------------------


@given(MASKS, MASKS)
def test_overlap_agrees_with_simpleitk(mask: np.ndarray, truth: np.ndarray) -> None:
    agreements = compare_masks(mask, truth, ABDOMINAL_TISSUES, SPACING)
    for key in both_there(mask, truth):
        overlap = SITK.LabelOverlapMeasuresImageFilter()
        images = (regions(labels)[key].astype(np.uint8) for labels in (truth, mask))
        overlap.Execute(*(SITK.GetImageFromArray(image) for image in images))
        assert agreements[key].dice.value == pytest.approx(overlap.GetDiceCoefficient(1))
        assert agreements[key].jaccard.value == pytest.approx(overlap.GetJaccardCoefficient(1))
        # Its volume similarity is 2 (truth - mask) / (truth + mask).
        similarity = overlap.GetVolumeSimilarity(1)
        error = agreements[key].relative_area_error.value
        assert error is not None
        assert error == pytest.approx(-2 * similarity / (2 + similarity), abs=1e-12)


# --- distances ----------------------------------------------------------------------------------


def brute_force(mask: np.ndarray, truth: np.ndarray, spacing: tuple[float, float]) -> list[float]:
    """Return HD95 and ASSD from all pairs of pixels that have a neighbour outside."""

    def surface(region: np.ndarray) -> np.ndarray:
        padded = np.pad(region, 1)
        points = [
            (row * spacing[0], column * spacing[1])
            for row, column in np.argwhere(padded)
            if not (
                padded[row - 1, column]
                and padded[row + 1, column]
                and padded[row, column - 1]
                and padded[row, column + 1]
            )
        ]
        return np.array(points)

    apart = cdist(surface(mask), surface(truth))
    there, back = apart.min(axis=1), apart.min(axis=0)
    hausdorff = max(np.percentile(there, 95), np.percentile(back, 95))
    return [float(hausdorff), float(np.concatenate([there, back]).mean())]


def simpleitk_distances(
    mask: np.ndarray, truth: np.ndarray, spacing: tuple[float, float]
) -> list[float]:
    """Return HD95 and ASSD from label contours and signed distance maps."""

    def contour(region: np.ndarray) -> Any:
        image = SITK.GetImageFromArray(np.pad(region, 2).astype(np.uint8))
        image.SetSpacing(spacing[::-1])
        return SITK.LabelContour(image, False)

    contours = [contour(mask), contour(truth)]
    ways = []
    for mine, other in (contours, contours[::-1]):
        far = SITK.SignedMaurerDistanceMap(other, squaredDistance=False, useImageSpacing=True)
        on_surface = SITK.GetArrayFromImage(mine) > 0
        ways.append(np.abs(SITK.GetArrayFromImage(far))[on_surface])
    hausdorff = max(np.percentile(way, 95) for way in ways)
    return [float(hausdorff), float(np.concatenate(ways).mean())]


def monai_distances(
    mask: np.ndarray, truth: np.ndarray, spacing: tuple[float, float]
) -> list[float]:
    pair = mask[None, None], truth[None, None]
    with warnings.catch_warnings():
        # MONAI passes an argument of its own that it has deprecated.
        warnings.simplefilter("ignore")
        metrics = importlib.import_module("monai.metrics")
        hausdorff = metrics.compute_hausdorff_distance(
            *pair, include_background=True, percentile=95, spacing=spacing
        )
        average = metrics.compute_average_surface_distance(
            *pair, include_background=True, symmetric=True, spacing=spacing
        )
    return [float(hausdorff), float(average)]


@given(MASKS, MASKS, SPACINGS)
def test_distances_agree_with_all_pairs_of_surface_pixels(
    mask: np.ndarray, truth: np.ndarray, spacing: tuple[float, float]
) -> None:
    agreements = compare_masks(mask, truth, ABDOMINAL_TISSUES, spacing)
    for key in both_there(mask, truth):
        found = [agreements[key].hausdorff95_mm.value, agreements[key].surface_distance_mm.value]
        expected = brute_force(regions(mask)[key], regions(truth)[key], spacing)
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("reference", [simpleitk_distances, monai_distances])
@pytest.mark.parametrize("seed", range(4))
def test_distances_agree_with_other_libraries(reference: object, seed: int) -> None:
    mask, truth = body_like(2 * seed), body_like(2 * seed + 1)
    agreements = compare_masks(mask, truth, ABDOMINAL_TISSUES, SPACING)
    for key in (*KEYS, ALL_TISSUES):
        found = [agreements[key].hausdorff95_mm.value, agreements[key].surface_distance_mm.value]
        expected = reference(regions(mask)[key], regions(truth)[key], SPACING)
        assert found == pytest.approx(expected, rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(MASKS, MASKS, SPACINGS)
def test_random_masks_agree_with_monai(
    mask: np.ndarray, truth: np.ndarray, spacing: tuple[float, float]
) -> None:
    agreements = compare_masks(mask, truth, ABDOMINAL_TISSUES, spacing)
    for key in both_there(mask, truth):
        found = [agreements[key].hausdorff95_mm.value, agreements[key].surface_distance_mm.value]
        expected = monai_distances(regions(mask)[key], regions(truth)[key], spacing)
        # MONAI takes percentiles in single precision, between distances that may be far larger.
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_distances_of_two_single_pixels_are_their_distance() -> None:
    mask, truth = np.zeros((2, 12, 12), np.uint8)
    mask[2, 3] = truth[5, 7] = MUSCLE.label
    agreement = compare_masks(mask, truth, ABDOMINAL_TISSUES, (2.0, 0.5))["muscle"]
    expected = math.hypot(3 * 2.0, 4 * 0.5)
    assert agreement.hausdorff95_mm.value == pytest.approx(expected)
    assert agreement.surface_distance_mm.value == pytest.approx(expected)
    assert (agreement.dice.value, agreement.jaccard.value) == (0, 0)


def test_a_region_cut_off_by_the_border_has_a_surface_there() -> None:
    mask = np.ones((6, 6), np.uint8)
    truth = mask.copy()
    truth[:, :2] = 0
    agreement = compare_masks(mask, truth, ABDOMINAL_TISSUES, (1.0, 1.0))["muscle"]
    expected = brute_force(mask == 1, truth == 1, (1.0, 1.0))
    assert expected[0] == 2
    assert agreement.hausdorff95_mm.value == expected[0]
    assert agreement.surface_distance_mm.value == pytest.approx(expected[1])


# --- areas and attenuation ----------------------------------------------------------------------


@given(MASKS, MASKS, st.integers(0, 99))
def test_areas_and_densities_by_their_definitions(
    mask: np.ndarray, truth: np.ndarray, seed: int
) -> None:
    hu = np.random.default_rng(seed).integers(-150, 150, mask.shape).astype(np.int16)
    agreements = compare_masks(mask, truth, ABDOMINAL_TISSUES, SPACING, hu)
    found, true = regions(mask), regions(truth)
    for key in (*KEYS, ALL_TISSUES):
        agreement = agreements[key]
        check_undefined_have_reasons(agreement)
        areas = [region[key].sum() * 0.8 * 1.3 / 100 for region in (found, true)]
        assert agreement.area_cm2.value == pytest.approx(areas[0])
        assert agreement.true_area_cm2.value == pytest.approx(areas[1])
        assert agreement.area_error_cm2.value == pytest.approx(areas[0] - areas[1], abs=1e-12)
        if areas[0] and areas[1]:
            expected = hu[found[key]].mean() - hu[true[key]].mean()
            assert agreement.mean_hu_error.value == pytest.approx(expected, abs=1e-9)


@given(MASKS, SPACINGS)
def test_a_mask_agrees_with_itself(mask: np.ndarray, spacing: tuple[float, float]) -> None:
    hu = np.arange(mask.size, dtype=np.int16).reshape(mask.shape)
    agreements = compare_masks(mask, mask, ABDOMINAL_TISSUES, spacing, hu)
    for key in both_there(mask, mask):
        agreement = agreements[key]
        assert (agreement.dice.value, agreement.jaccard.value) == (1, 1)
        errors = (
            agreement.hausdorff95_mm,
            agreement.surface_distance_mm,
            agreement.area_error_cm2,
            agreement.relative_area_error,
            agreement.mean_hu_error,
        )
        assert [error.value for error in errors] == [0] * 5


@given(MASKS, MASKS)
def test_nothing_changes_when_masks_lie_in_a_larger_image(
    mask: np.ndarray, truth: np.ndarray
) -> None:
    small = compare_masks(mask, truth, ABDOMINAL_TISSUES, SPACING)
    large = compare_masks(np.pad(mask, 5), np.pad(truth, 5), ABDOMINAL_TISSUES, SPACING)
    for key, agreement in small.items():
        ends = [astuple(each) for each in (agreement, large[key])]
        assert [q[0] for q in ends[0]] == pytest.approx([q[0] for q in ends[1]])


# --- what is undefined --------------------------------------------------------------------------

EMPTY = np.zeros((8, 8), np.uint8)
FULL = np.ones((8, 8), np.uint8)
HU = np.zeros((8, 8), np.int16)


@pytest.mark.parametrize(
    ("mask", "truth", "overlap", "relative", "reason"),
    [
        (EMPTY, EMPTY, None, None, "neither mask has this tissue"),
        (FULL, EMPTY, 0, None, "the truth has none of this tissue"),
        (EMPTY, FULL, 0, -1, "none of this tissue was found"),
    ],
)
def test_what_cannot_be_compared_says_why(
    mask: np.ndarray, truth: np.ndarray, overlap: float, relative: float, reason: str
) -> None:
    agreements = compare_masks(mask, truth, ABDOMINAL_TISSUES, SPACING, HU)
    for key in ("muscle", ALL_TISSUES):
        agreement = agreements[key]
        check_undefined_have_reasons(agreement)
        assert (agreement.dice.value, agreement.jaccard.value) == (overlap, overlap)
        assert agreement.relative_area_error.value == relative
        for quantity in (
            agreement.hausdorff95_mm,
            agreement.surface_distance_mm,
            agreement.mean_hu_error,
        ):
            assert quantity == Quantity(None, reason)
        assert agreement.area_cm2.value == pytest.approx(mask.sum() * 1.04 / 100)
        assert agreement.true_area_cm2.value == pytest.approx(truth.sum() * 1.04 / 100)


def test_without_spacing_and_hu_overlap_remains() -> None:
    mask, truth = body_like(0), body_like(1)
    agreement = compare_masks(mask, truth, ABDOMINAL_TISSUES, None)["muscle"]
    check_undefined_have_reasons(agreement)
    defined = {n for n in MaskAgreement.__slots__ if getattr(agreement, n).value is not None}
    assert defined == {"dice", "jaccard", "relative_area_error"}
    assert agreement.hausdorff95_mm.reason == "the pixel spacing is not known"


def test_hu_that_are_no_numbers_give_no_error() -> None:
    hu = np.full((8, 8), np.nan, np.float32)
    agreement = compare_masks(FULL, FULL, ABDOMINAL_TISSUES, SPACING, hu)["muscle"]
    assert agreement.mean_hu_error == Quantity(None, "HU are not finite")


def test_labels_of_tissues_that_are_not_compared_are_background() -> None:
    mask = np.full((8, 8), VISCERAL_FAT.label, np.uint8)
    mask[:4] = MUSCLE.label
    agreements = compare_masks(mask, mask * (mask == MUSCLE.label), THORACIC_TISSUES, SPACING)
    assert list(agreements) == ["muscle", "subcutaneous_fat", ALL_TISSUES]
    assert agreements[ALL_TISSUES].dice.value == 1


@pytest.mark.parametrize(
    ("mask", "truth", "spacing", "hu"),
    [
        (EMPTY, EMPTY[:4], SPACING, None),
        (EMPTY, EMPTY, SPACING, HU[:4]),
        (EMPTY, EMPTY, (0.0, 1.0), None),
        (EMPTY, EMPTY, (1.0, math.nan), None),
        (EMPTY[None], EMPTY[None], SPACING, None),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    mask: np.ndarray, truth: np.ndarray, spacing: tuple[float, float], hu: np.ndarray | None
) -> None:
    with pytest.raises(ImageError, match="expected"):
        compare_masks(mask, truth, ABDOMINAL_TISSUES, spacing, hu)


# --- pixels that are not annotated --------------------------------------------------------------


@given(MASKS, MASKS, arrays(np.bool_, (7, 9)))
def test_pixels_that_are_not_annotated_take_no_part_in_the_overlap(
    mask: np.ndarray, truth: np.ndarray, known: np.ndarray
) -> None:
    hidden = np.where(known, truth, NOT_ANNOTATED_LABEL).astype(np.uint8)
    found = compare_masks(mask, hidden, ABDOMINAL_TISSUES, SPACING, np.zeros(mask.shape))
    alone = compare_masks(mask[known][None], truth[known][None], ABDOMINAL_TISSUES, SPACING)
    whole = compare_masks(mask, truth, ABDOMINAL_TISSUES, SPACING)
    for key, agreement in found.items():
        assert agreement.dice.value == alone[key].dice.value
        assert agreement.jaccard.value == alone[key].jaccard.value
        assert agreement.area_cm2 == whole[key].area_cm2
        check_undefined_have_reasons(agreement)
        if not known.all():
            assert agreement.true_area_cm2 == Quantity(
                None, "a part of the slice was not annotated"
            )
            assert agreement.hausdorff95_mm.value is None
            assert agreement.mean_hu_error.value is None


def test_what_the_network_says_where_nobody_looked_changes_no_overlap() -> None:
    truth = body_like(1)
    truth[:40] = NOT_ANNOTATED_LABEL
    mask, other = body_like(2), body_like(2)
    other[:40] = 3 - other[:40]
    one, two = (compare_masks(m, truth, ABDOMINAL_TISSUES, SPACING) for m in (mask, other))
    assert {k: a.dice for k, a in one.items()} == {k: a.dice for k, a in two.items()}


def test_a_tissue_that_was_not_labeled_is_not_compared_and_the_others_are_as_ever() -> None:
    rng = np.random.default_rng(6)
    mask, truth = (rng.integers(0, 4, (30, 40)).astype(np.uint8) for _ in range(2))
    hu = rng.normal(0, 50, (30, 40))
    complete = compare_masks(mask, truth, ABDOMINAL_TISSUES, (0.8, 0.7), hu)
    hidden = np.where(truth <= 1, np.uint8(background_or([MUSCLE])), truth)
    found = compare_masks(mask, hidden, ABDOMINAL_TISSUES, (0.8, 0.7), hu)
    for key in ("subcutaneous_fat", "visceral_fat"):
        assert found[key] == complete[key]
    for key in ("muscle", ALL_TISSUES):
        assert found[key].area_cm2 == complete[key].area_cm2
        others = [getattr(found[key], name) for name in MaskAgreement.__slots__]
        reasons = {each.reason for each in others if each.value is None}
        assert reasons == {"this tissue was not labeled on the slice"}
        assert sum(each.value is not None for each in others) == 1
    hidden[:10] = NOT_ANNOTATED_LABEL
    part = compare_masks(mask, hidden, ABDOMINAL_TISSUES, (0.8, 0.7), hu)
    known = compare_masks(mask[10:], truth[10:], ABDOMINAL_TISSUES, None)
    assert part["visceral_fat"].dice == known["visceral_fat"].dice
    assert part["visceral_fat"].true_area_cm2.value is None
    assert part["muscle"].dice.value is None
