"""``python -m benchmarks.ensembles``: what folds, their ensemble and its intervals are worth.

Networks of five folds of phantom patients, trained as in ``benchmarks.partial_labels``, and their
mean, on patients of another anatomy that none has seen: Dice on average and in the worst case; how
wrong areas are where members differ by more than a limit, and where they do not; and how often
intervals hold the true area that were calibrated on other patients of either anatomy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.partial_labels import WAYS, Slices, preprocessing, slices_of, trained
from bodycomp.agreement.conformal import conformal_bounds
from bodycomp.analysis.members import LEAST_SPREAD_CM2
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.data.folds import share_out
from bodycomp.networks.area_intervals import COVERAGE, error_scale
from bodycomp.networks.ensemble import mean_of_probabilities

LIMITS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
WRONG_SHARE, WRONG_CM2 = 0.1, 5.0
"""An area that is off by more than both is called wrong."""

PIXEL_CM2 = 0.16
"""Of a slice of 96 pixels that is 38 cm wide."""


@dataclass(frozen=True)
class Found:
    """What networks found: (slice, tissue, network) pixels and Dice, the ensemble first."""

    areas: NDArray[np.float64]
    dice: NDArray[np.float64]
    true: NDArray[np.float64]
    patients: NDArray[np.intp]

    @property
    def errors(self) -> NDArray[np.float64]:
        """(slice, tissue) true minus the ensemble's area in cm2."""
        return self.true - self.areas[:, :, 0]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--patients", type=int, default=30)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    learnt = slices_of(range(options.patients))
    folds = share_out([str(number) for number in learnt[2]], options.folds)
    networks = [
        trained(some(learnt, folds != fold), WAYS[0], options.steps, fold)
        for fold in range(1, options.folds + 1)
    ]
    alike = found_by(networks, slices_of(range(1000, 1060)))
    other = found_by(networks, slices_of(range(60), "held-out"))
    for name, found in (("same anatomy", alike), ("other anatomy", other)):
        print_dice(name, found)
        print_disagreement(found)
    print_coverage("calibrated on the same anatomy, other patients", *halves(alike))
    print_coverage("calibrated and tested on the other anatomy", *halves(other))
    print_coverage("calibrated on the same, tested on the other", alike, other)


def some(slices: Slices, chosen: NDArray[np.bool_]) -> Slices:
    return slices[0][chosen], slices[1][chosen], slices[2][chosen]


@torch.no_grad()
def found_by(networks: Sequence[torch.nn.Module], slices: Slices) -> Found:
    hu, masks, patients = slices
    rows = []
    for image, mask in zip(hu, masks, strict=True):
        seen = torch.from_numpy(preprocessing().from_hu(image))[None, None]
        logits = [network(seen) for network in networks]
        labels = torch.cat([mean_of_probabilities(logits), *logits]).argmax(dim=1).numpy()
        own = [(labels == t.label, mask == t.label) for t in ABDOMINAL_TISSUES]
        rows.append([[(f & t).sum((1, 2)), f.sum((1, 2)), [t.sum()] * len(f)] for f, t in own])
    both, areas, true = np.moveaxis(np.array(rows, dtype=np.float64), 2, 0)
    with np.errstate(invalid="ignore"):
        dice = 2 * both / (areas + true)
    return Found(areas * PIXEL_CM2, dice, true[:, :, 0] * PIXEL_CM2, patients)


def print_dice(name: str, found: Found) -> None:
    of_slices = np.nanmean(found.dice, axis=1)
    for what, values in (
        ("mean Dice", of_slices.mean(axis=0)),
        ("worst of 20 slices (5th percentile)", np.quantile(of_slices, 0.05, axis=0)),
        ("worst slice", of_slices.min(axis=0)),
        ("mean error cm2", np.abs(found.areas - found.true[:, :, None]).mean(axis=(0, 1))),
    ):
        members = " ".join(f"{value:.4f}" for value in values[1:])
        print(f"{name}: {what}: ensemble {values[0]:.4f}, members {members}", flush=True)


def print_disagreement(found: Found) -> None:
    spread = np.ptp(found.areas[:, :, 1:], axis=2)
    share = spread / np.maximum(found.areas[:, :, 0], 1e-9)
    errors = np.abs(found.errors)
    wrong = (errors > WRONG_CM2) & (errors > WRONG_SHARE * found.true)
    for limit in LIMITS:
        flagged = (share > limit) & (spread > LEAST_SPREAD_CM2)
        among, others = (wrong[each].mean() if each.any() else 0.0 for each in (flagged, ~flagged))
        shares = (flagged.mean(), flagged.any(1).mean(), among, others, flagged[wrong].mean())
        print(
            "  limit {}: flagged {:.0%} of areas, {:.0%} of slices; wrong {:.0%} of them, {:.0%} "
            "of the others; {:.0%} of all wrong ones are flagged".format(limit, *shares)
        )


def halves(found: Found) -> tuple[Found, Found]:
    """Return the patients of even and those of odd numbers."""
    is_even = found.patients % 2 == 0
    one, other = (
        Found(found.areas[own], found.dice[own], found.true[own], found.patients[own])
        for own in (is_even, ~is_even)
    )
    return one, other


def print_coverage(name: str, known: Found, new: Found) -> None:
    """Print how often intervals hold the truth, and how wide they are on average."""
    scale = np.vectorize(error_scale)
    held, widths = [], []
    for column in range(len(ABDOMINAL_TISSUES)):
        errors = known.errors[:, column] / scale(known.areas[:, column, 0])
        numbers = dict.fromkeys(known.patients.tolist())
        own = [errors[known.patients == number] for number in numbers]
        low, high = conformal_bounds(own, COVERAGE)
        found = new.errors[:, column] / scale(new.areas[:, column, 0])
        held.append(float(((found >= low) & (found <= high)).mean()))
        widths.append(float(((high - low) * scale(new.areas[:, column, 0])).mean()))
    shown = ", ".join(
        f"{tissue.key} {share:.0%} ({width:.0f} cm2)"
        for tissue, share, width in zip(ABDOMINAL_TISSUES, held, widths, strict=True)
    )
    print(f"{name}: {shown}; all {np.mean(held):.0%}")


if __name__ == "__main__":
    main(sys.argv[1:])
