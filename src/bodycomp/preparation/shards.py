"""A shard: the samples of one finished case in a folder of its own, and the way to read them again.

    record.json     what the case is and what every sample is
    samples.bin     segmentation: HU and labels of each sample, packed one by one
    000000.png ...  slice selection: the slices as the training set holds them

A shard does not know its split, so that other splits repeat no case. Shards lie in a work folder
beside the set and survive whatever ends the command.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from bodycomp import __version__
from bodycomp.data.layout import png_name
from bodycomp.data.samples import MaskSample
from bodycomp.digests import text_digest
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE
from bodycomp.level_names import head_to_feet
from bodycomp.preparation.cases import Case
from bodycomp.preparation.level_checks import LevelEvidence, stored_evidence
from bodycomp.preparation.options import MaskTask, PrepareTask
from bodycomp.storage import lock_file, remove_leftovers

RECORD_NAME: Final = "record.json"
SAMPLES_NAME: Final = "samples.bin"
LOCK_NAME: Final = ".lock"
SHARD_VERSION: Final = 3
"""Counts changes of what shards hold."""

FAST: Final = 1
"""Level of zlib. Low bytes of HU are noise and stay as they are; high bytes and labels shrink to
almost nothing. That takes a third of the disk, and a quarter of the time of packing all bytes."""

_PIXELS: Final = SEGMENTATION_SIZE[0] * SEGMENTATION_SIZE[1]


@dataclass(frozen=True, slots=True)
class ShardSample:
    """One sample; names as in ``data.manifest.ManifestRow``.

    ``constant`` images may be the same in several patients. Validation and test take every sample,
    training those of ``training``. ``offsets_mm`` maps levels, ``pixels`` labels.
    """

    slice_index: int
    sop_instance_uid: str
    z_mm: float
    source_digest: str
    source_file: str
    image_digest: str
    labels_digest: str = ""
    constant: bool = False
    training: bool = True
    offsets_mm: Mapping[str, float] = field(default_factory=dict)
    pixels: Mapping[str, int] = field(default_factory=dict)
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What a finished case is; ``series_instance_uid`` and ``turn`` as in the manifest.

    ``patient_id_digest`` is empty without a DICOM Patient ID; ``spacing_mm`` is that of the
    samples, which lie feet to head. ``evidence`` is what the scan shows of levels that were marked
    by numbers.
    """

    patient_id_digest: str
    series_instance_uid: str
    scan_digest: str
    spacing_mm: tuple[float, float]
    source_shape: tuple[int, int]
    turn: str
    facts: Mapping[str, str]
    notes: tuple[str, ...]
    samples: tuple[ShardSample, ...]
    evidence: tuple[LevelEvidence, ...] = ()

    def of_split(self, split: str) -> Iterator[tuple[int, ShardSample]]:
        """Yield place and sample of those that a split takes of a case."""
        for place, sample in enumerate(self.samples):
            if sample.training or split != "train":
                yield place, sample


@dataclass(frozen=True, slots=True)
class Shard:
    """A case, and the folder that holds its samples or shall hold them."""

    case: Case
    folder: Path

    def is_finished(self) -> bool:
        """Return whether the case was finished; shards appear whole or not at all."""
        return (self.folder / RECORD_NAME).is_file()

    def record(self) -> ShardRecord:
        """Read what the case is."""
        content = json.loads((self.folder / RECORD_NAME).read_text(encoding="utf-8"))
        return ShardRecord(
            **content
            | {
                "spacing_mm": tuple(content["spacing_mm"]),
                "source_shape": tuple(content["source_shape"]),
                "notes": tuple(content["notes"]),
                "samples": tuple(ShardSample(**sample) for sample in content["samples"]),
                "evidence": tuple(map(stored_evidence, content["evidence"])),
            }
        )

    def mask_samples(self, record: ShardRecord) -> Iterator[tuple[ShardSample, MaskSample]]:
        """Yield the samples for segmentation one by one."""
        with (self.folder / SAMPLES_NAME).open("rb") as stream:
            for sample in record.samples:
                low = np.frombuffer(stream.read(_PIXELS), np.uint8)
                packed = stream.read(sample.stored_bytes - _PIXELS)
                high, labels = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(2, -1)
                hu = np.stack([low, high], axis=-1).view("<i2").astype(np.int16, copy=False)
                yield (
                    sample,
                    MaskSample(hu.reshape(SEGMENTATION_SIZE), labels.reshape(SEGMENTATION_SIZE)),
                )

    def png(self, place: int) -> Path:
        """Return the PNG of sample number ``place``."""
        return self.folder / png_name(place)


def store_mask_sample(stream: BinaryIO, sample: MaskSample) -> int:
    """Append a sample to ``samples.bin`` and return its length there."""
    low, high = sample.hu.astype("<i2", copy=False).view(np.uint8).reshape(-1, 2).T
    packed = zlib.compress(high.tobytes() + sample.labels.tobytes(), FAST)
    return stream.write(low.tobytes() + packed)


def found_levels(shards: Iterable[Shard]) -> tuple[str, ...]:
    """Return the levels that lie in any scan; vertebrae first, head to feet."""
    samples = (sample for shard in shards for sample in shard.record().samples)
    return head_to_feet({name for sample in samples for name in sample.offsets_mm})


@contextmanager
def work_folder(folder: Path) -> Iterator[None]:
    """Make the folder, for its owner alone, or clear what a killed process left half-written.

    Raises:
        OutputError: Another run is at work in it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / LOCK_NAME).open("ab") as lock:
        lock_file(lock, folder)
        remove_leftovers(folder)
        yield


def shard_of(case: Case, task: PrepareTask, work: Path) -> Shard:
    """Return the shard of a case, named anew as soon as a file of the case or the task is another.

    Files count by path, size and time of change, because reading all of them again would take as
    long as preparing them.
    """
    content = {
        "version": [SHARD_VERSION, __version__],
        "patient": case.patient,
        "series": case.series,
        "labeled": case.labeled,
        "files": [
            [role, *stamp] for role, path in _inputs(case, task) for stamp in sorted(_stamps(path))
        ],
        "task": [type(task).__name__, asdict(task) | {"levels": ()}],
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return Shard(case, work / text_digest(text, 32))


def _inputs(case: Case, task: PrepareTask) -> Iterator[tuple[str, Path]]:
    yield "scan", case.scan
    for number, path in enumerate(case.masks):  # slice selection compares levels with them
        yield f"mask {number}", path
    if case.levels is not None and (not isinstance(task, MaskTask) or task.sampling.around):
        yield "levels", case.levels


def _stamps(path: Path) -> Iterator[tuple[str, int, int]]:
    walked = (Path(root, name) for root, _, names in os.walk(path) for name in names)
    for file in [path] if path.is_file() else walked:
        status = file.stat()
        yield str(file.resolve()), status.st_size, status.st_mtime_ns
