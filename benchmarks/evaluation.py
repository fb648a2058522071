"""Time and peak memory of ``bodycomp evaluate`` on slices of 512 x 512: flat in their number.

Two halves, each a process of its own, whose sum is more than the whole, where they overlap. The
network's: a segmentation set through a U-Net of the default size; it has no training, and its last
layer is set so that it gives background, because the noise of an untrained one has longer contours
than any body. The metrics': phantom masks against themselves moved by three pixels.
"""

from __future__ import annotations

import csv
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.loading import phantom_slices
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.data.manifest import MANIFEST_NAME
from bodycomp.data.writers import SegmentationWriter
from bodycomp.imaging.preprocessing import SEGMENTATION_PREPROCESSING
from bodycomp.networks.checkpoint import ModelCard, build_network, save_model

COUNTS = (100, 1_000)
PER_PATIENT = 10
MOVED_PX = 3


def write_set(folder: Path, count: int) -> None:
    """Write a test split of phantom slices, which repeat, ten for each patient."""
    slices = phantom_slices(16)
    with SegmentationWriter(folder, "test") as writer:
        for index in range(count):
            hu, labels = slices[index % len(slices)]
            writer.append(hu, np.where(labels <= 3, labels, 0).astype(np.uint8))
    with (folder / MANIFEST_NAME).open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["split", "index", "patient", "row_spacing_mm", "column_spacing_mm"])
        rows.writerows(
            ["test", index, f"p{index // PER_PATIENT:04d}", 0.7, 0.7] for index in range(count)
        )


def write_model(folder: Path) -> None:
    """Write an untrained U-Net of the default size that labels nothing."""
    card = ModelCard(
        task="segmentation",
        architecture="unet",
        config={"num_classes": 1 + len(ABDOMINAL_TISSUES)},
        preprocessing=SEGMENTATION_PREPROCESSING,
        tissues=ABDOMINAL_TISSUES,
    )
    network = build_network(card)
    bias = [p for name, p in network.named_parameters() if name.endswith("bias")][-1]
    with torch.no_grad():
        bias[0] = 1e3
    save_model(folder, network, card)


def write_moved_masks(folder: Path) -> Path:
    """Write the set's masks moved to one side; return the file."""
    masks = np.load(folder / "test_masks.npy", mmap_mode="r")
    path = folder.parent / "found.npy"
    moved = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=masks.shape)
    for index, mask in enumerate(masks):
        moved[index] = np.roll(mask, MOVED_PX, axis=1)
    moved.flush()
    return path


def measure(out: Path, *arguments: str) -> str:
    """Return seconds and the peak memory of one command."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.evaluation", "evaluate", *arguments, "--out", str(out)],
        check=True,
        capture_output=True,
        text=True,
    )
    peak = float(done.stdout.splitlines()[-1])
    return f"{time.perf_counter() - begun:.1f} s, {peak:.0f} MB"


def run() -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    rows = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as name:
            base = Path(name)
            write_set(base / "set", count)
            write_model(base / "models" / "segmentation")
            found, truth = write_moved_masks(base / "set"), base / "set" / "test_masks.npy"
            network = measure(base / "a", str(base / "models"), "--segmentation", str(base / "set"))
            metrics = measure(base / "b", "--masks", str(found), "--truth", str(truth))
            rows.append((f"evaluate a U-Net on {count} slices", network))
            rows.append((f"evaluate masks of {count} slices", metrics))
    return rows


if __name__ == "__main__":
    subprocess.run([sys.executable, "-m", "bodycomp", *sys.argv[1:]], check=True)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6)
