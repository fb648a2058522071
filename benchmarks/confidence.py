"""Whether confidence means what it says, on phantom series that took no part in any fit.

    python -m benchmarks.confidence MODEL [MODEL ...] [--series 100] [--fit 12] [--seed 4711]

Phantoms of a seed of their own are rendered at 256 x 256 every 4 mm, scored by each model, and
their level is looked for as an analysis does. ``--fit`` of them (the first) are what a user
calibrates on; the others tell, before and after: share of positions within 10 mm per band of
confidence, expected calibration error (bands weighted by their size) and Brier score. Where a
model's card has a calibration of its training already, that one is told, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from bodycomp.analysis.confidence import calibrated, confidence_basis
from bodycomp.analysis.confidence_fit import fit_calibration
from bodycomp.analysis.slice_selection import ChoiceOptions, choose_slice
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.networks.checkpoint import Model, load_model
from bodycomp.networks.confidence_calibration import LevelCalibration
from bodycomp.networks.targets import target_to_offset
from bodycomp.phantom import Torso, sample_patient, sample_scan

SPACING_MM = 4.0
SIDE = 256
RIGHT_MM = 10.0
BANDS = (0.0, 0.5, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Found:
    """The positions that a model found: confidence by the signs, and whether each is right."""

    confidence: np.ndarray
    right: np.ndarray

    def part(self, places: slice) -> Found:
        """Return some of them."""
        return Found(self.confidence[places], self.right[places])

    def with_calibration(self, made: LevelCalibration) -> Found:
        """Return the same positions with calibrated confidence."""
        return replace(self, confidence=np.array([calibrated(c, made) for c in self.confidence]))


def phantom_series(seed: int, index: int, level: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (slice, row, column) grey levels and (slice,) heights above the level in mm."""
    patient = sample_patient(seed, index)
    scan, torso = sample_scan(patient), Torso(patient)
    coarser = scan.matrix[0] / SIDE
    scan = replace(scan, matrix=(SIDE, SIDE), pixel_spacing_mm=scan.pixel_spacing_mm * coarser)
    heights = np.arange(scan.z_start_mm, scan.z_end_mm, SPACING_MM)
    grey = [SOFT_TISSUE.to_grey(torso.render_slice(scan, float(z))[0]) for z in heights]
    return np.stack(grey), heights - torso.level_z_mm[level]


@torch.inference_mode()
def offsets_of(model: Model, grey: np.ndarray, level: str) -> np.ndarray:
    """Return (slice,) the offsets that a model estimates."""
    images = torch.from_numpy(np.stack([model.card.preprocessing.scale_grey(g) for g in grey]))
    images = images.reshape(len(grey), 1, SIDE, SIDE)
    logits = torch.cat([model.network(part) for part in images.split(16)])
    column = model.card.levels.index(level)
    return target_to_offset(torch.sigmoid(logits)[:, column].numpy(), model.card.target_scale_mm)


def find_levels(models: list[Model], seed: int, series: int, level: str) -> list[Found]:
    """Look for the level in every series with every model."""
    rows: list[list[tuple[float, bool]]] = [[] for _ in models]
    for index in range(series):
        grey, z_mm = phantom_series(seed, index, level)
        for model, found in zip(models, rows, strict=True):
            options = ChoiceOptions(scale_mm=model.card.target_scale_mm)
            choice = choose_slice(level, offsets_of(model, grey, level), z_mm, options)
            if choice.z_mm is not None:
                found.append((choice.confidence, abs(choice.z_mm) <= RIGHT_MM))
    return [Found(*(np.array(c) for c in zip(*found, strict=True))) for found in rows]


def calibration_error(found: Found) -> float:
    """Return the mean over bands of |confidence - share right|, weighted by their size."""
    gaps = [len(c) * abs(float(c.mean()) - float(r.mean())) for c, r in _bands(found) if len(c)]
    return sum(gaps) / len(found.confidence)


def brier_score(found: Found) -> float:
    """Return the mean squared difference of confidence and outcome (Brier, 1950)."""
    return float(((found.confidence - found.right) ** 2).mean())


def _bands(found: Found) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for low, high in pairwise(BANDS):
        inside = (found.confidence >= low) & (found.confidence < high + (high == BANDS[-1]))
        yield found.confidence[inside], found.right[inside]


def report(name: str, found: Found) -> None:
    """Print one reliability table."""
    print(
        f"  {name}: n {len(found.right)}, mean confidence {found.confidence.mean():.2f}, "
        f"right {found.right.mean():.2f}, calibration error {calibration_error(found):.3f}, "
        f"Brier {brier_score(found):.3f}"
    )
    for (low, high), (confidence, right) in zip(pairwise(BANDS), _bands(found), strict=True):
        if len(right):
            print(
                f"    {low:.1f}..{high:.1f}  n {len(right):3}  confidence "
                f"{confidence.mean():.2f}  within 10 mm {right.mean():.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--series", type=int, default=100)
    parser.add_argument("--fit", type=int, default=12)
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument("--level", default="L3")
    given = parser.parse_args()
    models = [load_model(path, task="slice_selection") for path in given.models]
    torch.set_num_threads(1)
    for path, model, found in zip(
        given.models,
        models,
        find_levels(models, given.seed, given.series, given.level),
        strict=True,
    ):
        held_out = found.part(slice(given.fit, None))
        made = fit_calibration(found.confidence[: given.fit], found.right[: given.fit])
        print(f"{path}: found in {len(found.right)} of {given.series} series")
        report("signs alone", held_out)
        if made is not None:
            report(f"calibrated on {made.series} found", held_out.with_calibration(made))
        card = model.card.confidence
        if card is not None and given.level in card.levels:
            own = card.levels[given.level]
            report(f"by its card ({confidence_basis(own)})", held_out.with_calibration(own))


if __name__ == "__main__":
    main()
