"""What a scanner and its reconstruction do to an image, as drawn for one patient.

Noise power spectra were measured on uniform 28 x 28 pixel regions of five public series (a cubic
trend removed, the 30 regions with least structure, Hann window, radial mean; per mm):

| series (pixel 0.98 mm) | SD in HU | peak | half at | above 0.55 | lag-1 correlation |
|---|---|---|---|---|---|
| GE, soft, 4.25 mm, abdomen | 17 (12..33) | 0.20 | 0.38 | < 0.04 | x 0.58, y 0.20 |
| the same, fat of the flanks | 20 (8..29) | 0.21 | 0.32 | < 0.01 | x 0.84, y 0.07 |
| the same person, neck and chest | 14 (8..27) | <= 0.05 | 0.12 | < 0.01 | x 0.80, y 0.39 |
| Siemens, 3 mm, enhanced, arms down | 11 (9..16) | 0.10 | 0.27 | 0.07 | x 0.54, y 0.18 |
| GE, soft, 3.3 mm, man of 91 kg | 22 (12..29) | 0.23 | 0.39 | < 0.04 | x 0.43, y 0.26 |
| Siemens, 5 mm, pixel 1.37 mm, chest | 7 (5..9) | 0.11 | 0.31 | to Nyquist | x 0.30, y 0.16 |

So power rises about linearly up to a peak at 0.05 to 0.23 per mm and falls to nothing at 0.5 to
0.65 per mm; and in all of them noise is longer along the rows than across, most of all in the
flanks, because a body is wider than deep and long rays are the noisy ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ScannerVariety:
    """Noise, artefacts and edges of one scanner.

    Attributes:
        peak_per_mm: Frequency of the noise's greatest power.
        fall_per_mm: Where power has fallen to 1/e.
        steepness: Exponent of that fall; 2 soft, 6 abrupt.
        floor: Power at frequency zero relative to the peak.
        streaks: 0..1, share of noise in streaks along the rows.
        blotches: 0..1, share of noise in the waxy blotches of iterative reconstruction.
        noise_gain: Noise relative to the scan's own, 0.6 (denoised)..2.7 (starved of photons).
        starvation: How much more noise a broad body has, beyond what its size explains.
        sharpen: Overshoot at edges (positive) or blur (negative), relative to the step.
        cupping_hu: How much darker the middle is than the rim.
        tilt_hu: Difference from the right to the left rim; ``tilt_y_hu`` from front to back.
        ring_hu: Amplitude of rings around the axis of rotation.
        band_hu: Depth of dark bands between arms, shoulders or hips.
    """

    peak_per_mm: float
    fall_per_mm: float
    steepness: float
    floor: float
    streaks: float
    blotches: float
    noise_gain: float
    starvation: float
    sharpen: float
    cupping_hu: float
    tilt_hu: float
    tilt_y_hu: float
    ring_hu: float
    band_hu: float


def draw_scanner(rng: np.random.Generator, wide: bool, held_out: bool) -> ScannerVariety:
    """Draw a scanner; the held-out ones have spectra that peak where no trained one does."""
    if held_out:
        peak, steepness = rng.uniform(0.12, 0.17), rng.uniform(3.2, 4.2)
    else:
        peak = rng.uniform(0.03, 0.12) if rng.random() < 0.5 else rng.uniform(0.17, 0.3)
        steepness = rng.uniform(1.8, 3.2) if rng.random() < 0.6 else rng.uniform(4.2, 6.0)
    bias = 2.0 if wide else 1.0
    sharpen = float(rng.uniform(-0.8, 0.9)) if rng.random() < 0.6 else 0.0
    gain = float(np.exp(rng.uniform(np.log(0.6), np.log(1.9)))) * (1 + 0.5 * max(sharpen, 0.0))
    return ScannerVariety(
        peak_per_mm=float(peak),
        fall_per_mm=float(peak + rng.uniform(0.1, 0.3)),
        steepness=float(steepness),
        floor=float(rng.uniform(0.0, 0.6)),
        streaks=float(rng.beta(1.2, 2.5)),
        blotches=float(rng.uniform(0.2, 0.9)) if rng.random() < 0.35 else 0.0,
        noise_gain=gain,
        starvation=float(rng.uniform(0.0, 2.0)),
        sharpen=sharpen,
        cupping_hu=float(rng.normal(0, 3.0)) * bias,
        tilt_hu=float(rng.normal(0, 2.5)) * bias,
        tilt_y_hu=float(rng.normal(0, 2.5)) * bias,
        ring_hu=float(rng.uniform(0.5, 4.0)) if rng.random() < 0.12 else 0.0,
        band_hu=float(rng.uniform(4, 40)) if rng.random() < 0.25 else 0.0,
    )
