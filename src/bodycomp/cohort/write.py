"""Write a whole cohort: rendered in parallel, written in order, memory flat in its size."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bodycomp.anatomy import VERTEBRAE
from bodycomp.cohort.options import CohortOptions
from bodycomp.cohort.patient import PatientSamples, make_patient
from bodycomp.cohort.truth import PatientTruth, Row, write_cases, write_rows
from bodycomp.data.layout import SPLITS
from bodycomp.data.writers import SegmentationWriter, SliceWriter
from bodycomp.processes import helper_processes, results_in_order
from bodycomp.storage import atomic_folder

SEGMENTATION_FOLDER = "segmentation"
SLICE_SELECTION_FOLDER = "slice-selection"


@dataclass(frozen=True, slots=True)
class CohortSummary:
    """What was written: slices with masks, slices with offsets, DICOM files."""

    mask_slices: int
    level_slices: int
    dicom_files: int


def write_cohort(
    options: CohortOptions, *, progress: Callable[[int], None] = lambda _: None
) -> CohortSummary:
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
                progress(1)
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
