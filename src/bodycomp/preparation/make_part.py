"""One case from its files to a finished part; runs in processes of its own."""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.layers import read_layers
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.annotation.levels import LevelMarks, read_levels
from bodycomp.annotation.masks import read_masks
from bodycomp.data.manifest import pixel_digest
from bodycomp.data.samples import (
    level_sample,
    level_slices,
    levels_in_scan,
    mask_sample,
    mask_slices,
    training_share,
)
from bodycomp.digests import file_digest, text_digest
from bodycomp.errors import ImageError, OutputError
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE, SLICE_SELECTION_SIZE
from bodycomp.imaging.square_field import SquareField
from bodycomp.imaging.volume import MIN_SLICES
from bodycomp.preparation.cases import Case
from bodycomp.preparation.faults import PartFault, fault_of
from bodycomp.preparation.level_evidence import LevelEvidence, level_evidence
from bodycomp.preparation.options import SegmentationTask, SliceTask, Task
from bodycomp.preparation.part import (
    SAMPLES_NAME,
    PartRecord,
    PartSample,
    store_level_sample,
    store_mask_sample,
    write_record,
)
from bodycomp.reading.read_scan import read_scan
from bodycomp.scan import Scan
from bodycomp.storage import atomic_folder

MASK_SAMPLE_BYTES: Final = 600_000
LEVEL_SAMPLE_BYTES: Final = 60_000
"""What a sample takes in a part at most: noise and labels compress to less."""


@dataclass(frozen=True, slots=True)
class PartJob:
    """A case, what to make of it, and the folder that shall appear."""

    case: Case
    task: Task
    part: Path


def make_part(job: PartJob) -> PartFault | None:
    """Make the part of one case; return why not if the case is refused.

    Raises:
        OutputError: The disk is full, which is no fault of the case.
    """
    try:
        _make(job)
    except OutputError:
        raise
    except Exception as error:  # a damaged file can make any library raise anything
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(job.part.parent) from error
        return fault_of(error, job.case)
    return None


def disk_full(folder: Path, needed: int = 0) -> OutputError:
    """Return the error of a disk that is too small, with what is needed if it is known."""
    free = shutil.disk_usage(folder).free
    expected = f"expected {needed / 1e9:.1f} GB of free disk, found" if needed else "disk full:"
    return OutputError(
        f"{expected} {free / 1e9:.1f} GB at {folder}",
        hint="Make room or name an output folder on another disk; what is finished is kept, and "
        "the same command goes on from there.",
    )


def _make(job: PartJob) -> None:
    task = job.task
    # Segmentation is trained slice by slice; levels are found in a stack.
    min_slices = 1 if isinstance(task, SegmentationTask) else MIN_SLICES
    scan = read_scan(job.case.scan, series=job.case.series, min_slices=min_slices)
    with atomic_folder(job.part) as folder:
        source = _Source(scan)
        if isinstance(task, SegmentationTask):
            made = _mask_samples(folder, source, job.case, task)
        else:
            made = _level_samples(folder, source, job.case, task)
        write_record(folder, _record(source, made))


@dataclass(frozen=True, slots=True)
class _Made:
    """Samples of a case, notes on its annotations, and what the scan shows of its levels."""

    samples: tuple[PartSample, ...]
    notes: tuple[str, ...]
    evidence: tuple[LevelEvidence, ...]


class _Source:
    """A scan, and digests of its files, each made once."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self._digests: dict[Path, str] = {}

    def digest(self, index: int) -> str:
        """Return the SHA-256 of the file of a slice."""
        path = self.scan.files[index]
        if path not in self._digests:
            self._digests[path] = file_digest(path)
        return self._digests[path]

    @property
    def series_uid(self) -> str:
        """The scan's, or for a volume file one of its content (``2.25``, PS3.5 B.2)."""
        if self.scan.series_uid:
            return self.scan.series_uid
        return f"2.25.{int(self.digest(0)[:32], 16)}"

    def sample(self, index: int, image: np.ndarray) -> PartSample:
        """Return what is known of a slice's sample by its source and its image."""
        return PartSample(
            slice_index=index,
            sop_instance_uid=self.scan.sop_instance_uids[index],
            z_mm=round(float(self.scan.volume.slice_z_mm[index]), 6),
            source_digest=self.digest(index),
            source_file=str(self.scan.files[index]),
            image_digest=pixel_digest(image),
            constant=bool(image.min() == image.max()),
        )


def _mask_samples(folder: Path, source: _Source, case: Case, task: SegmentationTask) -> _Made:
    scan = source.scan
    masks = read_masks(case.masks, scan, task.mapping or LabelMapping({}))
    marks = _levels(case, scan, task.level_format) if task.sampling.around else LevelMarks({})
    candidates = masks.annotated if task.sampling.annotated_only else ~masks.left_out
    chosen = mask_slices(scan.volume, candidates, marks.z_mm, task.sampling)
    if not chosen:
        raise ImageError(
            f"expected annotated slices, found {int(masks.annotated.sum())} in the scan's "
            f"{len(scan.volume)} and none of them where slices are taken"
        )
    _check_room(folder, len(chosen) * MASK_SAMPLE_BYTES)
    samples = []
    with (folder / SAMPLES_NAME).open("wb") as stream:
        for index in chosen:
            made = mask_sample(scan.volume, masks.labels[index], index)
            samples.append(
                replace(
                    source.sample(index, made.hu),
                    labels_digest=pixel_digest(made.labels),
                    pixels={
                        tissue.key: int((made.labels == tissue.label).sum())
                        for tissue in ABDOMINAL_TISSUES
                    },
                    stored_bytes=store_mask_sample(stream, made),
                )
            )
    evidence = level_evidence(scan, marks, task.level_format, masks.annotated)
    return _Made(tuple(samples), (*masks.notes, *marks.notes), evidence)


def _level_samples(folder: Path, source: _Source, case: Case, task: SliceTask) -> _Made:
    volume = source.scan.volume
    marks = _levels(case, source.scan, task.level_format)
    inside = levels_in_scan(volume, marks.z_mm)
    if not inside:
        raise ImageError(
            f"expected a level between the first and the last slice, {volume.slice_z_mm[0]:.1f} "
            f"to {volume.slice_z_mm[-1]:.1f} mm, found "
            + (", ".join(f"{n} at {z:.1f} mm" for n, z in marks.z_mm.items()) or "none")
        )
    chosen = level_slices(volume, task.sampling)
    training = set(training_share(chosen, volume, marks.z_mm, task.sampling))
    _check_room(folder, len(chosen) * LEVEL_SAMPLE_BYTES)
    samples = []
    for place, index in enumerate(chosen):
        made = level_sample(volume, marks.z_mm, index)
        store_level_sample(folder, place, made)
        described = source.sample(index, made.grey)
        samples.append(replace(described, training=index in training, offsets_mm=made.offsets_mm))
    annotated = _annotated(case, source.scan) if marks.slice_numbers else None
    evidence = level_evidence(source.scan, marks, task.level_format, annotated)
    return _Made(tuple(samples), marks.notes, evidence)


def _annotated(case: Case, scan: Scan) -> NDArray[np.bool_] | None:
    """Return which slices somebody annotated; None where no masks can be read, which is no fault.

    Slice selection needs no masks, but they show whether levels were counted as the options say.
    """
    found = np.zeros(len(scan.volume), np.bool_)
    try:
        for path in case.masks:
            for layer in read_layers(path, scan):
                found |= layer.labels.any(axis=(1, 2))
    except Exception:  # a damaged file can make any library raise anything
        return None
    return found


def _levels(case: Case, scan: Scan, level_format: LevelOptions) -> LevelMarks:
    if case.levels is None:
        raise ImageError("expected a file of levels, about which slices are taken; found none")
    return read_levels(case.levels, scan, replace(level_format, case=case.patient))


def _record(source: _Source, made: _Made) -> PartRecord:
    samples, notes = made.samples, (*source.scan.notes, *made.notes)
    scan, volume = source.scan, source.scan.volume
    size = SEGMENTATION_SIZE if samples[0].labels_digest else SLICE_SELECTION_SIZE
    field = SquareField.of_volume(volume)
    identity = scan.patient_id.strip()
    return PartRecord(
        patient_id_digest=text_digest(identity) if identity else "",
        series_instance_uid=source.series_uid,
        scan_digest=pixel_digest(volume.hu),
        spacing_mm=field.sample_spacing_mm(size),
        source_shape=volume.slice_shape,
        turn=turn_words(field.turn),
        facts=dict(scan.facts),
        notes=tuple(dict.fromkeys(notes)),
        samples=samples,
        evidence=made.evidence,
    )


def turn_words(turn: OrientationTransform) -> str:
    """Return a turn as the manifest states it.

    >>> turn_words(OrientationTransform(transpose=True, flip_columns=True))
    'transpose flip_columns'
    """
    names = ("transpose", "flip_rows", "flip_columns")
    return " ".join(name for name in names if getattr(turn, name))


def _check_room(folder: Path, needed: int) -> None:
    if shutil.disk_usage(folder).free < needed:
        raise disk_full(folder.parent, needed)
