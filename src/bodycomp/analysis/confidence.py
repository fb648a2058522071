"""How sure a level's position is, from what its curve of scores looks like.

The probability is that of a logistic model of three signs of trouble. An earlier fit of 3,000
simulated series gave the shipped constants and a gap of 0.018 between confidence and share of
right positions. What no sign shows, a network that is wrong in good order, shows in held-out
series of the model itself: its calibration (``confidence_fit``) moves the logit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit, logit

from bodycomp.analysis.expected_curve import ExpectedCurve, slice_extents_mm
from bodycomp.networks.confidence_calibration import LevelCalibration
from bodycomp.networks.targets import offset_to_target

CLOSE_MM: Final = 10.0
"""A position nearer than this to the truth is right: a third of a lumbar vertebra."""

HALF_VERTEBRA_MM: Final = 14.0
"""Half of the distance of vertebrae from T5 to L5 (``spine_fit``), on average."""

_NEAR_SCALES: Final = 3.0


@dataclass(frozen=True, slots=True)
class CurveSigns:
    """What speaks against a position.

    ``misfit_mm`` is the mean distance of the scores near it from the expected curve, as a shift
    along z; ``slope_off`` is 0 for an equal slope, 1 for half or twice as steep; ``end_mm`` is how
    much nearer than three scales an end of the series is; ``numbering_doubt`` is the share, 0..1,
    by which scores half a vertebra away speak for the next one above or below.
    """

    misfit_mm: float
    slope_off: float
    end_mm: float
    numbering_doubt: float = 0.0


def curve_signs(curve: ExpectedCurve, z_mm: float, slope_ratio: float) -> CurveSigns:
    """Return the signs of a position that was found."""
    reach_mm = _NEAR_SCALES * curve.scale_mm
    near = curve.around(z_mm, reach_mm)
    to_end_mm = min(z_mm - float(curve.z_mm[0]), float(curve.z_mm[-1]) - z_mm)
    # A shift by d mm has a misfit of about d mm in all; it is shared by the stretch that is seen.
    seen_mm = float(slice_extents_mm(near.z_mm).sum())
    misfit_mm = float(near.misfit_mm(np.array([z_mm]))[0]) * 2 * reach_mm / max(seen_mm, 1.0)
    return CurveSigns(
        misfit_mm,
        abs(float(np.log2(slope_ratio))),
        max(reach_mm - to_end_mm, 0.0),
        _numbering_doubt(curve, z_mm),
    )


def _numbering_doubt(curve: ExpectedCurve, z_mm: float) -> float:
    """Return how much the scores speak for the next vertebra.

    The score of a slice is the probability that the level lies below it. Where two neighbors are
    equally probable, half a vertebra above the lower one it is a half, not nearly 1.
    """
    ends = [z_mm + side * HALF_VERTEBRA_MM for side in (-1, 1)]
    seen = [end for end in ends if curve.z_mm[0] <= end <= curve.z_mm[-1]]
    expected = offset_to_target([end - z_mm for end in seen], curve.scale_mm)
    missing = np.sign(expected - 0.5) * (expected - np.interp(seen, curve.z_mm, curve.score))
    return float(missing.max(initial=0.0))


COEFFICIENTS: Final = (2.73, -0.118, -0.987, -0.009)
"""Intercept, and weights of misfit in mm, slope and end in mm."""


NOT_CALIBRATED: Final = "not calibrated for this model"


def confidence_of(signs: CurveSigns, calibration: LevelCalibration | None = None) -> float:
    """Return the probability that the level is within 10 mm of its position, 0..1.

    Without a calibration it is what the signs say.
    """
    terms = (1.0, signs.misfit_mm, signs.slope_off, signs.end_mm)
    sum_of_terms = sum(weight * term for weight, term in zip(COEFFICIENTS, terms, strict=True))
    by_signs = float(expit(sum_of_terms)) * (1 - signs.numbering_doubt)
    return by_signs if calibration is None else calibrated(by_signs, calibration)


def calibrated(confidence: float, calibration: LevelCalibration) -> float:
    """Return what a confidence by the signs alone, inside 0..1, means for one model."""
    return float(expit(calibration.apply(float(logit(confidence)))))


def confidence_basis(calibration: LevelCalibration | None) -> str:
    """Return in words what a confidence rests on.

    >>> confidence_basis(LevelCalibration(0.1, 0.9, series=12, right=10))
    'calibrated on 12 held-out series'
    """
    if calibration is None:
        return NOT_CALIBRATED
    return f"calibrated on {calibration.series} held-out series"
