"""Finished shards -> training set and manifest, read again before the folder gets its name.

Sample by sample, so that memory does not grow with their number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, ALL_TISSUES
from bodycomp.data.arrays import read_header, read_samples
from bodycomp.data.issues import as_error
from bodycomp.data.label_declaration import declare_labels
from bodycomp.data.layout import (
    PATIENT_COLUMN,
    SERIES_COLUMN,
    SPLITS,
    images_path,
    masks_path,
    png_path,
    table_path,
)
from bodycomp.data.manifest import (
    Manifest,
    ManifestRow,
    ManifestWriter,
    pixel_digest,
    read_manifest,
)
from bodycomp.data.png import read_gray_png
from bodycomp.data.slice_set import read_table
from bodycomp.data.writers import SegmentationWriter, SliceWriter
from bodycomp.errors import OutputError
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE
from bodycomp.preparation.options import LevelTask, MaskTask, PrepareTask
from bodycomp.preparation.shards import ShardRecord, ShardSample, found_levels
from bodycomp.preparation.splits import AssignedCase
from bodycomp.progress import StepProgress
from bodycomp.validation.check_splits import shared_between_splits

MASK_BYTES: Final = 3 * 512 * 512
_ALL: Final = tuple(tissue.key for tissue in ABDOMINAL_TISSUES)
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
    """Write arrays or slices of every split, what they say of labels, and the manifest."""
    counts, done = Counts(), 0
    labeled: dict[str, list[tuple[str, ...]]] = {}
    usual = _labeled_by(task)
    levels: tuple[str, ...] = ()
    if isinstance(task, LevelTask):
        levels = task.levels or found_levels(case.shard for case in cases)
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
                        labeled.setdefault(split, []).append(case.shard.case.labeled or usual)
                    done += 1
                    progress(done, len(cases))
    if isinstance(task, MaskTask):
        declare_labels(folder, not_annotated=task.has_not_annotated, labeled=labeled)
    return counts


def _labeled_by(task: PrepareTask) -> tuple[str, ...]:
    """Return the tissues of a case that names none: the usual three, and what labels mean."""
    if not isinstance(task, MaskTask):
        return _ALL
    if task.rules:
        return tuple(task.rules.tissues)
    meant = {*task.mapping.labels.values()} if task.mapping else set()
    return (*_ALL, *(t.key for t in ALL_TISSUES if t.key not in _ALL and t.label in meant))


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
        source_case=case.shard.case.source_case,
        source_split=case.shard.case.source_split,
    )


Pixels = tuple[NDArray[np.generic], NDArray[np.generic] | None]


def verify_set(folder: Path, *, with_masks: bool, progress: StepProgress) -> None:
    """Compare every sample with its digest, and check that splits share no patient and no image.

    Images of one grey level, such as slices of air, may be alike in several patients.

    Raises:
        OutputError: They differ; the set was damaged while it was written.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise _wrong("no manifest")
    images: dict[str, list[bytes | str | None]] = {}
    done = 0
    for split in SPLITS:
        rows = manifest.of(split)
        images[split] = []
        samples = (_masks if with_masks else _slices)(folder, split, rows)
        for index, (image, labels) in enumerate(samples):
            digest = pixel_digest(image)
            _compare(rows, "image_digest", index, digest, split)
            if labels is not None:
                _compare(rows, "labels_digest", index, pixel_digest(labels), split)
            images[split].append(None if image.min() == image.max() else digest)
            done += 1
            progress(done, len(manifest))
    patients = {split: manifest.of(split).texts("patient") for split in SPLITS}
    for what, keys in (("a patient", patients), ("an image", images)):
        for one, other, pairs in shared_between_splits(keys):
            raise _wrong(f"{what} in both {one} (sample {pairs[0][0]}) and {other} ({pairs[0][1]})")


def _masks(folder: Path, split: str, rows: Manifest) -> Iterator[Pixels]:
    paths = images_path(folder, split), masks_path(folder, split)
    if not len(rows) and not any(path.exists() for path in paths):
        return
    headers = [read_header(path) for path in paths]
    for path, header in zip(paths, headers, strict=True):
        if header.shape != (len(rows), *SEGMENTATION_SIZE, 1):
            raise _wrong(f"{path.name} of shape {header.shape} for {len(rows)} samples")
    for index in range(len(rows)):
        hu, labels = (
            read_samples(header, index, index + 1).reshape(SEGMENTATION_SIZE) for header in headers
        )
        yield hu, labels


def _slices(folder: Path, split: str, rows: Manifest) -> Iterator[Pixels]:
    path = table_path(folder, split)
    if not len(rows) and not path.exists():
        return
    table, issues = read_table(path, path.name, split)
    if table is None:
        raise as_error(issues[0], path)
    if table.column(PATIENT_COLUMN) != rows.texts("patient"):
        raise _wrong(f"other patients in {path.name} than in the manifest")
    for index in range(len(rows)):
        yield read_gray_png(png_path(folder, split, index)), None


def _compare(rows: Manifest, column: str, index: int, found: str, split: str) -> None:
    if rows.texts(column)[index] != found:
        raise _wrong(f"sample {index} of {split} with another {column} than in the manifest")


def _wrong(found: str) -> OutputError:
    return OutputError(
        f"expected the set as it was prepared, found {found} when it was read again",
        hint="Nothing was left. Remove the folder OUT.parts and try again; check the disk if it "
        "happens again.",
    )
