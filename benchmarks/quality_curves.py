"""``python -m benchmarks.quality_curves OUT IMAGE.png``: draw what ``benchmarks.quality`` wrote."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from matplotlib.figure import Figure

PANELS = {
    "segmentation": ("dice_mean", "validation Dice, mean of 3 tissues", 0.95),
    "slice-selection": ("mae_mm_L3", "L3: mean error within 50 mm, in mm", 5.0),
}
STYLES = {
    "plain": ("#555555", "plain PyTorch loop, float32"),
    "plain16": ("#aaaaaa", "the same with batches of 16"),
    "default": ("#1f77b4", "bodycomp train"),
    "arch": ("#d62728", "bodycomp train --arch {arch}"),
    "nnunet": ("#2ca02c", "2-D nnU-Net"),
}
ARCHITECTURES = {"segmentation": "patch_unet", "slice-selection": "resnet"}


def main(out: Path, image: Path) -> None:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (task, (key, label, goal)) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        for candidate, (color, name) in STYLES.items():
            table = out / f"{task}-{candidate}.csv"
            if not table.exists():
                continue
            with table.open(encoding="utf-8") as stream:
                rows = [row for row in csv.DictReader(stream) if row[key]]
            minutes = [float(row["minutes"]) for row in rows]
            values = [float(row[key]) for row in rows]
            named = name.format(arch=ARCHITECTURES[task])
            axes.plot(minutes, values, "o-", color=color, label=named, markersize=3)
        axes.axhline(goal, color="black", linewidth=0.8, linestyle=":")
        axes.set(xlabel="minutes", ylabel=label, title=task, xlim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.axes[0].set_ylim(0, 1)
    figure.axes[1].set_ylim(0, 50)
    figure.savefig(image, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
