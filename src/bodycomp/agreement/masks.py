"""How well two label masks of one slice agree, tissue by tissue and over all tissues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.surfaces import (
    average_symmetric_mm,
    hausdorff95_mm,
    surface_distances_mm,
)
from bodycomp.anatomy import NOT_ANNOTATED_LABEL, Tissue
from bodycomp.errors import ImageError
from bodycomp.results import Quantity

ALL_TISSUES: Final = "all"
"""Key of the agreement of the union of all tissues: any of them against any of them."""

NO_SPACING: Final = "the pixel spacing is not known"
_NO_HU: Final = "there are no HU"
_NEITHER: Final = "neither mask has this tissue"
_NOT_IN_TRUTH: Final = "the truth has none of this tissue"
_NOT_FOUND: Final = "none of this tissue was found"
_PARTIAL: Final = "a part of the slice was not annotated"
_MM2_PER_CM2: Final = 100.0


@dataclass(frozen=True, slots=True)
class MaskAgreement:
    """How well a region that was found agrees with the true one.

    Where a part of the slice was not annotated, Dice and Jaccard are of the other pixels, the area
    that was found is whole, and all else is undefined.

    Attributes:
        dice: Twice the common pixels by the sum of both (Dice 1945), 0..1.
        jaccard: Common pixels by those of the union, 0..1. As Dice it is 0 where only one mask has
            the tissue, and undefined where neither has.
        hausdorff95_mm: ``surfaces.hausdorff95_mm``; undefined unless both masks have the tissue.
        surface_distance_mm: Average symmetric surface distance, ``surfaces.average_symmetric_mm``;
            undefined likewise.
        area_cm2, true_area_cm2: Areas of both; 0 for none.
        area_error_cm2: Found minus true.
        relative_area_error: Found minus true by true, 0.1 for 10 % too much; undefined where the
            truth has none.
        mean_hu_error: Mean HU of the found region minus mean HU of the true one; undefined unless
            both masks have the tissue.
    """

    dice: Quantity
    jaccard: Quantity
    hausdorff95_mm: Quantity
    surface_distance_mm: Quantity
    area_cm2: Quantity
    true_area_cm2: Quantity
    area_error_cm2: Quantity
    relative_area_error: Quantity
    mean_hu_error: Quantity


def compare_masks(
    mask: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    tissues: Sequence[Tissue],
    pixel_spacing_mm: tuple[float, float] | None,
    hu: NDArray[np.generic] | None = None,
) -> Mapping[str, MaskAgreement]:
    """Return tissue key -> agreement, and ``ALL_TISSUES`` -> that of the union of the tissues.

    Args:
        mask: (row, column) labels that were found.
        truth: Labels, same shape; ``NOT_ANNOTATED_LABEL`` where nobody says what is true.
        tissues: What is compared; pixels with other labels count as background.
        pixel_spacing_mm: Distance between rows and between columns; None where it is not known,
            which leaves areas and distances undefined.
        hu: Hounsfield units, same shape.

    Raises:
        ImageError: Shapes differ, or a spacing is not positive.
    """
    _check(mask, truth, pixel_spacing_mm, hu)
    known = truth != NOT_ANNOTATED_LABEL
    if not known.all():
        return _compare_partly(mask, truth, known, tissues, pixel_spacing_mm)
    box = _bounding_box(mask, truth)
    found, true = mask[box], truth[box]
    values = None if hu is None else np.asarray(hu[box], np.float64)
    agreements: dict[str, MaskAgreement] = {}
    every = np.zeros((2, *found.shape), np.bool_)
    for tissue in tissues:
        pair = np.stack([found == tissue.label, true == tissue.label])
        every |= pair
        agreements[tissue.key] = _compare_regions(pair, pixel_spacing_mm, values)
    agreements[ALL_TISSUES] = _compare_regions(every, pixel_spacing_mm, values)
    return agreements


def _compare_partly(
    mask: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    known: NDArray[np.bool_],
    tissues: Sequence[Tissue],
    pixel_spacing_mm: tuple[float, float] | None,
) -> Mapping[str, MaskAgreement]:
    """Compare the annotated pixels of a slice; of whole regions only what was found is known."""
    overlaps = compare_masks(mask * known, truth * known, tissues, None)
    labels: dict[str, tuple[int, ...]] = {tissue.key: (tissue.label,) for tissue in tissues}
    labels[ALL_TISSUES] = tuple(tissue.label for tissue in tissues)
    unknown = Quantity(None, _PARTIAL)
    return {
        key: MaskAgreement(
            dice=overlap.dice,
            jaccard=overlap.jaccard,
            hausdorff95_mm=unknown,
            surface_distance_mm=unknown,
            area_cm2=_area(int(np.isin(mask, labels[key]).sum()), pixel_spacing_mm),
            true_area_cm2=unknown,
            area_error_cm2=unknown,
            relative_area_error=unknown,
            mean_hu_error=unknown,
        )
        for key, overlap in overlaps.items()
    }


def _compare_regions(
    pair: NDArray[np.bool_],
    pixel_spacing_mm: tuple[float, float] | None,
    hu: NDArray[np.float64] | None,
) -> MaskAgreement:
    """Compare (2, row, column) regions: found and true."""
    found, true = (int(np.count_nonzero(region)) for region in pair)
    common = int(np.count_nonzero(pair[0] & pair[1]))
    missing = _missing(found, true)
    hausdorff, average = _surfaces(pair, pixel_spacing_mm, missing)
    return MaskAgreement(
        dice=_ratio(2 * common, found + true, _NEITHER),
        jaccard=_ratio(common, found + true - common, _NEITHER),
        hausdorff95_mm=hausdorff,
        surface_distance_mm=average,
        area_cm2=_area(found, pixel_spacing_mm),
        true_area_cm2=_area(true, pixel_spacing_mm),
        area_error_cm2=_area(found - true, pixel_spacing_mm),
        relative_area_error=_ratio(found - true, true, missing if true == 0 else ""),
        mean_hu_error=_mean_hu_error(pair, hu, missing),
    )


def _missing(found: int, true: int) -> str:
    """Return why two regions have no distance; empty if both are there."""
    if found and true:
        return ""
    if not found and not true:
        return _NEITHER
    return _NOT_IN_TRUTH if found else _NOT_FOUND


def _surfaces(
    pair: NDArray[np.bool_], pixel_spacing_mm: tuple[float, float] | None, missing: str
) -> tuple[Quantity, Quantity]:
    if missing or pixel_spacing_mm is None:
        nothing = Quantity(None, missing or NO_SPACING)
        return nothing, nothing
    one_way, other_way = surface_distances_mm(pair[0], pair[1], pixel_spacing_mm)
    return (
        Quantity(hausdorff95_mm(one_way, other_way)),
        Quantity(average_symmetric_mm(one_way, other_way)),
    )


def _ratio(part: int, whole: int, reason: str) -> Quantity:
    return Quantity(part / whole) if whole else Quantity(None, reason)


def _area(pixels: int, pixel_spacing_mm: tuple[float, float] | None) -> Quantity:
    if pixel_spacing_mm is None:
        return Quantity(None, NO_SPACING)
    row_mm, column_mm = pixel_spacing_mm
    return Quantity(pixels * row_mm * column_mm / _MM2_PER_CM2)


def _mean_hu_error(
    pair: NDArray[np.bool_], hu: NDArray[np.float64] | None, missing: str
) -> Quantity:
    if missing or hu is None:
        return Quantity(None, missing or _NO_HU)
    found, true = (float(hu[region].mean()) for region in pair)
    error = found - true
    return Quantity(error) if np.isfinite(error) else Quantity(None, "HU are not finite")


def _bounding_box(mask: NDArray[np.uint8], truth: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Return the rows and columns that hold all labels of both masks."""
    labelled = (mask > 0) | (truth > 0)
    sides = []
    for axis in (1, 0):
        places = np.flatnonzero(labelled.any(axis=axis))
        sides.append(slice(places[0], places[-1] + 1) if places.size else slice(0, 0))
    return sides[0], sides[1]


def _check(
    mask: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    pixel_spacing_mm: tuple[float, float] | None,
    hu: NDArray[np.generic] | None,
) -> None:
    if mask.ndim != 2:
        raise ImageError(f"expected masks of (row, column), found {mask.ndim} axes {mask.shape}")
    for name, array in (("truth", truth), ("HU", hu)):
        if array is not None and array.shape != mask.shape:
            raise ImageError(
                f"expected masks, truth and HU of one shape, found {mask.shape} and "
                f"{array.shape} ({name})"
            )
    if pixel_spacing_mm is not None and not all(0 < mm < np.inf for mm in pixel_spacing_mm):
        raise ImageError(f"expected a positive pixel spacing in mm, found {pixel_spacing_mm}")
