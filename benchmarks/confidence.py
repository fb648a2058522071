"""Whether confidence means what it says, on phantom series that took no part in any fit.

    python -m benchmarks.confidence MODEL [MODEL ...] [--series 120] [--seed 4711] [--found FILE]

Phantoms of a seed of their own are rendered at 256 x 256 every 4 mm, scored by each model, and
their level is looked for as an analysis does. Then some of the series, drawn 200 times, calibrate
the confidence, and the others tell, before and after: expected calibration error (|confidence -
share right| of bands, weighted by their size), Brier score, and share within 10 mm per band. A
perfect confidence has an error, too, with so few series: it is stated beside. Where a model's card
has a calibration, that one is stated on all series. ``--found`` keeps what was found.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bodycomp.analysis.confidence import calibrated, confidence_basis
from bodycomp.analysis.confidence_fit import fit_calibration
from bodycomp.analysis.level_verdict import ChoiceOptions, choose_slice
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.networks.checkpoint import Model, load_model
from bodycomp.networks.confidence_calibration import LevelCalibration
from bodycomp.networks.targets import target_to_offset
from bodycomp.phantom import Torso, sample_patient, sample_scan

SPACING_MM = 4.0
SIDE = 256
RIGHT_MM = 10.0
FIT_SERIES = (12, 40)
DRAWS = 200
BANDS = (0.0, 0.5, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Found:
    """The positions that a model found: confidence by the signs, and whether each is right."""

    confidence: np.ndarray
    right: np.ndarray

    def part(self, places: np.ndarray) -> Found:
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
    gray = [SOFT_TISSUE.to_gray(torso.render_slice(scan, float(z))[0]) for z in heights]
    return np.stack(gray), heights - torso.level_z_mm[level]


@torch.inference_mode()
def offsets_of(model: Model, gray: np.ndarray, level: str) -> np.ndarray:
    """Return (slice,) the offsets that a model estimates."""
    images = torch.from_numpy(np.stack([model.card.preprocessing.scale_gray(g) for g in gray]))
    images = images.reshape(len(gray), 1, SIDE, SIDE)
    logits = torch.cat([model.network(part) for part in torch.split(images, 16)])
    column = model.card.levels.index(level)
    return target_to_offset(torch.sigmoid(logits)[:, column].numpy(), scale_of(model))


def scale_of(model: Model) -> float:
    """Return the scale of a model's targets in mm."""
    if model.card.target_scale_mm is None:
        raise ValueError("a slice-selection model has a scale")
    return model.card.target_scale_mm


def find_levels(models: list[Model], seed: int, series: int, level: str) -> list[Found]:
    """Look for the level in every series with every model."""
    rows: list[list[tuple[float, bool]]] = [[] for _ in models]
    for index in range(series):
        gray, z_mm = phantom_series(seed, index, level)
        for model, found in zip(models, rows, strict=True):
            options = ChoiceOptions(scale_mm=scale_of(model))
            choice = choose_slice(level, offsets_of(model, gray, level), z_mm, options)
            if choice.z_mm is not None and choice.confidence is not None:
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


def error_by_chance(found: Found, rng: np.random.Generator) -> float:
    """Return the calibration error of a confidence that is right: outcomes drawn from it."""
    draws = [rng.random(len(found.confidence)) < found.confidence for _ in range(DRAWS)]
    return float(np.mean([calibration_error(Found(found.confidence, right)) for right in draws]))


def report(name: str, parts: list[Found], rng: np.random.Generator) -> None:
    """Print one reliability table, of all draws together."""
    errors = [calibration_error(part) for part in parts]
    chance = np.mean([error_by_chance(part, rng) for part in parts[:5]])
    print(
        f"  {name}: mean confidence {np.mean([p.confidence.mean() for p in parts]):.2f}, "
        f"right {np.mean([p.right.mean() for p in parts]):.2f}, "
        f"calibration error {np.mean(errors):.3f} (by chance {chance:.3f}), "
        f"Brier {np.mean([brier_score(part) for part in parts]):.3f}"
    )
    together = Found(*(np.concatenate(c) for c in zip(*map(_columns, parts), strict=True)))
    for (low, high), (confidence, right) in zip(pairwise(BANDS), _bands(together), strict=True):
        if len(right):
            print(
                f"    {low:.1f}..{high:.1f}  n {len(right) / len(parts):5.1f}  confidence "
                f"{confidence.mean():.2f}  within 10 mm {right.mean():.2f}"
            )


def _columns(found: Found) -> tuple[np.ndarray, np.ndarray]:
    return found.confidence, found.right


def report_fits(found: Found, rng: np.random.Generator) -> None:
    """Print what calibrations on a few and on more of the series do to the others."""
    for count in FIT_SERIES:
        if len(found.right) < 2 * count:
            print(f"  too few series to calibrate on {count} and validate on the others")
            continue
        before, after = [], []
        for _ in range(DRAWS):
            order = rng.permutation(len(found.right))
            fit, rest = found.part(order[:count]), found.part(order[count:])
            before.append(rest)
            made = fit_calibration(fit.confidence, fit.right)
            after.append(rest if made is None else rest.with_calibration(made))
        if count == FIT_SERIES[0]:
            report("signs alone", before, rng)
        report(f"calibrated on {count} series", after, rng)


def main() -> None:
    """Find, fit, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--series", type=int, default=120)
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument("--level", default="L3")
    parser.add_argument("--found", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    models = [load_model(path, task="slice_selection") for path in given.models]
    if given.found is not None and given.found.exists():
        kept = np.load(given.found)
        rows = [Found(kept[f"confidence_{i}"], kept[f"right_{i}"]) for i in range(len(models))]
    else:
        rows = find_levels(models, given.seed, given.series, given.level)
    if given.found is not None:
        columns: dict[str, Any] = {f"confidence_{i}": f.confidence for i, f in enumerate(rows)}
        np.savez(given.found, **columns | {f"right_{i}": f.right for i, f in enumerate(rows)})
    for path, model, found in zip(given.models, models, rows, strict=True):
        rng = np.random.default_rng(given.seed)
        print(f"{path}: found in {len(found.right)} series")
        report_fits(found, rng)
        own = (model.card.confidence.levels if model.card.confidence else {}).get(given.level)
        if own is not None:
            report(f"by its card, {confidence_basis(own)}", [found.with_calibration(own)], rng)


if __name__ == "__main__":
    main()
