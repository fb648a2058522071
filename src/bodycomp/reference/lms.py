"""Curves of percentiles over age: L, M and S as natural splines, by maximum likelihood.

Values are Box-Cox normal at each age (Cole and Green, Stat Med 11:1305, 1992), with L as it is, M
and S as logarithms. Each is a natural cubic spline through knots at quantiles of age, whose number
is raised as long as the generalized information criterion, 3 for each parameter, falls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize

from bodycomp.reference.table import Curve

Floats = NDArray[np.float64]

PERCENTILES: Final = (5.0, 50.0, 95.0)
"""Those that get a confidence interval."""

_MOST_KNOTS: Final = (2, 6, 3)  # of L, M and S
_KNOTS_AGELESS: Final = (1, 1, 1)
_PENALTY: Final = 3.0
"""For each parameter: between AIC (2) and BIC (the logarithm of n), as is usual for such curves."""

_DRAWS: Final = 500
_L_LIMIT: Final = 15.0


@dataclass(frozen=True, eq=False)
class LmsFit:
    """A fitted curve.

    Attributes:
        knots: Ages of the knots of L, M and S.
        values: L, log M and log S at their knots, in one vector.
        covariance: Of these values, by the sandwich estimator, which holds for people whose values
            are not quite Box-Cox normal, too.
        shift: Added to values before.
        criterion: Generalized information criterion, with 3 for each parameter.
    """

    knots: tuple[Floats, Floats, Floats] = field(repr=False)
    values: Floats = field(repr=False)
    covariance: Floats = field(repr=False)
    shift: float
    criterion: float

    def curve(self, ages: Sequence[float], seed: int = 0) -> Curve:
        """Return the curve at these ages, with 95 % intervals from draws of the values."""
        at = np.asarray(ages, np.float64)
        bases = [_basis(knots, at) for knots in self.knots]
        draws = np.random.default_rng(seed).multivariate_normal(
            self.values, self.covariance, _DRAWS, method="eigh"
        )
        power, median, spread = _lms(self.values[None], bases)
        low: dict[str, tuple[float, ...]] = {}
        high: dict[str, tuple[float, ...]] = {}
        for percentile in PERCENTILES:
            drawn = _percentile(percentile, *_lms(draws, bases)) - self.shift
            ends = np.quantile(drawn, (0.025, 0.975), axis=0)
            name = f"{percentile:g}"
            low[name], high[name] = (_rounded(end) for end in ends)
        return Curve(
            ages=tuple(float(age) for age in at),
            l=_rounded(power[0]),
            m=_rounded(median[0]),
            s=_rounded(spread[0]),
            shift=self.shift,
            low=low,
            high=high,
        )


def fit_lms(ages: Floats | None, values: Floats, shift: float = 0.0) -> LmsFit:
    """Fit a curve to people's values; without ages one distribution.

    Args:
        ages: (person,) years.
        values: (person,) values, above ``-shift``.
        shift: Added to the values before.

    Raises:
        ValueError: A value is not above ``-shift``, or all are the same.
    """
    shifted = np.asarray(values, np.float64) + shift
    if not shifted.min() > 0 or np.ptp(shifted) == 0:
        raise ValueError("expected values above 0 that differ")
    at = np.zeros_like(shifted) if ages is None else np.asarray(ages, np.float64)
    counts = _KNOTS_AGELESS if ages is None or np.ptp(at) == 0 else (1, 2, 1)
    best = _fitted(at, shifted, counts, shift)
    grows = counts != _KNOTS_AGELESS
    while grows:
        power, median, spread = map(len, best.knots)
        tried = [
            _fitted(at, shifted, more, shift, best) for more in _larger((power, median, spread))
        ]
        found = min(tried, key=lambda fit: fit.criterion, default=best)
        grows = found.criterion < best.criterion
        best = found if grows else best
    return best


def _larger(counts: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """Return the numbers of knots with one more for M, S or L, as far as there may be one more."""
    power, median, spread = counts
    tried = [(power, median + 1, spread), (power, median, spread + 1), (power + 1, median, spread)]
    return [
        each for each in tried if all(n <= most for n, most in zip(each, _MOST_KNOTS, strict=True))
    ]


def _fitted(
    ages: Floats,
    shifted: Floats,
    counts: tuple[int, int, int],
    shift: float,
    start: LmsFit | None = None,
) -> LmsFit:
    knots = _knots(ages, counts)
    bases = [_basis(each, ages) for each in knots]
    if start is None:
        logs = np.log(shifted)
        first = np.repeat([1.0, np.median(logs), np.log(max(float(np.std(logs)), 1e-4))], counts)
    else:
        parts = np.split(start.values, np.cumsum([len(each) for each in start.knots])[:-1])
        first = np.concatenate(
            [
                _basis(old, new) @ part
                for old, new, part in zip(start.knots, knots, parts, strict=True)
            ]
        )
    bounds = [(-_L_LIMIT, _L_LIMIT)] * counts[0] + [(None, None)] * (counts[1] + counts[2])
    count = len(shifted)

    def objective(theta: Floats) -> tuple[float, Floats]:
        loss, scores = _likelihood(theta, bases, shifted)
        return float(loss.mean()), scores.mean(axis=0)

    found = minimize(objective, first, jac=True, method="L-BFGS-B", bounds=bounds)
    theta = np.asarray(found.x, np.float64)
    return LmsFit(
        knots=knots,
        values=theta,
        covariance=_sandwich(theta, bases, shifted),
        shift=shift,
        criterion=2 * count * float(found.fun) + _PENALTY * len(theta),
    )


def _knots(ages: Floats, counts: tuple[int, int, int]) -> tuple[Floats, Floats, Floats]:
    """Return knots at evenly spaced quantiles, the first and the last person included."""
    found = [
        np.quantile(ages, np.linspace(0, 1, count) if count > 1 else [0.5]) for count in counts
    ]
    return found[0], found[1], found[2]


def _basis(knots: Floats, ages: Floats) -> Floats:
    """Return (age, knot): how much the value at each knot counts at each age."""
    if len(knots) == 1:
        return np.ones((len(ages), 1))
    inside = np.clip(ages, knots[0], knots[-1])
    rows: Floats = CubicSpline(knots, np.eye(len(knots)), bc_type="natural")(inside)
    return rows


def _lms(theta: Floats, bases: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    """Return L, M and S, each (draw, age), of (draw, parameter) values."""
    first, second = np.cumsum([basis.shape[1] for basis in bases])[:2]
    power = theta[:, :first] @ bases[0].T
    median = np.exp(theta[:, first:second] @ bases[1].T)
    spread = np.exp(theta[:, second:] @ bases[2].T)
    return power, median, spread


def _percentile(percentile: float, power: Floats, median: Floats, spread: Floats) -> Floats:
    z = NormalDist().inv_cdf(percentile / 100)
    safe = np.where(np.abs(power) < 1e-6, 1e-6, power)
    values: Floats = median * np.maximum(1 + safe * spread * z, 1e-9) ** (1 / safe)
    return values


def _likelihood(theta: Floats, bases: Sequence[Floats], shifted: Floats) -> tuple[Floats, Floats]:
    """Return each person's negative log likelihood, without constants, and its gradient."""
    power, median, spread = (each[0] for each in _lms(theta[None], bases))
    u = np.log(shifted) - np.log(median)
    lu = np.clip(power * u, -50, 50)
    grown = np.exp(lu)
    small = np.abs(lu) < 1e-4
    safe = np.where(np.abs(power) < 1e-12, 1e-12, power)
    h = np.where(small, u * (1 + lu / 2 + lu**2 / 6), np.expm1(lu) / safe)
    slope = np.where(small, u**2 * (0.5 + lu / 3), (u * grown - np.expm1(lu) / safe) / safe)
    z = h / spread
    loss = z**2 / 2 + np.log(spread) - power * u
    by_power = z * slope / spread - u
    by_median = power - z * grown / spread
    by_spread = 1 - z**2
    parts = zip((by_power, by_median, by_spread), bases, strict=True)
    return loss, np.hstack([each[:, None] * basis for each, basis in parts])


def _sandwich(theta: Floats, bases: Sequence[Floats], shifted: Floats) -> Floats:
    """Return the covariance of fitted values; second derivatives are differences of the first."""
    step = 1e-4
    ends = [
        [_likelihood(theta + sign * step * unit, bases, shifted)[1].sum(axis=0) for sign in (1, -1)]
        for unit in np.eye(len(theta))
    ]
    hessian = np.array([(up - down) / (2 * step) for up, down in ends])
    inverse = np.linalg.pinv((hessian + hessian.T) / 2)
    scores = _likelihood(theta, bases, shifted)[1]
    covariance: Floats = inverse @ (scores.T @ scores) @ inverse
    return covariance


def _rounded(row: Floats) -> tuple[float, ...]:
    return tuple(round(float(each), 6) for each in row)


def percentiles_at(curve: Curve, ages: Sequence[float]) -> Mapping[float, Floats]:
    """Return percentile -> its values at some ages."""
    rows = [np.interp(ages, curve.ages, row)[None] for row in (curve.l, curve.m, curve.s)]
    return {each: _percentile(each, *rows)[0] - curve.shift for each in PERCENTILES}
