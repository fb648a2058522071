"""Finished shards -> training set and manifest: sample by sample, memory flat in their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bodycomp.data.layout import PATIENT_COLUMN, SERIES_COLUMN, SPLITS
from bodycomp.data.manifest import ManifestRow, ManifestWriter
from bodycomp.data.segmentation_set import declare_not_annotated
from bodycomp.data.writers import SegmentationWriter, SliceWriter
from bodycomp.preparation.options import LevelTask, MaskTask, PrepareTask
from bodycomp.preparation.shards import ShardRecord, ShardSample, found_levels
from bodycomp.preparation.splits import AssignedCase
from bodycomp.progress import StepProgress

MASK_BYTES: Final = 3 * 512 * 512
ROW_BYTES: Final = 400
"""Of the manifest. PNG files are links to those of the shards."""


@dataclass
class Counts:
    """What was written."""

    patients: dict[str, set[str]] = field(default_factory=dict)
    slices: Counter[str] = field(default_factory=Counter)
    areas_cm2: dict[str, float] = field(default_factory=dict)
    labeled: Counter[str] = field(default_factory=Counter)
    level_scans: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def add_case(self, case: AssignedCase, record: ShardRecord) -> None:
        """Count a case."""
        self.patients.setdefault(case.split, set()).add(case.patient)
        self.notes.update(record.notes)
        self.level_scans.update({name for s in record.samples for name in s.offsets_mm})

    def add_sample(self, split: str, record: ShardRecord, sample: ShardSample) -> None:
        """Count a sample."""
        self.slices[split] += 1
        pixel_cm2 = record.spacing_mm[0] * record.spacing_mm[1] / 100
        for tissue, pixels in sample.pixels.items():
            area_cm2 = pixels * pixel_cm2
            self.areas_cm2[tissue] = self.areas_cm2.get(tissue, 0.0) + area_cm2
            self.labeled[tissue] += bool(pixels)


def needed_bytes(cases: Sequence[AssignedCase], task: PrepareTask) -> int:
    """Return the disk space that the set will take beside the shards."""
    each = ROW_BYTES + (MASK_BYTES if isinstance(task, MaskTask) else 0)
    return sum(each for case in cases for _ in case.shard.record().of_split(case.split))


def write_set(
    folder: Path,
    cases: Sequence[AssignedCase],
    task: PrepareTask,
    *,
    identifiers: bool,
    progress: StepProgress,
) -> Counts:
    """Write arrays or slices of every split, and the manifest, into ``folder``."""
    counts, done = Counts(), 0
    levels: tuple[str, ...] = ()
    if isinstance(task, LevelTask):
        levels = task.levels or found_levels(case.shard for case in cases)
    elif task.mapping and task.mapping.has_not_annotated:
        declare_not_annotated(folder)
    with ManifestWriter(folder) as manifest:
        for split in SPLITS:
            members = [case for case in cases if case.split == split]
            if not members:
                continue
            with _writer(folder, split, levels) as writer:
                for case in members:
                    record = case.shard.record()
                    counts.add_case(case, record)
                    for sample in _append(writer, case, record, levels):
                        index = counts.slices[split]
                        manifest.append(_row(case, record, sample, index, identifiers))
                        counts.add_sample(split, record, sample)
                    done += 1
                    progress(done, len(cases))
    return counts


def _writer(folder: Path, split: str, levels: Sequence[str]) -> SegmentationWriter | SliceWriter:
    if levels:
        return SliceWriter(folder, split, levels, (PATIENT_COLUMN, SERIES_COLUMN))
    return SegmentationWriter(folder, split)


def _append(
    writer: SegmentationWriter | SliceWriter,
    case: AssignedCase,
    record: ShardRecord,
    levels: Sequence[str],
) -> Iterator[ShardSample]:
    """Append a case, yielding each sample that is in."""
    if isinstance(writer, SegmentationWriter):
        for sample, pixels in case.shard.mask_samples(record):
            writer.append(pixels.hu, pixels.labels)
            yield sample
        return
    names = {PATIENT_COLUMN: case.patient, SERIES_COLUMN: record.series_instance_uid}
    for place, sample in record.of_split(case.split):
        offsets_mm = {n: mm for n, mm in sample.offsets_mm.items() if n in levels}
        writer.append(case.shard.png(place), offsets_mm, names)
        yield sample


def _row(
    case: AssignedCase, record: ShardRecord, sample: ShardSample, index: int, identifiers: bool
) -> ManifestRow:
    return ManifestRow(
        split=case.split,
        index=index,
        patient=case.patient,
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
