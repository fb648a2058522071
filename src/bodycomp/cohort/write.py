"""A whole cohort: patients rendered in parallel, written in order, memory flat in its size."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import DEFAULT_LEVEL, VERTEBRAE
from bodycomp.cohort.options import CohortOptions
from bodycomp.cohort.study import (
    DICOM_FOLDER,
    LABELS_NAME,
    TRUTH_FOLDER,
    PatientTruth,
    Row,
    cohort_row,
    study_header,
    tissue_areas_cm2,
    write_cases,
    write_rows,
    write_study,
    write_truth,
)
from bodycomp.data.label_declaration import declare_labels
from bodycomp.data.layout import SPLITS
from bodycomp.data.samples import (
    LevelSample,
    MaskSample,
    level_sample,
    level_slices,
    mask_sample,
    mask_slices,
    training_share,
)
from bodycomp.data.sampling_options import LevelSampling, MaskSampling
from bodycomp.data.writers import SegmentationWriter, SliceWriter
from bodycomp.imaging.volume import Volume
from bodycomp.nifti import write_nifti_labels
from bodycomp.phantom import ScanParameters, Torso, sample_patient, sample_scan
from bodycomp.processes import helper_processes, results_in_order
from bodycomp.progress import Progress, no_progress
from bodycomp.storage import atomic_folder

MASK_SAMPLING: Final = MaskSampling(spacing_mm=4.0, around=DEFAULT_LEVEL, reach_mm=30.0)
"""Masks are sampled about L3 alone, but widely, so that a slice chosen amiss is still known."""

LEVEL_SAMPLING: Final = LevelSampling(
    spacing_mm=4.0, near=(DEFAULT_LEVEL,), near_mm=70.0, far_stride=3
)
"""Every slice within about two vertebrae of L3, a third of the others."""


@dataclass(frozen=True, eq=False)
class PatientSamples:
    """What the training sets and the cohort's tables take from one patient."""

    truth: PatientTruth
    row: Row
    masks: list[MaskSample]
    levels: list[LevelSample]
    dicom_files: int


def make_patient(options: CohortOptions, index: int) -> PatientSamples:
    """Render a patient, write study and truth, and return the samples of its split.

    Patients of the test split give samples too: they make the optional test sets.
    """
    name, split = f"patient-{index:04d}", options.split_of(index)
    patient = sample_patient(options.seed, index, options.anatomy)
    scan = with_at_most(sample_scan(patient), options.most_slices)
    torso = Torso(patient)
    volume, labels = torso.render(scan, options.labeled_tissues)
    level_z_mm = {name: round(float(z), 3) for name, z in torso.level_z_mm.items()}
    header = study_header(name, patient, scan)
    files = 0
    if options.dicom:
        files = write_study(options.folder / DICOM_FOLDER / name, volume, header, index)
    at_level = volume.nearest_slice(level_z_mm[DEFAULT_LEVEL])
    truth = PatientTruth(
        patient=name,
        split=split,
        study_uid=header.uid("study"),
        series_uid=header.uid("series"),
        level_z_mm=level_z_mm,
        area_cm2=tissue_areas_cm2(labels[at_level], volume, options.labeled_tissues),
        level_slice=at_level,
        parameters=asdict(patient),
        scan=asdict(scan),
    )
    folder = options.folder / TRUTH_FOLDER / name
    folder.mkdir(parents=True)
    write_truth(folder, truth)
    write_nifti_labels(folder / LABELS_NAME, volume, labels)
    return PatientSamples(
        truth=truth,
        row=cohort_row(truth, len(volume), patient.weight_kg),
        masks=_mask_samples(volume, labels, level_z_mm),
        levels=_level_samples(volume, level_z_mm, thin_far=split == "train"),
        dicom_files=files,
    )


def with_at_most(scan: ScanParameters, most_slices: int | None) -> ScanParameters:
    """Return a scan of the same range and slice thickness with at most so many slices."""
    if most_slices is None or len(scan.slice_z_mm) <= most_slices:
        return scan
    step_mm = (scan.z_end_mm - scan.z_start_mm) / (most_slices - 1)
    return replace(scan, slice_spacing_mm=math.ceil(1000 * step_mm) / 1000)


def _level_samples(
    volume: Volume, level_z_mm: dict[str, float], *, thin_far: bool
) -> list[LevelSample]:
    """Sample the series from feet to head, thinned far from L3 as suits training."""
    indices = level_slices(volume, LEVEL_SAMPLING)
    if thin_far:
        indices = training_share(indices, volume, level_z_mm, LEVEL_SAMPLING)
    return [level_sample(volume, level_z_mm, index) for index in indices]


def _mask_samples(
    volume: Volume, labels: NDArray[np.uint8], level_z_mm: dict[str, float]
) -> list[MaskSample]:
    """Sample the slices around L3, resized to the size of the training format."""
    annotated = np.ones(len(volume), bool)
    chosen = mask_slices(volume, annotated, level_z_mm, MASK_SAMPLING)
    return [mask_sample(volume, labels[index], index) for index in chosen]


SEGMENTATION_FOLDER = "segmentation"
SLICE_SELECTION_FOLDER = "slice-selection"


@dataclass(frozen=True, slots=True)
class CohortSummary:
    """What was written: slices with masks, slices with offsets, DICOM files."""

    mask_slices: int
    level_slices: int
    dicom_files: int


def write_cohort(options: CohortOptions, progress: Progress = no_progress) -> CohortSummary:
    """Write DICOM studies, truth and both training sets of a cohort into ``options.folder``.

    The folder appears when all is written. The same options give the same bytes.

    Raises:
        OutputError: The folder has content and ``overwrite`` is off.
    """
    with atomic_folder(options.folder, overwrite=options.overwrite) as folder:
        rows: list[Row] = []
        truths: list[PatientTruth] = []
        masks = levels = files = 0
        patients = _patients(replace(options, folder=folder))
        for split, count in zip(SPLITS, options.splits, strict=True):
            for samples in _write_split(folder, split, patients, count):
                rows.append(samples.row)
                truths.append(samples.truth)
                masks += len(samples.masks)
                levels += len(samples.levels)
                files += samples.dicom_files
                progress("patients", len(rows), options.patients)
        keys = [tissue.key for tissue in options.labeled_tissues]
        used = {split: keys for split, count in zip(SPLITS, options.splits, strict=True) if count}
        declare_labels(folder / SEGMENTATION_FOLDER, labeled=used)
        write_rows(folder / "cohort.csv", rows)
        if options.dicom:  # without scans there is nothing that a cases table could list
            write_cases(folder, truths)
    return CohortSummary(masks, levels, files)


def _write_split(
    folder: Path, split: str, patients: Iterator[PatientSamples], count: int
) -> Iterator[PatientSamples]:
    """Write ``count`` patients to both training sets of one split, yielding each when it is in."""
    if not count:
        return
    with ExitStack() as stack:
        masks = stack.enter_context(SegmentationWriter(folder / SEGMENTATION_FOLDER, split))
        slices = stack.enter_context(
            SliceWriter(
                folder / SLICE_SELECTION_FOLDER,
                split,
                VERTEBRAE,
                extra_columns=("PatientID", "SeriesInstanceUID"),
            )
        )
        for _ in range(count):
            samples = next(patients)
            for sample in samples.masks:
                masks.append(sample.hu, sample.labels)
            truth = samples.truth
            names = {"PatientID": truth.patient, "SeriesInstanceUID": truth.series_uid}
            for level in samples.levels:
                slices.append(level.gray, level.offsets_mm, names)
            yield samples


def _patients(options: CohortOptions) -> Iterator[PatientSamples]:
    """Yield the patients in order, a few being made ahead in other processes."""
    make = partial(make_patient, options)
    jobs = min(options.jobs or len(os.sched_getaffinity(0)), options.patients)
    if jobs == 1:
        yield from map(make, range(options.patients))
        return
    with helper_processes(jobs) as pool:
        yield from results_in_order(pool, make, range(options.patients), jobs + 1)
