"""Scores along a series -> the slice of a vertebral level, or the reason why there is none.

The smoothed curve's ascending zero crossings are candidates; ``level_verdict`` decides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.confidence import confidence_basis, confidence_of
from bodycomp.analysis.expected_curve import ExpectedCurve
from bodycomp.analysis.level_verdict import SATURATION_SCALES, ChoiceOptions, verdict_of
from bodycomp.errors import ModelError
from bodycomp.networks.targets import offset_to_target, target_to_offset
from bodycomp.results import SliceChoice, zero_crossings_mm


def choose_slice(
    level: str,
    offset_mm: NDArray[np.floating],
    z_mm: NDArray[np.float64],
    options: ChoiceOptions | None = None,
) -> SliceChoice:
    """Choose the slice of one level.

    ``offset_mm`` (slice,) is as the network scored it; values beyond five scales are clipped. The
    level is found, between slices, or absent with the side on which it lies, or uncertain with the
    reason.

    Raises:
        ModelError: An offset is NaN.
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
