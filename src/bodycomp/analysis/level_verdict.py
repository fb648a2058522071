"""Scores along a series -> the slice of a vertebral level, or the reason why there is none.

The smoothed curve's ascending zero crossings are candidates. The whole expected curve decides among
them, and against the level lying outside the series, so that a false lobe far from the level
neither moves the choice nor makes one. What stays doubtful is reported as such, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.confidence import CurveSigns, confidence_basis, confidence_of, curve_signs
from bodycomp.analysis.expected_curve import ExpectedCurve, slice_extents_mm
from bodycomp.errors import ModelError, UsageError
from bodycomp.networks.confidence_calibration import LevelCalibration
from bodycomp.networks.targets import DEFAULT_SCALE_MM, offset_to_target, target_to_offset
from bodycomp.results import LevelStatus, SliceChoice, zero_crossings_mm

SATURATION_SCALES = 5.0
"""A slice farther away than this many scales scores within 0.7 % of 0 or 1: it says no more."""


@dataclass(frozen=True, slots=True)
class ChoiceOptions:
    """When a level counts as found.

    Attributes:
        scale_mm: Scale of the target that the network was trained on (its model card).
        smoothing_mm: Standard deviation of the smoothing along z; 0 for none.
        max_misfit: Largest mean difference between the scores and the expected curve, over the
            series and around the level; 0.22 lets a step pass, 0.29 would let noise pass.
        margin_mm: By how much a second position, farther than two scales away, must fit worse.
        calibrations: Level -> calibration of its confidence (the model card); levels that are
            missing have the confidence of the curve's signs alone.
        least_confidence: Below it a level that was found is uncertain (the model card).
    """

    scale_mm: float = DEFAULT_SCALE_MM
    smoothing_mm: float = 4.0
    max_misfit: float = 0.25
    margin_mm: float = 10.0
    calibrations: Mapping[str, LevelCalibration] = field(default_factory=dict)
    least_confidence: float = 0.0

    def __post_init__(self) -> None:
        if not (self.scale_mm > 0 and self.smoothing_mm >= 0 and self.margin_mm >= 0):
            raise UsageError("expected a positive scale, smoothing and margin of at least 0 mm")
        if not 0 < self.max_misfit < 1:
            raise UsageError(f"expected a misfit within 0..1, found {self.max_misfit}")


RIVAL_SHARE = 0.3
"""A second position must fit worse by at least this share of the best one's misfit."""

FAR_SCALES = 2.5
"""Slices farther than this from a level have an expected score beyond 0.92."""

CLEAR_SCALES = 1.5
"""Half of them must at least score like this offset, 0.82, or the body part is another one."""

NEAR_SCALES = 3.0
"""Slices farther from a level than this neither place it nor tell how the scores rise there."""

LEAST_SLOPE = 0.35
"""Scores that rise less than this share of the expected slope are not those of a level."""

LEAST_SPREAD = 0.1

FEWEST_FAR_SLICES = 3
"""With fewer slices on a side nothing is asked of them."""


_UNCLEAR: Final = (
    "slices look neither clearly above nor clearly below the level, as those of another part of "
    "the body"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the curve says: a position, or why there is none."""

    status: LevelStatus
    reason: str = ""
    z_mm: float | None = None
    slope_ratio: float | None = None
    signs: CurveSigns | None = None


def verdict_of(
    curve: ExpectedCurve, crossings_mm: NDArray[np.float64], options: ChoiceOptions
) -> Verdict:
    """Decide whether the best position is inside the series, alone, and good enough.

    ``crossings_mm`` are where the smoothed scores rise through one half.
    """
    if curve.z_mm.size < 2:
        return Verdict(LevelStatus.UNCERTAIN, "one slice alone shows no course of scores")
    positions = curve.candidate_positions(SATURATION_SCALES * options.scale_mm)
    misfits = curve.misfit_mm(positions)
    best_mm, best_misfit_mm = float(positions[np.argmin(misfits)]), float(misfits.min())
    if crossings_mm.size == 0 and _falls(curve, misfits, options.margin_mm):
        # In the series, the level would make the scores rise somewhere.
        return Verdict(LevelStatus.ABSENT, "the scores fall towards the head and rise nowhere")
    length_mm = float(slice_extents_mm(curve.z_mm).sum())
    if best_misfit_mm > options.max_misfit * length_mm:
        return _no_fit(curve, misfits, best_misfit_mm / length_mm, options)
    rivals = [*crossings_mm.tolist(), float(positions[0]), float(positions[-1])]
    rival_mm = _near_equal(curve, best_mm, rivals, options)
    if rival_mm is not None:
        return Verdict(LevelStatus.UNCERTAIN, _two_places(curve, best_mm, rival_mm))
    near = crossings_mm[np.abs(crossings_mm - best_mm) <= 2 * options.scale_mm]
    if near.size == 0:
        return _outside(curve, best_mm, options)
    return _inside(curve, float(near[np.argmin(np.abs(near - best_mm))]), options)


def _near_equal(
    curve: ExpectedCurve, best_mm: float, rivals_mm: list[float], options: ChoiceOptions
) -> float | None:
    """Return a rival beyond two scales that explains the scores almost as well, if any.

    Positions beyond an end of the series look alike, so one beyond the end near which the best
    position lies is its neighbour, not its rival.
    """
    reach_mm = 2 * options.scale_mm
    low, high = float(curve.z_mm[0]), float(curve.z_mm[-1])
    seen = [
        rival
        for rival in rivals_mm
        if abs(rival - best_mm) > reach_mm
        and not (rival < low and best_mm < low + reach_mm)
        and not (rival > high and best_mm > high - reach_mm)
    ]
    if not seen:
        return None
    misfits = curve.misfit_mm(np.array([best_mm, *seen]))
    closest = int(np.argmin(misfits[1:]))
    # The worse the best position fits, the clearer it must stand out.
    margin_mm = max(options.margin_mm, RIVAL_SHARE * float(misfits[0]))
    return seen[closest] if misfits[1 + closest] < misfits[0] + margin_mm else None


def _falls(curve: ExpectedCurve, misfits_mm: NDArray[np.float64], margin_mm: float) -> bool:
    """Whether scores that fall towards the head explain the curve better than rising ones."""
    positions = curve.candidate_positions(SATURATION_SCALES * curve.scale_mm)
    falling = replace(curve, score=1.0 - curve.score).misfit_mm(positions)
    return bool(falling.min() + margin_mm < misfits_mm.min())


def _no_fit(
    curve: ExpectedCurve,
    misfits_mm: NDArray[np.float64],
    difference: float,
    options: ChoiceOptions,
) -> Verdict:
    """Say why no position explains the scores, which differ by ``difference`` at the best one."""
    if _is_nowhere_clear(curve):
        return Verdict(LevelStatus.ABSENT, f"{_UNCLEAR}, wherever it would lie")
    falls = _falls(curve, misfits_mm, options.margin_mm)
    what = "fall towards the head, not rise" if falls else "do not follow the expected curve"
    return Verdict(
        LevelStatus.UNCERTAIN,
        f"the scores {what} (mean difference {difference:.2f}, at most {options.max_misfit:g} "
        "allowed)",
    )


def _outside(curve: ExpectedCurve, best_mm: float, options: ChoiceOptions) -> Verdict:
    """Say on which side of the series the level lies, as far as the curve shows it."""
    low, high = float(curve.z_mm[0]), float(curve.z_mm[-1])
    if low < best_mm < high and min(best_mm - low, high - best_mm) > options.scale_mm:
        return Verdict(
            LevelStatus.UNCERTAIN, "the smoothed scores do not rise through zero where they fit"
        )
    is_below = best_mm < (low + high) / 2
    beyond_mm = max(low - best_mm, 0.0) if is_below else max(best_mm - high, 0.0)
    side = "below the lowest" if is_below else "above the highest"
    distance = ""
    # Farther than four scales the end slices are saturated and show a direction only.
    if beyond_mm > 4 * options.scale_mm:
        distance = f" by more than {4 * options.scale_mm:.0f} mm"
    elif curve.local_misfit(best_mm, 3 * options.scale_mm, low if is_below else high) < 0.05:
        distance = f" by about {beyond_mm:.0f} mm"
    return Verdict(LevelStatus.ABSENT, f"the level lies {side} slice{distance}")


def _inside(curve: ExpectedCurve, crossing_mm: float, options: ChoiceOptions) -> Verdict:
    """Place the level at the crossing, if the scores around it look like a level."""
    reach_mm = NEAR_SCALES * options.scale_mm
    near = curve.around(crossing_mm, reach_mm)
    misfit, slope = curve.local_misfit(crossing_mm, reach_mm), near.slope_ratio(crossing_mm)
    if misfit > options.max_misfit:
        return Verdict(
            LevelStatus.UNCERTAIN,
            "the scores around the crossing do not rise as expected (mean difference "
            f"{misfit:.2f}, at most {options.max_misfit:g} allowed)",
        )
    if _stays_unclear(curve, crossing_mm):
        # Head, hands or legs: scores wander about zero without ever saying which way the level is.
        return Verdict(
            LevelStatus.ABSENT,
            f"{_UNCLEAR}, away from where the scores rise",
        )
    if slope < LEAST_SLOPE:
        return Verdict(
            LevelStatus.UNCERTAIN,
            f"the scores rise with {slope:.2f} of the expected slope, at least {LEAST_SLOPE:g} "
            "expected",
        )
    z_mm = near.refine(crossing_mm, options.scale_mm)
    return Verdict(
        LevelStatus.FOUND,
        z_mm=z_mm,
        slope_ratio=slope,
        signs=curve_signs(curve, z_mm, slope),
    )


def _stays_unclear(curve: ExpectedCurve, crossing_mm: float) -> bool:
    """Whether the slices far from a crossing, on either side of it, fail to tell their side."""
    height_mm, reach_mm = curve.z_mm - crossing_mm, FAR_SCALES * curve.scale_mm
    clear = _clear_score(curve)
    above, below = curve.score[height_mm > reach_mm], 1 - curve.score[height_mm < -reach_mm]
    return any(
        side.size >= FEWEST_FAR_SLICES and float(np.median(side)) < clear for side in (above, below)
    )


def _is_nowhere_clear(curve: ExpectedCurve) -> bool:
    """Whether no slice tells its side in a series so long that the level would leave some far.

    Scores that are all the same are those of a network that sees nothing.
    """
    clear = _clear_score(curve)
    is_long = curve.z_mm[-1] - curve.z_mm[0] > 2 * FAR_SCALES * curve.scale_mm
    differ = float(np.ptp(curve.score)) > LEAST_SPREAD
    return bool(is_long and differ and np.abs(curve.score - 0.5).max() < clear - 0.5)


def _clear_score(curve: ExpectedCurve) -> float:
    """Return the score of a slice that clearly lies above a level."""
    return float(offset_to_target(CLEAR_SCALES * curve.scale_mm, curve.scale_mm))


def _two_places(curve: ExpectedCurve, best_mm: float, rival_mm: float) -> str:
    low, high = float(curve.z_mm[0]), float(curve.z_mm[-1])

    def name(position_mm: float) -> str:
        if position_mm < low:
            return "below the series"
        return "above the series" if position_mm > high else f"at z = {position_mm:.0f} mm"

    return f"two positions fit almost equally well: {name(best_mm)} and {name(rival_mm)}"


def choose_slice(
    level: str,
    offset_mm: NDArray[np.floating],
    z_mm: NDArray[np.float64],
    options: ChoiceOptions | None = None,
) -> SliceChoice:
    """Choose the slice of one level.

    ``offset_mm`` (slice,) is as the network scored it; values beyond five scales are clipped, and
    NaN is a ModelError. The level is found, between slices, or absent with the side on which it
    lies, or uncertain with the reason.
    """
    options = options or ChoiceOptions()
    limit_mm = SATURATION_SCALES * options.scale_mm
    clipped = np.clip(np.asarray(offset_mm, dtype=np.float64), -limit_mm, limit_mm)
    if np.isnan(clipped).any():
        raise ModelError(
            f"the slice-selection network gave scores for {level} that are not numbers",
            hint="The weights are damaged or the training diverged; use another model.",
        )
    score = np.asarray(offset_to_target(clipped, options.scale_mm))
    smooth_score = np.clip(smooth_along_z(score, z_mm, options.smoothing_mm), 0.0, 1.0)
    smooth = np.clip(target_to_offset(smooth_score, options.scale_mm), -limit_mm, limit_mm)
    crossings_mm = zero_crossings_mm(smooth_score - 0.5, z_mm)
    verdict = verdict_of(ExpectedCurve(score, z_mm, options.scale_mm), crossings_mm, options)
    calibration, signs = options.calibrations.get(level), verdict.signs
    return SliceChoice(
        level=level,
        status=verdict.status,
        reason=verdict.reason,
        slice_index=None if verdict.z_mm is None else int(np.argmin(np.abs(z_mm - verdict.z_mm))),
        z_mm=verdict.z_mm,
        offset_mm=clipped.astype(np.float32),
        smoothed_offset_mm=smooth.astype(np.float32),
        crossings=len(crossings_mm),
        confidence=None if signs is None else confidence_of(signs, calibration),
        confidence_basis="" if signs is None else confidence_basis(calibration),
        slope_ratio=verdict.slope_ratio,
        numbering_doubt=None if signs is None else signs.numbering_doubt,
    )


def smooth_along_z(
    values: NDArray[np.floating], z_mm: NDArray[np.float64], sd_mm: float
) -> NDArray[np.float64]:
    """Smooth by a straight line fitted around each slice under a Gaussian weight in mm.

    A line, unlike a weighted mean, bends the curve neither at the ends of a series nor where the
    slice spacing changes: values that rise evenly come back unchanged.

    Values are (slice,); the result is not limited to their range. With ``sd_mm`` 0 they stay as
    they are.
    """
    given = np.asarray(values, dtype=np.float64)
    if sd_mm <= 0 or given.size < 2:
        return given
    away = z_mm[None, :] - z_mm[:, None]
    weight = np.exp(-0.5 * (away / sd_mm) ** 2)
    mass, first, second = (np.sum(weight * away**power, axis=1) for power in (0, 1, 2))
    mean, moment = weight @ given, (weight * away) @ given
    spread = mass * second - first**2
    # Where no neighbour lies within reach there is no line to fit: the slice keeps its value.
    lonely = spread <= 1e-6 * sd_mm**2 * mass**2
    safe = np.where(lonely, 1.0, spread)
    line: NDArray[np.float64] = np.where(lonely, given, (second * mean - first * moment) / safe)
    return line
