"""Small training sets of phantom patients, rendered once for all tests that spoil copies."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodycomp.cohort.options import CohortOptions
from bodycomp.data.writers import SegmentationWriter, SliceWriter
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.phantom import Torso, sample_patient, sample_scan

LEVELS = ("T12", "L3", "L5")
SPLITS = {"train": range(12), "val": range(12, 18)}
LEVEL_SPLITS = {"train": range(6), "val": range(6, 10)}
MASK_OFFSETS_MM = (-12.0, 0.0, 12.0)
SLICE_OFFSETS_MM = tuple(range(-112, 225, 42))
"""Slices for slice selection reach from the pelvis to the lungs."""


def few_patients(folder: Path, jobs: int) -> CohortOptions:
    """Return three patients of a seed whose first ones have thick slices and render soon."""
    return CohortOptions(folder, 3, seed=113, splits=(1, 1, 1), jobs=jobs)


def write_mask_set(folder: Path) -> Path:
    """Write three slices about L3 of every patient, with masks; returns ``folder``."""
    for split, patients in SPLITS.items():
        with SegmentationWriter(folder, split) as writer:
            for patient in patients:
                for offset_mm in MASK_OFFSETS_MM:
                    writer.append(*render(patient, offset_mm))
    return folder


def write_level_set(folder: Path) -> Path:
    """Write a stack of slices of every patient with offsets, 256 x 256; returns ``folder``."""
    for split, patients in LEVEL_SPLITS.items():
        with SliceWriter(folder, split, LEVELS, ("PatientID", "SeriesInstanceUID")) as writer:
            for patient in patients:
                levels = torso_of(patient).level_z_mm
                names = {"PatientID": f"p{patient}", "SeriesInstanceUID": f"1.2.{patient}"}
                for offset_mm in SLICE_OFFSETS_MM:
                    gray = SOFT_TISSUE.to_gray(render(patient, offset_mm, side=256)[0])
                    z_mm = levels["L3"] + offset_mm
                    offsets = {level: z_mm - levels[level] for level in LEVELS}
                    writer.append(gray, offsets, names)
    return folder


@cache
def torso_of(patient: int) -> Torso:
    """Return a patient of both sets; to make one takes as long as to render a slice."""
    return Torso(sample_patient(7, patient))


def render(
    patient: int, offset_mm: float, side: int = 512
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Return HU and labels of a patient's slice so far above L3."""
    torso = torso_of(patient)
    scan = sample_scan(torso.patient)
    spacing_mm = scan.pixel_spacing_mm * 512 / side
    scan = replace(scan, matrix=(side, side), pixel_spacing_mm=spacing_mm)
    hu, labels = torso.render_slice(scan, torso.level_z_mm["L3"] + offset_mm)
    return hu, np.where(labels <= 3, labels, 0).astype(np.uint8)


def write_manifest(folder: Path, patients: dict[str, list[str]], z_mm: dict[str, list[float]]):
    """Write a manifest of these patients, a series each, and heights."""
    with (folder / "manifest.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["split", "index", "patient", "series_instance_uid", "z_mm"])
        for split, names in patients.items():
            for index, name in enumerate(names):
                rows.writerow([split, index, name, f"1.2.{name}", z_mm[split][index]])
