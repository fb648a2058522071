"""``python -m benchmarks.quality OUT``: how good a network is after how long, side by side.

Each candidate trains for the same minutes on the same phantom cohort (full difficulty) and is
judged on the same validation patients, one after the other on an otherwise idle machine:

- ``plain``: the default network in a plain PyTorch loop (``plain_training.py``), with the batch
  size of the default training; ``plain16``: with the usual 16 where that is another one;
- ``default``: ``bodycomp train`` as it is; its time has checkpoints and judging in it, while
  judging is left out of the time of the others;
- ``arch``: the same with the other architecture;
- ``nnunet``: 2-D nnU-Net with a schedule that ends in time (``nnunet/``), if ``--nnunet`` names its
  environment; its preprocessing comes on top.

One table per candidate goes to OUT; ``benchmarks.quality_curves`` draws them.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
JUDGINGS = 5
VAL_SLICES = 60
"""Validation slices of the segmentation, drawn once, so that judging stays short."""

ARCHITECTURES = {"segmentation": "patch_unet", "slice-selection": "resnet"}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, nargs=2, default=(3.5, 2.5), metavar="MINUTES")
    parser.add_argument("--patients", type=int, nargs=3, default=(48, 12, 12), metavar="N")
    parser.add_argument("--nnunet", type=Path, metavar="ENVIRONMENT")
    parser.add_argument("--only", nargs="+", metavar="CANDIDATE")
    options = parser.parse_args(arguments)
    data = make_data(options.out, options.patients)
    for task, minutes in zip(("segmentation", "slice-selection"), options.minutes, strict=True):
        for candidate in candidates(task, options.nnunet):
            table = options.out / f"{task}-{candidate}.csv"
            if table.exists() or (options.only and candidate not in options.only):
                continue
            print(task, candidate, flush=True)
            if candidate in {"plain", "plain16"}:
                batch = 4 if (task, candidate) == ("segmentation", "plain") else 16
                plan = (task, data[task], minutes, JUDGINGS, table, batch)
                run("-m", "benchmarks.plain_training", *plan)
            elif candidate == "nnunet":
                train_nnunet(options.nnunet, data[task], minutes, table)
            else:
                train_bodycomp(task, candidate, data[task], minutes, table)


def candidates(task: str, nnunet: Path | None) -> list[str]:
    if task != "segmentation":
        return ["plain", "default", "arch"]
    return ["plain", "plain16", "default", "arch"] + (["nnunet"] if nnunet else [])


def make_data(out: Path, patients: Sequence[int]) -> dict[str, Path]:
    """Make the phantom cohort, once, with a part of the validation slices for segmentation."""
    cohort, small = out / "cohort", out / "segmentation"
    if not cohort.exists():
        counts = ("--patients", sum(patients), "--splits", *patients)
        run("-m", "bodycomp", "phantom", cohort, "--no-dicom", "--seed", 1, *counts)
    if not small.exists():
        small.mkdir()
        for name in ("train_images", "train_masks"):
            (small / f"{name}.npy").symlink_to((cohort / "segmentation" / f"{name}.npy").resolve())
        for name in ("val_images", "val_masks"):
            arrays = np.load(cohort / "segmentation" / f"{name}.npy", mmap_mode="r")
            chosen = np.random.default_rng(0).permutation(len(arrays))[:VAL_SLICES]
            np.save(small / f"{name}.npy", arrays[np.sort(chosen)])
    return {"segmentation": small, "slice-selection": cohort / "slice-selection"}


def train_bodycomp(task: str, candidate: str, data: Path, minutes: float, table: Path) -> None:
    choice = ("--arch", ARCHITECTURES[task]) if candidate == "arch" else ()
    name = f"{task}-{candidate}"
    places = (data, table.parent / "runs", "--name", name)
    run("-m", "bodycomp", "train", task, *places, "--max_minutes", minutes, "-g", 0, *choice)
    with (table.parent / "runs" / name / "metrics.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    kept = [
        {"minutes": float(row["elapsed_s"]) / 60}
        | {key.removeprefix("val_"): value for key, value in row.items() if key.startswith("val_")}
        for row in rows
    ]
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)


def train_nnunet(environment: Path, data: Path, minutes: float, table: Path) -> None:
    python, folder = environment / "bin" / "python", table.parent / "nnunet"
    if not python.exists():
        subprocess.run(["/bin/sh", HERE / "nnunet" / "setup.sh", environment], check=True)
    if not folder.exists():
        subprocess.run([python, HERE / "nnunet" / "prepare.py", data, folder], check=True)
    script = HERE / "nnunet" / "train.py"
    subprocess.run([python, script, folder, str(minutes), str(JUDGINGS), table], check=True)


def run(*arguments: object) -> None:
    subprocess.run([sys.executable, *map(str, arguments)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
