"""Held-out series of one model -> the calibration of its confidence.

A logistic model of the logit of the signs (Platt, Advances in Large Margin Classifiers, 1999) with
normal priors about no change, so that few series move it moderately. What the series leave open is
averaged over (MacKay, Neural Computation 4:720, 1992): it draws confidence towards one half.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from bodycomp.analysis.confidence import COEFFICIENTS
from bodycomp.networks.confidence_calibration import LevelCalibration

FEWEST_SERIES: Final = 5
"""With fewer series in which the level was found nothing is said of a model."""

CLEAR_LOGIT: Final = COEFFICIENTS[0]
"""Logit of a curve without any sign of trouble; the shift is that of such a curve."""

SHIFT_SD: Final = 2.0
"""Prior standard deviation of the shift: models that are hardly ever right are not surprising."""

SLOPE_SD: Final = 0.5
"""Prior standard deviation of the slope about 1."""


def fit_calibration(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> LevelCalibration | None:
    """Fit the calibration of one level; None with fewer than five series.

    ``confidence`` (series,) is that of the held-out series in which the level was found, by the
    signs alone and inside 0..1; ``right`` says whether it was within 10 mm.
    """
    if confidence.size < FEWEST_SERIES:
        return None
    troubles = logit(confidence) - CLEAR_LOGIT  # (series,) 0 for a clear curve, else negative
    design = np.stack([np.ones_like(troubles), troubles], axis=1)
    prior_mean, prior_weight = np.array([0.0, 1.0]), np.array([SHIFT_SD, SLOPE_SD]) ** -2.0
    signs = np.where(right, 1.0, -1.0)

    def cost(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = CLEAR_LOGIT + design @ values
        away = values - prior_mean
        loss = np.logaddexp(0.0, -signs * logits).sum() + 0.5 * (prior_weight * away**2).sum()
        return float(loss), design.T @ (expit(logits) - right) + prior_weight * away

    fitted = minimize(cost, prior_mean, jac=True, method="L-BFGS-B", bounds=[(None, None), (0, 4)])
    shift, slope = fitted.x
    chance = expit(CLEAR_LOGIT + design @ fitted.x)
    precision = (design.T * (chance * (1 - chance))) @ design + np.diag(prior_weight)
    # The logit's variance at the mean series; one factor for all keeps the calibration a line.
    typical = design.mean(axis=0)
    variance = float(typical @ np.linalg.solve(precision, typical))
    shrink = 1 / np.sqrt(1 + np.pi * variance / 8)
    return LevelCalibration(
        intercept=float(shrink * (CLEAR_LOGIT + shift - slope * CLEAR_LOGIT)),
        slope=float(shrink * slope),
        series=int(confidence.size),
        right=int(np.count_nonzero(right)),
    )
