"""Peak memory of checking a training set and loading one epoch of it: flat in the number of slices.

Each measurement is a process of its own. The ``.npy`` files are sparse, the PNG files are links to
a few, so that sets of 20,000 slices fit on any disk; the cache of decoded slices takes 1.3 GB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from benchmarks.loading import epoch, masks_of, phantom_slices, slices_of
from bodycomp.anatomy import tissues_for
from bodycomp.data.datasets import SegmentationDataset, SliceDataset
from bodycomp.data.gray_cache import GrayCache
from bodycomp.data.layout import images_path, masks_path, png_path, table_path
from bodycomp.data.png import write_gray_png
from bodycomp.imaging.preprocessing import SEGMENTATION_PREPROCESSING, SLICE_SELECTION_PREPROCESSING
from bodycomp.imaging.resize import resize_gray
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.training.machine.memory import peak_resident_bytes
from bodycomp.validation.segmentation import check_segmentation_set
from bodycomp.validation.slices import survey_slice_set

COUNTS = (2_000, 20_000)
CACHE_BYTES = 2 * 10**9


def write_sparse_segmentation_set(folder: Path, count: int) -> None:
    """Write arrays of holes, which read as 0 HU and background."""
    folder.mkdir(parents=True)
    for split, samples in (("train", count), ("val", 1)):
        for path, dtype in ((images_path, "<i2"), (masks_path, "|u1")):
            shape = (samples, 512, 512, 1)
            with path(folder, split).open("wb") as stream:
                npy.write_array_header_1_0(
                    stream, {"descr": dtype, "fortran_order": False, "shape": shape}
                )
                stream.truncate(stream.tell() + int(np.prod(shape)) * np.dtype(dtype).itemsize)


def write_linked_slice_set(folder: Path, count: int) -> None:
    """Write PNG slices that are links to eight files."""
    grays = [resize_gray(SOFT_TISSUE.to_gray(hu), (256, 256)) for hu, _ in phantom_slices(8)]
    for split, slices in (("train", count), ("val", 2)):
        png_path(folder, split, 0).parent.mkdir(parents=True)
        table_path(folder, split).parent.mkdir(exist_ok=True)
        for index in range(slices):
            path = png_path(folder, split, index)
            if index < len(grays):
                write_gray_png(path, grays[index])
            else:
                os.link(png_path(folder, split, index % len(grays)), path)
        rows = "".join(f"{index},{index % 7 - 3}\n" for index in range(slices))
        table_path(folder, split).write_text(",ZOffset_L3\n" + rows)


def load_segmentation_set(folder: Path) -> None:
    check_segmentation_set(folder, tissues=tissues_for(thoracic=False), allow_scaled=True)
    epoch(SegmentationDataset(masks_of(folder), SEGMENTATION_PREPROCESSING), augmented=True)


def load_slice_set(folder: Path) -> None:
    survey = survey_slice_set(folder, levels=["L3"], cache=GrayCache(folder / "cache", CACHE_BYTES))
    decoded = survey.decoded["train"]
    epoch(
        SliceDataset(slices_of(folder), SLICE_SELECTION_PREPROCESSING, decoded=decoded),
        augmented=True,
    )


TASKS = {
    "segmentation": (write_sparse_segmentation_set, load_segmentation_set),
    "slice selection": (write_linked_slice_set, load_slice_set),
}


def peak_mb(task: str, folder: Path) -> float:
    """Return the peak resident memory of a process that checks and loads a set."""
    command = [sys.executable, "-m", "benchmarks.memory", task, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout) / 1e6


def run() -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    rows = []
    for task, (write, _) in TASKS.items():
        for count in COUNTS:
            with tempfile.TemporaryDirectory() as name:
                write(Path(name) / "set", count)
                peak = peak_mb(task, Path(name) / "set")
            rows.append((f"peak memory, check and one epoch of {task}, {count}", f"{peak:.0f} MB"))
    return rows


if __name__ == "__main__":
    TASKS[sys.argv[1]][1](Path(sys.argv[2]))
    print(peak_resident_bytes())
