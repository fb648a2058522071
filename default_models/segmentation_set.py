"""The training set of the default segmentation model: few slices of very many synthetic patients.

A patient costs 0.1 s and a slice 0.07 s on one core, a training step 0.3 s an image: the set is
written once, and no patient is seen more than a few times.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from bodycomp.anatomy import ABDOMINAL_TISSUES, PhantomAnatomy, Tissue
from bodycomp.data.manifest import ManifestRow, ManifestWriter, pixel_digest
from bodycomp.data.samples import MaskSample, mask_sample
from bodycomp.data.writers import SegmentationWriter
from bodycomp.imaging.volume import Volume
from bodycomp.phantom import Torso, sample_patient, sample_scan
from bodycomp.processes import helper_processes, results_in_order

SLICES: Final = 3
"""Of each patient; the first one within a vertebra of L3."""
L3_LEVEL: Final = 15.0
LEVELS: Final = (11.5, 18.0)
"""From T12 to S1, as the level coordinate of the phantom counts them (T1 = 1)."""


@dataclass(frozen=True)
class Patients:
    """Synthetic patients.

    Attributes:
        anatomy: Of all of them.
        seed: Of their cohort.
        numbers: Theirs in the cohort.
        at_l3: One slice each, at mid-L3, as models are tested; else ``SLICES`` at many levels.
        tissues: What their masks label.
    """

    anatomy: PhantomAnatomy
    seed: int
    numbers: Sequence[int]
    at_l3: bool = False
    tissues: tuple[Tissue, ...] = ABDOMINAL_TISSUES

    def samples(self, number: int) -> list[tuple[MaskSample, ManifestRow]]:
        """Render the slices of one patient as the segmentation network sees them."""
        rng = np.random.default_rng([self.seed, number, 5])
        patient = sample_patient(self.seed, number, self.anatomy)
        torso, scan = Torso(patient), sample_scan(patient)
        spacing = (scan.pixel_spacing_mm, scan.pixel_spacing_mm)
        heights = sorted(torso.level_z_mm.values(), reverse=True)
        samples = []
        for index in range(1 if self.at_l3 else SLICES):
            low, high = (L3_LEVEL - 1, L3_LEVEL + 1) if index == 0 else LEVELS
            u = float(rng.uniform(low, high))
            z_mm = float(np.interp(u, np.arange(1, len(heights) + 1), heights))
            z_mm = torso.level_z_mm["L3"] if self.at_l3 else z_mm
            hu, labels = torso.render_slice(replace(scan, z_start_mm=z_mm), z_mm, self.tissues)
            first = (*scan.first_pixel_mm[:2], z_mm)
            volume = Volume(hu[None], spacing, np.array([z_mm]), first_pixel_mm=first)
            sample = mask_sample(volume, labels, 0)
            samples.append((sample, self._row(number, volume, sample)))
        return samples

    def _row(self, number: int, volume: Volume, sample: MaskSample) -> ManifestRow:
        return ManifestRow(
            split="test",
            index=number,
            patient=f"{self.anatomy}-{number:04d}",
            series_instance_uid="",
            sop_instance_uid="",
            slice_index=0,
            z_mm=float(volume.slice_z_mm[0]),
            row_spacing_mm=volume.pixel_spacing_mm[0],
            column_spacing_mm=volume.pixel_spacing_mm[1],
            source_rows=volume.hu.shape[1],
            source_columns=volume.hu.shape[2],
            turn="",
            source_digest="",
            image_digest=pixel_digest(sample.hu),
            labels_digest=pixel_digest(sample.labels),
        )


def write_split(
    folder: Path, split: str, patients: Patients, real: Sequence[MaskSample] = ()
) -> int:
    """Write one split; the same arguments give the same bytes, on any number of cores.

    A test set, of one slice each, gets a manifest: intervals need to know whose slices these are.

    Args:
        folder: The training set.
        split: One of ``SPLITS``.
        patients: Whose slices.
        real: Slices of people that are added, as often as they stand here.

    Returns:
        Samples written.
    """
    jobs, count = len(os.sched_getaffinity(0)), 0
    with (
        SegmentationWriter(folder, split) as writer,
        ManifestWriter(folder) if patients.at_l3 else nullcontext() as manifest,
        helper_processes(jobs) as pool,
    ):
        for samples in results_in_order(pool, patients.samples, patients.numbers, jobs + 1):
            for sample, row in samples:
                writer.append(sample.hu, sample.labels)
                if manifest is not None:
                    manifest.append(row)
                count += 1
        for sample in real:
            writer.append(sample.hu, sample.labels)
            count += 1
    return count
