"""Cases from their files to finished shards, in a few processes that end with their parent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, ALL_TISSUES
from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.layers import read_layers
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.annotation.levels import LevelMarks, read_levels
from bodycomp.annotation.masks import read_masks
from bodycomp.annotation.region_masks import read_region_masks
from bodycomp.data.layout import png_name
from bodycomp.data.manifest import pixel_digest
from bodycomp.data.png import write_gray_png
from bodycomp.data.samples import (
    level_sample,
    level_slices,
    levels_in_scan,
    mask_sample,
    mask_slices,
    training_share,
)
from bodycomp.digests import file_digest, text_digest
from bodycomp.errors import ImageError, NotAnnotatedError, OutputError, is_disk_full
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE, SLICE_SELECTION_SIZE
from bodycomp.imaging.square_field import SquareField
from bodycomp.imaging.volume import MIN_SLICES
from bodycomp.preparation.cases import Case
from bodycomp.preparation.level_checks import LevelEvidence, level_evidence
from bodycomp.preparation.options import LevelTask, MaskTask, PrepareTask
from bodycomp.preparation.refusals import RefusedCase, refusal
from bodycomp.preparation.shards import (
    RECORD_NAME,
    SAMPLES_NAME,
    Shard,
    ShardRecord,
    ShardSample,
    store_mask_sample,
)
from bodycomp.processes import Work, Workers
from bodycomp.reading.read_scan import read_scan
from bodycomp.scan import Scan
from bodycomp.storage import atomic_folder

MASK_SAMPLE_BYTES: Final = 600_000
LEVEL_SAMPLE_BYTES: Final = 60_000
"""What a sample takes in a shard at most: noise and labels compress to less."""


def make_shards(
    shards: Sequence[Shard], task: PrepareTask, workers: Workers
) -> Iterator[RefusedCase | None]:
    """Make shards, yielding for each, in any order, why its case is refused; None if finished.

    Raises:
        ClusterError: The cluster was lost, or cannot do the work.
        OutputError: The disk is full, or a process was ended from outside.
    """
    work = Work(
        partial(make_shard, task=task), lambda shard: (shard.folder.parent, shard.case.scan)
    )
    try:
        yield from (found for _, found in workers.results(work, shards))
    except BrokenProcessPool as error:
        raise OutputError(
            "a process was ended from outside, most likely because memory ran out",
            hint="Try fewer --jobs; what is finished is kept, and the same command resumes.",
        ) from error


def make_shard(shard: Shard, task: PrepareTask) -> RefusedCase | None:
    """Make the shard of one case; return why not if the case is refused.

    Raises:
        OutputError: The disk is full, which is no fault of the case.
    """
    try:
        _make(shard, task)
    except Exception as error:  # a damaged file can make any library raise anything
        if shard.is_finished():  # by another worker, which had the case before and was not lost
            return None
        if isinstance(error, OutputError):
            raise
        if is_disk_full(error):
            raise disk_full(shard.folder.parent) from error
        return refusal(shard.case, error)
    return None


def disk_full(folder: Path, needed: int = 0) -> OutputError:
    """Return the error of a disk that is too small, with what is needed if it is known."""
    free = shutil.disk_usage(folder).free
    expected = f"expected {needed / 1e9:.1f} GB of free disk, found" if needed else "disk full:"
    return OutputError(
        f"{expected} {free / 1e9:.1f} GB at {folder}",
        hint="Make room or name an output folder on another disk; what is finished is kept, and "
        "the same command resumes from there.",
    )


def check_room(folder: Path, needed: int) -> None:
    """Check that so many bytes are free.

    Raises:
        OutputError: They are not.
    """
    if shutil.disk_usage(folder).free < needed:
        raise disk_full(folder, needed)


class _Source:
    """A scan, and digests of its files, each made once."""

    def __init__(self, scan: Scan) -> None:
        self.scan, self._files = scan, scan.files
        self._digest = cache(file_digest)

    @property
    def series_uid(self) -> str:
        """The scan's, or for a volume file one of its content (``2.25``, PS3.5 B.2)."""
        if self.scan.series_uid:
            return self.scan.series_uid
        return f"2.25.{int(self._digest(self._files[0])[:32], 16)}"

    def sample(self, index: int, image: NDArray[Any], **annotated: Any) -> ShardSample:
        """Return what is known of a slice's sample by its source and its image."""
        return ShardSample(
            slice_index=index,
            sop_instance_uid=self.scan.sop_instance_uids[index],
            z_mm=round(float(self.scan.volume.slice_z_mm[index]), 6),
            source_digest=self._digest(self._files[index]),
            source_file=str(self._files[index]),
            image_digest=pixel_digest(image),
            constant=bool(image.min() == image.max()),
            **annotated,
        )


_Made = tuple[list[ShardSample], tuple[str, ...], tuple[LevelEvidence, ...]]
"""Samples of a case, notes on its annotations, and what the scan shows of its levels."""


def _make(shard: Shard, task: PrepareTask) -> None:
    case, with_masks = shard.case, isinstance(task, MaskTask)
    # Segmentation is trained slice by slice; levels are found in a stack.
    min_slices = 1 if with_masks else MIN_SLICES
    scan = read_scan(case.scan, series=case.series, min_slices=min_slices)
    source = _Source(scan)
    with atomic_folder(shard.folder) as folder:
        if isinstance(task, MaskTask):
            samples, notes, evidence = _mask_samples(folder, source, case, task)
        else:
            samples, notes, evidence = _level_samples(folder, source, case, task)
        field = SquareField.of_volume(scan.volume)
        identity = scan.patient_id.strip()
        record = ShardRecord(
            patient_id_digest=text_digest(identity) if identity else "",
            series_instance_uid=source.series_uid,
            scan_digest=pixel_digest(scan.volume.hu),
            spacing_mm=field.sample_spacing_mm(
                SEGMENTATION_SIZE if with_masks else SLICE_SELECTION_SIZE
            ),
            source_shape=scan.volume.slice_shape,
            turn=turn_words(field.turn),
            facts=dict(scan.facts),
            notes=tuple(dict.fromkeys((*scan.notes, *notes))),
            samples=tuple(samples),
            evidence=evidence,
        )
        text = json.dumps(asdict(record))
        (folder / RECORD_NAME).write_text(text, encoding="utf-8")


def _mask_samples(folder: Path, source: _Source, case: Case, task: MaskTask) -> _Made:
    scan = source.scan
    masks = (
        read_region_masks(case.masks, scan, task.rules)
        if task.rules
        else read_masks(case.masks, scan, task.mapping or LabelMapping({}))
    )
    marks = _levels(case, scan, task.level_format) if task.sampling.around else LevelMarks({})
    candidates = masks.annotated if task.sampling.annotated_only else ~masks.left_out
    chosen = mask_slices(scan.volume, candidates, marks.z_mm, task.sampling)
    if not chosen:
        raise NotAnnotatedError(
            f"expected annotated slices, found {int(masks.annotated.sum())} in the scan's "
            f"{len(scan.volume)} and none of them where slices are taken"
        )
    check_room(folder.parent, len(chosen) * MASK_SAMPLE_BYTES)
    samples = []
    with (folder / SAMPLES_NAME).open("wb") as stream:
        for index in chosen:
            made = mask_sample(scan.volume, masks.labels[index], index)
            _check_labeled(case, made.labels, index)
            samples.append(
                source.sample(
                    index,
                    made.hu,
                    labels_digest=pixel_digest(made.labels),
                    pixels={
                        tissue.key: int(tissue.of(made.labels).sum())
                        for tissue in ABDOMINAL_TISSUES
                    },
                    stored_bytes=store_mask_sample(stream, made),
                )
            )
    evidence = level_evidence(scan, marks, task.level_format, masks.annotated)
    return samples, (*masks.notes, *marks.notes), evidence


def _check_labeled(case: Case, labels: NDArray[np.uint8], index: int) -> None:
    """Check that a slice holds no tissue that the cases table says was not labeled.

    Raises:
        ImageError: It does.
    """
    for tissue in ALL_TISSUES if case.labeled else ():
        if tissue.key not in case.labeled and (labels == tissue.label).any():
            raise ImageError(
                f"slice {index}: expected the tissues of the column labeled, "
                f"{', '.join(case.labeled)}, found {tissue.key}",
                hint="Name it in the column, or map its label to ignore.",
            )


def _level_samples(folder: Path, source: _Source, case: Case, task: LevelTask) -> _Made:
    volume = source.scan.volume
    marks = _levels(case, source.scan, task.level_format)
    if not levels_in_scan(volume, marks.z_mm):
        raise NotAnnotatedError(
            f"expected a level between the first and the last slice, {volume.slice_z_mm[0]:.1f} "
            f"to {volume.slice_z_mm[-1]:.1f} mm, found "
            + (", ".join(f"{n} at {z:.1f} mm" for n, z in marks.z_mm.items()) or "none")
        )
    chosen = level_slices(volume, task.sampling)
    training = set(training_share(chosen, volume, marks.z_mm, task.sampling))
    check_room(folder.parent, len(chosen) * LEVEL_SAMPLE_BYTES)
    samples = []
    for place, index in enumerate(chosen):
        made = level_sample(volume, marks.z_mm, index)
        write_gray_png(folder / png_name(place), made.gray)
        samples.append(
            source.sample(index, made.gray, training=index in training, offsets_mm=made.offsets_mm)
        )
    annotated = _annotated(case, source.scan) if marks.slice_numbers else None
    evidence = level_evidence(source.scan, marks, task.level_format, annotated)
    return samples, marks.notes, evidence


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


def turn_words(turn: OrientationTransform) -> str:
    """Return an orientation transform as the manifest states it.

    >>> turn_words(OrientationTransform(transpose=True, flip_columns=True))
    'transpose flip_columns'
    """
    names = ("transpose", "flip_rows", "flip_columns")
    return " ".join(name for name in names if getattr(turn, name))
