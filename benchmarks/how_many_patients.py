"""``python -m benchmarks.how_many_patients OUT [--picture PNG]``: how many patients to annotate.

A segmentation is fine-tuned from the default model on a few patients of the held-out anatomy, one
slice each at L3, whose true masks stand for the person who outlines, and judged on others of that
anatomy. Compared are recipes, the default model with fresh weights of the same network, and
patients drawn by chance with those that ``bodycomp suggest`` would name, by the model so far.

Every fifth annotated patient validates and trains nothing. A training is short, and of the same
number of steps whatever the number of patients and the start. Each leaves a file: the same command
does what is left, or draws what is there.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

import bodycomp
from bodycomp.analysis.inference import NetworkSegmenter
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.data.writers import SegmentationWriter
from bodycomp.imaging.volume import Volume
from bodycomp.networks.checkpoint import load_model
from bodycomp.networks.shipped import DEFAULT_MODELS, SEGMENTATION_FOLDER, shipped_room
from bodycomp.suggestion.disagreement import disagreement
from default_models.segmentation_set import Patients

POOL, TEST = 60, 30
"""Patients that may be annotated, and those that judge."""
SEEDS = {"pool": 940, "test": 950}
FIRST_ROUND = 10
"""So many patients the default model suggests; then as many again, by the model so far."""
EPOCHS, STEPS = 2, 16
"""Epochs of a training, and its steps in each."""


@dataclass(frozen=True)
class Recipe:
    """How a training goes on from the default model."""

    rate: float
    norms: str = "moving"
    strong: bool = False
    batch: int = 2

    @property
    def name(self) -> str:
        """Of its files."""
        more = f"-strong-{self.batch}" if self.strong else ""
        return f"{self.rate:g}-{self.norms}{more}"

    @property
    def words(self) -> str:
        """What it is, for a picture."""
        more = f", strong, steps of {self.batch}" if self.strong else ""
        return f"rate {self.rate:g}, norms {self.norms}{more}"


BEST = Recipe(1e-4, norms="frozen")
STRONG = Recipe(3e-4, norms="frozen", strong=True, batch=4)
PLAIN, SCRATCH = Recipe(3e-4), Recipe(3e-3)
RECIPES = (BEST, Recipe(3e-4, norms="frozen"), STRONG, PLAIN, Recipe(1e-3), Recipe(3e-3))


@dataclass(frozen=True)
class Job:
    """One training: on how many patients, chosen how, from what."""

    patients: int
    choice: str = "random"
    start: str = "default"
    recipe: Recipe = BEST
    order: int = 0

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.choice}{self.order}-{self.start}-{self.patients:02d}-{self.recipe.name}"

    @property
    def words(self) -> str:
        """What it is, for a picture."""
        start = "" if self.start == "default" else ", fresh weights"
        return f"{self.patients} {CHOSEN[self.choice]}: {self.recipe.words}{start}"


DEFAULT = Job(0, recipe=Recipe(1e-3))


@dataclass(frozen=True)
class Slices:
    """(patient, row, column) HU and labels."""

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.hu)

    def volume(self, index: int) -> Volume:
        """Return a slice as a volume, of pixels of about the usual size."""
        return Volume(self.hu[index][None], (0.8, 0.8), np.zeros(1))


@dataclass(frozen=True)
class Measurement:
    """All that is measured, in a folder."""

    out: Path
    orders: int = 2

    def jobs(self) -> Iterator[Job]:
        """Yield what is measured, what is needed most first."""
        yield DEFAULT
        yield from (Job(10, recipe=recipe) for recipe in RECIPES)
        yield Job(10, "suggest", recipe=PLAIN)
        yield Job(40, recipe=STRONG)
        yield Job(10, start="scratch", recipe=SCRATCH)
        yield from (Job(40), Job(10, "suggest"), Job(20), Job(5), Job(2))
        yield from (Job(n, "suggest") for n in (20, 40, 5))
        yield Job(40, start="scratch", recipe=SCRATCH)
        yield from (Job(10, order=order) for order in range(1, self.orders))

    def measured(self) -> Iterator[Job]:
        """Yield the trainings that are done."""
        for job in self.jobs():
            if job != DEFAULT and (self.out / "dice" / f"{job.name}.json").exists():
                yield job

    def dice(self, job: Job) -> NDArray[np.float64]:
        """Return (patient, tissue) Dice on the test patients, made if it is not there yet."""
        found = self.out / "dice" / f"{job.name}.json"
        if not found.exists():
            dice = dice_of(self.segmenter(job), self.slices("test"))
            found.parent.mkdir(parents=True, exist_ok=True)
            found.write_text(json.dumps(dice.tolist()))
            print(job.name, np.round(dice.mean(axis=0), 4), flush=True)
        return np.array(json.loads(found.read_text()))

    def segmenter(self, job: Job) -> NetworkSegmenter:
        """Return the model of a job, trained if it is not there yet."""
        if job.patients == 0:
            path = shipped_room() / DEFAULT_MODELS / SEGMENTATION_FOLDER
        else:
            path = self.out / "runs" / job.name
            if not (path / "model").exists() or (path / "checkpoints").exists():
                self.train(job, path)
        return NetworkSegmenter(load_model(path, task="segmentation"), device="cpu")

    def train(self, job: Job, run: Path) -> None:
        """Train a job anew; of an interrupted one nothing is kept."""
        shutil.rmtree(run, ignore_errors=True)
        data = self.out / "sets" / job.name
        shutil.rmtree(data, ignore_errors=True)
        pool, chosen = self.slices("pool"), self.chosen(job)
        val = chosen[4::5] or chosen[-1:]
        train = [index for index in chosen if index not in val]
        recipe = job.recipe
        per_epoch = max(STEPS * recipe.batch, len(train))
        repeated = [train[place % len(train)] for place in range(per_epoch)]
        for split, indices in (("train", repeated), ("val", val)):
            with SegmentationWriter(data, split) as writer:
                for index in indices:
                    writer.append(pool.hu[index], pool.labels[index])
        fresh: dict[str, Any] = {"arch": "patch_unet", "patch": 4, "hu_ranges": True, "copies": 2}
        fresh |= {"compression_channels": (32, 64, 128, 256, 256)}
        fresh |= {"decompression_channels": (256, 128, 64, 32)}
        known: dict[str, Any] = {"load_weights": "default", "norms": recipe.norms}
        start = known if job.start == "default" else fresh
        bodycomp.train_segmentation(
            data,
            run.parent,
            name=run.name,
            epochs=EPOCHS,
            batch_size=recipe.batch,
            learning_rate=recipe.rate,
            strong_augmentation=recipe.strong,
            precision="32",
            seed=job.order,
            **start,
        )
        shutil.rmtree(run / "checkpoints")
        shutil.rmtree(data)

    def chosen(self, job: Job) -> list[int]:
        """Return the patients of a job: the first of an order, or what each model suggested."""
        order: list[int] = (
            np.random.default_rng(job.order).permutation(len(self.slices("pool"))).tolist()
        )
        if job.choice == "random":
            return order[: job.patients]
        found = self.out / "chosen" / f"{job.name}.json"
        if not found.exists():
            fewer = job.patients // 2 if job.patients > FIRST_ROUND else 0
            before = replace(job, patients=fewer)
            known = self.chosen(before) if fewer else []
            left = [index for index in order if index not in known]
            segmenter, pool = self.segmenter(before), self.slices("pool")
            rows = []
            for index in left:
                seen = disagreement([segmenter], pool.volume(index), 0)
                dice = dice_of_labels(seen.labels, pool.labels[index])
                rows.append((index, seen.mean, float(np.mean(dice))))
            rows.sort(key=lambda row: -row[1])
            picked = [index for index, _, _ in rows[: job.patients - fewer]]
            found.parent.mkdir(parents=True, exist_ok=True)
            found.write_text(json.dumps({"chosen": known + picked, "doubt_and_dice": rows}))
        chosen: list[int] = json.loads(found.read_text())["chosen"]
        return chosen

    @cache  # noqa: B019 - one measurement a process
    def slices(self, which: str) -> Slices:
        """Return a slice at L3 of each patient, rendered if it is not there yet."""
        path = self.out / f"{which}.npz"
        if not path.exists():
            numbers = range(POOL if which == "pool" else TEST)
            patients = Patients("held-out", SEEDS[which], numbers, at_l3=True)
            samples = [patients.samples(number)[0][0] for number in numbers]
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, hu=[s.hu for s in samples], labels=[s.labels for s in samples])
        arrays = np.load(path)
        return Slices(arrays["hu"], arrays["labels"])


def dice_of(segmenter: NetworkSegmenter, slices: Slices) -> NDArray[np.float64]:
    """Return (patient, tissue) Dice of a model."""
    rows = []
    for index in range(len(slices)):
        found = segmenter(slices.volume(index), [0])[0]
        rows.append(dice_of_labels(found, slices.labels[index]))
    return np.array(rows)


def dice_of_labels(found: NDArray[np.uint8], true: NDArray[np.uint8]) -> list[float]:
    """Return Dice of each tissue on one slice."""
    pairs = [(found == tissue.label, true == tissue.label) for tissue in ABDOMINAL_TISSUES]
    return [float(2 * (a & b).sum() / max(a.sum() + b.sum(), 1)) for a, b in pairs]


def write_table(measurement: Measurement, path: Path) -> None:
    """Write what is there: mean Dice, its standard error, and the gain over the default model."""
    names = [tissue.key for tissue in ABDOMINAL_TISSUES]
    header = [
        "choice",
        "order",
        "start",
        "patients",
        "recipe",
        *names,
        "mean",
        "gain",
        "gain_se",
    ]
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(header)
        base = measurement.dice(DEFAULT)
        for job in (DEFAULT, *measurement.measured()):
            dice = measurement.dice(job)
            gain = (dice - base).mean(axis=1)
            numbers = [*dice.mean(axis=0), dice.mean(), gain.mean(), gain.std(ddof=1)]
            numbers[-1] /= np.sqrt(len(gain))
            row = [job.choice, job.order, job.start, job.patients, job.recipe.name]
            rows.writerow([*row, *(f"{number:.4f}" for number in numbers)])


COLORS = {"random": "#0072b2", "suggest": "#d55e00"}
CHOSEN = {"random": "drawn by chance", "suggest": "that bodycomp suggest names"}


def draw(measurement: Measurement, path: Path) -> None:
    """Draw the gain of each training over the default model, and what its doubt is worth."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    gains, doubts = figure.subplots(1, 2, width_ratios=(1.6, 1))
    base, jobs = measurement.dice(DEFAULT), list(measurement.measured())
    jobs = [job for job in jobs if job.start == "default"]  # others are tens of points below
    jobs.sort(key=lambda job: (job.recipe != BEST, job.patients, job.choice))
    for place, job in enumerate(jobs):
        gain = 100 * (measurement.dice(job) - base).mean(axis=1)
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        gains.errorbar(gain.mean(), place, xerr=error, fmt="o", color=COLORS[job.choice], capsize=3)
    gains.set_yticks(range(len(jobs)), [job.words for job in jobs], fontsize=8)
    gains.invert_yaxis()
    gains.axvline(0, color="black", linewidth=0.8, linestyle=":")
    gains.set(xlabel="points of Dice gained over the default model, mean of 3 tissues")
    chosen = measurement.out / "chosen" / f"{Job(10, 'suggest', recipe=PLAIN).name}.json"
    if chosen.exists():
        rows = np.array(json.loads(chosen.read_text())["doubt_and_dice"])
        doubts.plot(rows[:, 1], rows[:, 2], "o", color=COLORS["random"], markersize=4)
        doubts.plot(
            rows[:10, 1],
            rows[:10, 2],
            "o",
            color=COLORS["suggest"],
            markersize=4,
            label="the ten named",
        )
        doubts.legend(fontsize=8)
    doubts.set(xlabel="disagreement of copies", ylabel="Dice of the default model")
    for axes in (gains, doubts):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--picture", type=Path, metavar="PNG", help="draw what is there, and end")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    measurement = Measurement(options.out)
    table = options.out / "how-many-patients.csv"
    if options.picture is None:
        for job in measurement.jobs():
            measurement.dice(job)
    write_table(measurement, table)
    if options.picture is not None:
        draw(measurement, options.picture)


if __name__ == "__main__":
    main(sys.argv[1:])
