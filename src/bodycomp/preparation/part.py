"""A part: the samples of one finished case in a folder of its own, and the way to read them again.

    record.json     what the case is and what every sample is
    samples.bin     segmentation: HU and labels of each sample, packed one by one
    000000.png ...  slice selection: the slices as the training set holds them

A part does not know its split, so that other splits repeat no case.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from bodycomp.data.layout import png_name
from bodycomp.data.png import write_grey_png
from bodycomp.data.samples import LevelSample, MaskSample
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE
from bodycomp.preparation.level_evidence import LevelEvidence, stored_evidence

RECORD_NAME: Final = "record.json"
SAMPLES_NAME: Final = "samples.bin"
FAST: Final = 1
"""Level of zlib. Low bytes of HU are noise and stay as they are; high bytes and labels shrink to
almost nothing. That takes a third of the disk, and a quarter of the time of packing all bytes."""

_PIXELS: Final = SEGMENTATION_SIZE[0] * SEGMENTATION_SIZE[1]


@dataclass(frozen=True, slots=True)
class PartSample:
    """One sample; names as in ``data.manifest.ManifestRow``.

    Attributes:
        constant: All pixels are equal: such images may be the same in several patients.
        training: Taken for training; validation and test take every sample.
        offsets_mm: Level -> height above it.
        pixels: Label -> pixels that have it.
        stored_bytes: Length in ``samples.bin``.
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
class PartRecord:
    """One finished case.

    Attributes:
        patient_id_digest: Of the DICOM Patient ID; empty if there is none.
        series_instance_uid: As in the manifest.
        scan_digest: Of the scan's pixels.
        spacing_mm: Distance between rows and between columns of the samples.
        source_shape: Rows and columns of the scan.
        turn: As in the manifest.
        facts, notes: Of the scan and its annotations.
        samples: Feet to head.
        evidence: What the scan shows of levels that were marked by the number of a slice.
    """

    patient_id_digest: str
    series_instance_uid: str
    scan_digest: str
    spacing_mm: tuple[float, float]
    source_shape: tuple[int, int]
    turn: str
    facts: Mapping[str, str]
    notes: tuple[str, ...]
    samples: tuple[PartSample, ...]
    evidence: tuple[LevelEvidence, ...] = ()


def is_finished(part: Path) -> bool:
    """Return whether a case was finished; parts appear whole or not at all."""
    return (part / RECORD_NAME).is_file()


def write_record(part: Path, record: PartRecord) -> None:
    """Write ``record.json``."""
    (part / RECORD_NAME).write_text(json.dumps(asdict(record)), encoding="utf-8")


def read_record(part: Path) -> PartRecord:
    """Read ``record.json``."""
    content = json.loads((part / RECORD_NAME).read_text(encoding="utf-8"))
    return PartRecord(
        **content
        | {
            "spacing_mm": tuple(content["spacing_mm"]),
            "source_shape": tuple(content["source_shape"]),
            "notes": tuple(content["notes"]),
            "samples": tuple(PartSample(**sample) for sample in content["samples"]),
            "evidence": tuple(map(stored_evidence, content["evidence"])),
        }
    )


def store_mask_sample(stream: BinaryIO, sample: MaskSample) -> int:
    """Append a sample to ``samples.bin`` and return its length there."""
    low, high = sample.hu.astype("<i2", copy=False).view(np.uint8).reshape(-1, 2).T
    packed = zlib.compress(high.tobytes() + sample.labels.tobytes(), FAST)
    return stream.write(low.tobytes() + packed)


def stored_mask_samples(part: Path, record: PartRecord) -> Iterator[tuple[PartSample, MaskSample]]:
    """Yield the samples of a part one by one."""
    with (part / SAMPLES_NAME).open("rb") as stream:
        for sample in record.samples:
            low = np.frombuffer(stream.read(_PIXELS), np.uint8)
            packed = stream.read(sample.stored_bytes - _PIXELS)
            high, labels = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(2, -1)
            hu = np.stack([low, high], axis=-1).view("<i2").astype(np.int16, copy=False)
            yield (
                sample,
                MaskSample(hu.reshape(SEGMENTATION_SIZE), labels.reshape(SEGMENTATION_SIZE)),
            )


def store_level_sample(part: Path, place: int, sample: LevelSample) -> None:
    """Write the PNG of sample number ``place``."""
    write_grey_png(part / png_name(place), sample.grey)


def stored_png(part: Path, place: int) -> Path:
    """Return the PNG of sample number ``place``."""
    return part / png_name(place)
