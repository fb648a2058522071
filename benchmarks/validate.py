"""How fast ``bodycomp validate`` reads both kinds of training sets, and how much memory it takes.

Each set is validated in a process of its own, from the disk's cache, so that its peak is its own;
the shortest of three times.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.loading import phantom_slices
from bodycomp.data.writers import SegmentationWriter, SliceWriter
from bodycomp.imaging.window import SOFT_TISSUE

MASK_SLICES, PNG_SLICES = 1200, 2000
RENDERED = 12
NOISE_HU = 6.0
LARGEST_SHIFT = 60
"""In pixels; so that not all slices of one base are candidates for near-duplicates."""

_WORK = """
import re, sys, time
from pathlib import Path
from bodycomp.validation.validate import validate_training_set
from bodycomp.validation.options import ValidationOptions
from bodycomp.networks.allocator import keep_freed_memory
keep_freed_memory()
seconds = []
for _ in range(3):
    began = time.perf_counter()
    validate_training_set(Path(sys.argv[1]), ValidationOptions())
    seconds.append(time.perf_counter() - began)
peak_kb = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(min(seconds), int(peak_kb) / 1024)
"""


def write_masks(folder: Path, count: int) -> int:
    """Write slices that differ in noise, and return the bytes of all files."""
    slices, rng = phantom_slices(RENDERED), np.random.default_rng(0)
    for split, samples in (("train", count - count // 5), ("val", count // 5)):
        with SegmentationWriter(folder, split) as writer:
            for index in range(samples):
                hu, labels = slices[index % RENDERED]
                noise = rng.integers(-10, 11, hu.shape, dtype=np.int16)
                moved = tuple(rng.integers(-LARGEST_SHIFT, LARGEST_SHIFT + 1, 2).tolist())
                writer.append(np.roll(hu + noise, moved, (0, 1)), np.roll(labels, moved, (0, 1)))
    return sum(path.stat().st_size for path in folder.iterdir())


def write_pngs(folder: Path, count: int, side: int) -> None:
    """Write a stack of slices that differ in noise, from one series."""
    slices, rng = phantom_slices(RENDERED), np.random.default_rng(0)
    for split, samples in (("train", count - count // 5), ("val", count // 5)):
        with SliceWriter(folder, split, ["L3"], ["SeriesInstanceUID"]) as writer:
            for index in range(samples):
                hu = slices[index % RENDERED][0][:: 512 // side, :: 512 // side]
                gray = SOFT_TISSUE.to_gray(hu + rng.normal(0, NOISE_HU, hu.shape))
                series = f"{split}.{index // 100}"
                offset_mm = 3.0 * (index % 100 - 50)
                writer.append(gray, {"L3": offset_mm}, {"SeriesInstanceUID": series})


def measure(folder: Path) -> tuple[float, float]:
    """Return seconds and peak MB of a validation from the disk's cache."""
    answer = subprocess.run(
        [sys.executable, "-c", _WORK, str(folder)], check=True, capture_output=True, text=True
    ).stdout.split()
    return float(answer[0]), float(answer[1])


def run(scale: float = 1.0) -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for share in (0.25, 1.0):
            folder = Path(name) / f"masks-{share}"
            count = round(MASK_SLICES * share * scale)
            size = write_masks(folder, count)
            seconds, peak_mb = measure(folder)
            what = f"validate, {count} slices with masks ({size / 1e6:.0f} MB)"
            rows.append(
                (what, f"{seconds:.1f} s, {size / 1e6 / seconds:.0f} MB/s, {peak_mb:.0f} MB")
            )
        for side in (256, 512):
            folder = Path(name) / f"pngs-{side}"
            count = round(PNG_SLICES * scale)
            write_pngs(folder, count, side)
            seconds, peak_mb = measure(folder)
            rate = count / seconds
            rows.append(
                (
                    f"validate, {count} PNG slices of {side} x {side}",
                    f"{seconds:.1f} s, {10_000 / rate:.0f} s for 10,000, {peak_mb:.0f} MB",
                )
            )
    return rows


if __name__ == "__main__":
    for what, result in run():
        print(f"{what:60} {result}")
