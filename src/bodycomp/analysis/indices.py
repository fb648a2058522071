"""Formulas that turn areas, densities and a height into indices; one function each."""

from __future__ import annotations


def per_height_squared(area_cm2: float, height_m: float) -> float:
    """Return an area index in cm2/m2 (Prado et al., Lancet Oncol 9:629, 2008).

    >>> per_height_squared(147.0, 1.75)
    48.0
    """
    return area_cm2 / height_m**2


def area_ratio(area_cm2: float, other_cm2: float) -> float | None:
    """Return how many times one area is the other; None where the other is zero.

    >>> area_ratio(80.0, 160.0), area_ratio(80.0, 0.0)
    (0.5, None)
    """
    return area_cm2 / other_cm2 if other_cm2 > 0 else None


def muscle_gauge(index_cm2_m2: float, mean_hu: float) -> float:
    """Return the skeletal muscle gauge, index times density, in cm2 HU/m2.

    Source: Shachar et al., Clin Cancer Res 23:658, 2017.

    >>> muscle_gauge(48.0, 35.0)
    1680.0
    """
    return index_cm2_m2 * mean_hu
