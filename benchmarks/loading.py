"""Slices per second from files to network input, for both trainings, nothing else running."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bodycomp.data.augmentation_options import AugmentationOptions
from bodycomp.data.datasets import (
    SampleSet,
    SegmentationDataset,
    SliceDataset,
    network_input,
    varied_input,
)
from bodycomp.data.gray_cache import GrayCache
from bodycomp.data.segmentation_set import SegmentationSplit, open_segmentation_split
from bodycomp.data.slice_set import SliceSplit, open_slice_split
from bodycomp.data.writers import SegmentationWriter, SliceWriter
from bodycomp.imaging.preprocessing import SEGMENTATION_PREPROCESSING, SLICE_SELECTION_PREPROCESSING
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.networks.allocator import keep_freed_memory
from bodycomp.phantom import Torso, sample_patient, sample_scan
from bodycomp.training.steps.batch_loader import make_loader
from bodycomp.training.steps.sampling import BatchPlan
from bodycomp.validation.slices import SliceSurvey, survey_slice_set

BATCH = 16
MASK_SLICES, PNG_SLICES = 96, 384
CACHE_BYTES = 10**9


def phantom_slices(count: int) -> list[tuple[NDArray[np.int16], NDArray[np.uint8]]]:
    """Render HU and labels of slices along one patient."""
    patient = sample_patient(0, 0)
    torso, scan = Torso(patient), sample_scan(patient)
    heights = np.linspace(scan.z_start_mm, scan.z_end_mm, count + 2)[1:-1]
    rendered = [torso.render_slice(scan, float(z_mm)) for z_mm in heights]
    return [(hu, np.minimum(labels, 3).astype(np.uint8)) for hu, labels in rendered]


def write_sets(folder: Path) -> None:
    """Write both training sets of few slices many times over; every PNG differs in one pixel."""
    slices = phantom_slices(8)
    with SegmentationWriter(folder / "masks", "train") as masks:
        for index in range(MASK_SLICES):
            masks.append(*slices[index % len(slices)])
    for split, count in (("train", PNG_SLICES), ("val", 1)):
        with SliceWriter(folder / "slices", split, ["L3"]) as writer:
            for index in range(count):
                gray = SOFT_TISSUE.to_gray(slices[index % len(slices)][0])
                gray.reshape(-1)[index] ^= 128
                writer.append(gray, {"L3": float(index - count // 2)})


def epoch(samples: SampleSet, *, augmented: bool) -> None:
    """Load one epoch in a training's order, as a training on the CPU does."""
    plan = BatchPlan(len(samples), BATCH, seed=0)
    order = [plan.share(step).indices for step in range(plan.steps_per_epoch)]
    has_masks = isinstance(samples, SegmentationDataset)
    for step, batch in enumerate(make_loader(samples, order, num_workers=0)):
        if augmented:
            generator = torch.Generator().manual_seed(step)
            options, preprocessing = AugmentationOptions(), samples.preprocessing
            varied_input(batch, generator, options, preprocessing, has_masks=has_masks)
        else:
            network_input(batch[0], samples.preprocessing)


def rate(work: Callable[[], object], count: int, repeats: int = 3) -> float:
    """Return the median of slices per second, after one round to warm up."""
    work()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return count / float(np.median(seconds))


def epochs(name: str, samples: SampleSet) -> list[tuple[str, str]]:
    """Return rows for one data set: as it is, and varied."""
    count = len(samples)
    plain = rate(partial(epoch, samples, augmented=False), count)
    varied = rate(partial(epoch, samples, augmented=True), count)
    return [
        (f"{name}, no augmentation", f"{plain:.0f} slices/s"),
        (f"{name}, augmentation", f"{varied:.0f} slices/s"),
    ]


def masks_of(folder: Path) -> SegmentationSplit:
    """Open the train split of a segmentation set."""
    split = open_segmentation_split(folder, "train")
    if split is None:
        raise FileNotFoundError(folder)
    return split


def slices_of(folder: Path) -> SliceSplit:
    """Open the train split of a slice-selection set of L3."""
    split = open_slice_split(folder, "train", ["L3"])
    if split is None:
        raise FileNotFoundError(folder)
    return split


def first_and_second_pass(folder: Path, cache: GrayCache) -> tuple[SliceSurvey, Sequence[float]]:
    """Check a slice-selection set with an empty cache and with a full one."""
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        survey = survey_slice_set(folder, levels=["L3"], cache=cache)
        seconds.append(time.perf_counter() - began)
    return survey, seconds


def run() -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sets(folder)
        split = masks_of(folder / "masks")
        rows = epochs("segmentation", SegmentationDataset(split, SEGMENTATION_PREPROCESSING))
        cache = GrayCache(folder / "cache", CACHE_BYTES)
        survey, seconds = first_and_second_pass(folder / "slices", cache)
        for what, each in zip(
            ("decoding into the cache", "the cache knows all"), seconds, strict=True
        ):
            rows.append((f"slice selection, check, {what}", f"{PNG_SLICES / each:.0f} slices/s"))
        slices = slices_of(folder / "slices")
        decoded = survey.decoded["train"]
        samples = SliceDataset(slices, SLICE_SELECTION_PREPROCESSING, decoded=decoded)
        rows += epochs("slice selection from the cache", samples)
        uncached = SliceDataset(slices, SLICE_SELECTION_PREPROCESSING, cache_bytes=0)
        each_time = rate(partial(epoch, uncached, augmented=True), PNG_SLICES, repeats=1)
        rows.append(("slice selection, decoded each time", f"{each_time:.0f} slices/s"))
    return rows
