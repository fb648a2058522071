"""Finished parts -> training set and manifest: sample by sample, memory flat in their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bodycomp.data.layout import PATIENT_COLUMN, SERIES_COLUMN, SPLITS
from bodycomp.data.manifest import ManifestRow, ManifestWriter
from bodycomp.data.segmentation_set import declare_not_annotated
from bodycomp.data.writers import SegmentationWriter, SliceWriter
from bodycomp.level_names import head_to_feet
from bodycomp.preparation.conflicts import FinishedCase
from bodycomp.preparation.options import SegmentationTask, SliceTask, Task
from bodycomp.preparation.part import (
    PartRecord,
    PartSample,
    stored_mask_samples,
    stored_png,
)

MASK_BYTES: Final = 3 * 512 * 512
PNG_BYTES: Final = 0
"""PNG files are links to those of the parts."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A finished case, its split and the name of its patient in the set."""

    finished: FinishedCase
    split: str
    patient: str


@dataclass
class Counts:
    """What was written.

    Attributes:
        patients: Split -> names of its patients.
        slices: Split -> number of samples.
        areas_cm2: Tissue -> sum over the samples.
        labelled: Tissue -> samples in which it occurs.
        level_scans: Level -> scans in which it lies.
        notes: What was lost or repaired while reading -> number of cases.
    """

    patients: dict[str, set[str]] = field(default_factory=dict)
    slices: Counter[str] = field(default_factory=Counter)
    areas_cm2: dict[str, float] = field(default_factory=dict)
    labelled: Counter[str] = field(default_factory=Counter)
    level_scans: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def add_case(self, placed: Placed, record: PartRecord) -> None:
        """Count a case."""
        self.patients.setdefault(placed.split, set()).add(placed.patient)
        self.notes.update(record.notes)
        self.level_scans.update({name for s in record.samples for name in s.offsets_mm})

    def add_sample(self, split: str, record: PartRecord, sample: PartSample) -> None:
        """Count a sample."""
        self.slices[split] += 1
        pixel_cm2 = record.spacing_mm[0] * record.spacing_mm[1] / 100
        for tissue, pixels in sample.pixels.items():
            area_cm2 = pixels * pixel_cm2
            self.areas_cm2[tissue] = self.areas_cm2.get(tissue, 0.0) + area_cm2
            self.labelled[tissue] += bool(pixels)


def taken(record: PartRecord, split: str) -> Iterator[tuple[int, PartSample]]:
    """Yield place and sample of those that a split takes of a case."""
    for place, sample in enumerate(record.samples):
        if sample.training or split != "train":
            yield place, sample


def needed_bytes(cases: Iterable[Placed], task: Task) -> int:
    """Return the disk space that the set will take beside the parts."""
    each = MASK_BYTES if isinstance(task, SegmentationTask) else PNG_BYTES
    row_bytes = 400  # of the manifest
    return sum(
        (each + row_bytes) * sum(1 for _ in taken(placed.finished.record(), placed.split))
        for placed in cases
    )


def found_levels(cases: Iterable[Placed]) -> tuple[str, ...]:
    """Return the levels that lie in any scan; vertebrae first, head to feet."""
    found = {
        name
        for placed in cases
        for sample in placed.finished.record().samples
        for name in sample.offsets_mm
    }
    return head_to_feet(found)


def write_set(
    folder: Path,
    cases: Sequence[Placed],
    task: Task,
    *,
    identifiers: bool,
    progress: Callable[[int, int], None],
) -> Counts:
    """Write arrays or slices of every split, and the manifest, into ``folder``."""
    counts = Counts()
    done = 0
    levels = (task.levels or found_levels(cases)) if isinstance(task, SliceTask) else ()
    if isinstance(task, SegmentationTask) and task.mapping and task.mapping.has_not_annotated:
        declare_not_annotated(folder)
    with ManifestWriter(folder) as manifest:
        for split in SPLITS:
            members = [placed for placed in cases if placed.split == split]
            with ExitStack() as stack:
                append = _writer(stack, folder, split, levels) if members else None
                for placed in members if append else ():
                    record = placed.finished.record()
                    counts.add_case(placed, record)
                    for index, sample in enumerate(
                        append(placed, record) if append else (), start=counts.slices[split]
                    ):
                        manifest.append(_row(placed, record, sample, index, identifiers))
                        counts.add_sample(split, record, sample)
                    done += 1
                    progress(done, len(cases))
    return counts


Append = Callable[[Placed, PartRecord], Iterator[PartSample]]


def _writer(stack: ExitStack, folder: Path, split: str, levels: Sequence[str]) -> Append:
    """Open the writer of a split; return what appends a case, yielding each sample that is in."""
    if not levels:
        masks = stack.enter_context(SegmentationWriter(folder, split))

        def append_masks(placed: Placed, record: PartRecord) -> Iterator[PartSample]:
            for sample, pixels in stored_mask_samples(placed.finished.part, record):
                masks.append(pixels.hu, pixels.labels)
                yield sample

        return append_masks
    slices = stack.enter_context(
        SliceWriter(folder, split, levels, extra_columns=(PATIENT_COLUMN, SERIES_COLUMN))
    )

    def append_slices(placed: Placed, record: PartRecord) -> Iterator[PartSample]:
        names = {PATIENT_COLUMN: placed.patient, SERIES_COLUMN: record.series_instance_uid}
        for place, sample in taken(record, split):
            offsets_mm = {n: mm for n, mm in sample.offsets_mm.items() if n in levels}
            slices.append(stored_png(placed.finished.part, place), offsets_mm, names)
            yield sample

    return append_slices


def _row(
    placed: Placed, record: PartRecord, sample: PartSample, index: int, identifiers: bool
) -> ManifestRow:
    return ManifestRow(
        split=placed.split,
        index=index,
        patient=placed.patient,
        series_instance_uid=record.series_instance_uid,
        sop_instance_uid=sample.sop_instance_uid,
        slice_index=sample.slice_index,
        z_mm=sample.z_mm,
        row_spacing_mm=record.spacing_mm[0],
        column_spacing_mm=record.spacing_mm[1],
        source_rows=record.source_shape[0],
        source_columns=record.source_shape[1],
        turn=record.turn,
        source_digest=sample.source_digest,
        image_digest=sample.image_digest,
        labels_digest=sample.labels_digest,
        source_file=sample.source_file if identifiers else "",
    )
