"""Mutated studies, seeded, read or analysed in a process of their own.

A decoder that crashes takes its process with it, and one that hangs never returns; so the tests
start this file and look at how it ends.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.dicom.header import PixelFormat, SeriesHeader, Storage
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import BodycompError, InputNotFoundError
from bodycomp.imaging.volume import Volume
from bodycomp.progress import no_progress
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.run import analyze_inputs
from bodycomp.study.search import opened_work
from support.annotation_files import index_to_lps, save_nifti, save_nrrd
from support.dicom_files import enhanced
from support.stand_ins import BodyIsMuscle, LevelAt

FILES_PER_STUDY = 20
SIDE = 32
HEADER_BYTES = 1400
EVIL_NUMBERS = (0, 1, -1, 2, 7, 255, 256, 65535, 32768, -32768, 2**31 - 1)
EVIL_TEXTS = (
    "",
    "0",
    "-1",
    "1e308",
    "-1e-308",
    "nan",
    "inf",
    "1e400",
    "../../x",
    "\\",
    "0\\0",
    "A",
)
EVIL_NAMES = (
    "Rows", "Columns", "BitsStored", "BitsAllocated", "HighBit", "PixelRepresentation",
    "SamplesPerPixel", "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "PixelSpacing",
    "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "InstanceNumber",
    "AcquisitionNumber", "SeriesNumber", "KVP", "PhotometricInterpretation", "ImageType",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "PatientID", "SeriesInstanceUID",
    "StudyInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality", "SeriesDescription",
    "SpecificCharacterSet", "ConvolutionKernel", "PatientSize", "PatientWeight",
    "TransferSyntaxUID",
)  # fmt: skip
Mutation = Callable[[random.Random, bytes], bytes]


def flip_bits(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 32))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_in_header(rng: random.Random, content: bytes) -> bytes:
    end = min(len(content), HEADER_BYTES)
    return flip_bits(rng, content[:end]) + content[end:]


def cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def repeat_or_drop(rng: random.Random, content: bytes) -> bytes:
    start, length = rng.randrange(len(content)), rng.choice((1, 2, 8, 200))
    part = content[start : start + length]
    return content[:start] + (part * 2 if rng.random() < 0.5 else b"") + content[start + length :]


def evil_length(rng: random.Random, content: bytes) -> bytes:
    start = rng.randrange(max(len(content) - 4, 1))
    value = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFF))
    return content[:start] + struct.pack("<I", value) + content[start + 4 :]


def noise(rng: random.Random, content: bytes) -> bytes:
    start = rng.randrange(len(content))
    return content[:start] + rng.randbytes(min(64, len(content) - start)) + content[start + 64 :]


ON_BYTES: tuple[Mutation, ...] = (
    flip_bits, flip_in_header, flip_in_header, cut, repeat_or_drop, evil_length, noise
)  # fmt: skip


def evil_attribute(rng: random.Random, path: Path) -> bool:
    """Give one attribute a value that nobody sends; say whether that could be written."""
    try:
        dataset = pydicom.dcmread(path)
        name = rng.choice(EVIL_NAMES)
        if name == "TransferSyntaxUID":
            dataset.file_meta.TransferSyntaxUID = rng.choice([*Storage, "1.2.840.10008.1.2.4.70"])
        else:
            old = dataset.get(name)
            value = rng.choice(EVIL_NUMBERS if isinstance(old, int) else EVIL_TEXTS)
            setattr(dataset, name, value)
        dataset.save_as(path)
    except Exception:
        return False
    return True


def mutate(rng: random.Random, path: Path, *, pixels_alone: bool) -> None:
    """Change a file in place: anywhere, or behind its header so that its series survives longer."""
    if pixels_alone:
        content = path.read_bytes()
        head, rest = content[:HEADER_BYTES], content[HEADER_BYTES:] or b"\0"
        path.write_bytes(head + rng.choice(ON_BYTES)(rng, rest))
        return
    if path.suffix == ".dcm" and rng.random() < 0.4 and evil_attribute(rng, path):
        return
    content = path.read_bytes()
    for _ in range(rng.choice((1, 1, 2))):
        content = rng.choice(ON_BYTES)(rng, content) or b"\0"
    path.write_bytes(content)


def make_study(rng: random.Random, folder: Path, number: int) -> int:
    """Write one mutated study; return its number of files."""
    hu = np.full((FILES_PER_STUDY, SIDE, SIDE), -1000, np.int16)
    hu[:, 4:20, 3:21] = 40
    volume = Volume(hu, (2.0, 2.0), 5.0 * np.arange(FILES_PER_STUDY))
    kind = number % 9
    storage = [*Storage][kind % len(Storage)]
    header = SeriesHeader(
        seed=f"fuzz {number}",
        pixels=PixelFormat(storage=storage),
        kernel="STANDARD",
        patient_id="F",
    )
    files: Sequence[Path] = write_ct_series(folder, volume, header)
    if kind == 6:
        enhanced(files, folder / "many.dcm")
        for file in files:
            file.unlink()
        files = [folder / "many.dcm"]
    elif kind == 7:
        save = rng.choice((save_nifti, save_nrrd))
        name = "v.nii.gz" if save is save_nifti else "v.nrrd"
        files = [*files, save(folder / name, hu.transpose(2, 1, 0), index_to_lps(volume))]
    elif kind == 8:
        with zipfile.ZipFile(folder / "v.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.name)
        files = [folder / "v.zip", *files[:1]]
    pixels_alone = rng.random() < 0.5
    for file in files:
        mutate(rng, file, pixels_alone=pixels_alone)
    return len(files)


def read(options: AnalyzeOptions) -> tuple[int, int]:
    """Read everything; return how many series could be read, and how many were refused."""
    loaded = 0
    try:
        with opened_work(options, no_progress) as work:
            for source in work.sources:
                with suppress(BodycompError):
                    source.load()
                    loaded += 1
    except InputNotFoundError:
        return 0, 0
    return loaded, len(work.refused) + len(work.sources) - loaded


def analyze(options: AnalyzeOptions) -> tuple[int, int]:
    analyzer = Analyzer(LevelAt(47.0), BodyIsMuscle(), AnalysisOptions())
    report = analyze_inputs(options, analyzer=analyzer)
    faults = [row for row in report.refused if row.kind == "fault"]
    assert not faults, faults
    return len(report.analyzed), len(report.refused)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--analyze", action="store_true")
    given = parser.parse_args()
    rng = random.Random(given.seed)
    folder, written, number = given.folder / "in", 0, 0
    folder.mkdir(parents=True)
    while written < given.files:
        written += make_study(rng, folder / f"{number:03d}", number)
        number += 1
    options = AnalyzeOptions(
        inputs=(folder,),
        models_dir=folder,
        out_dir=given.folder / "out",
        previews=False,
        workers=0,
    )
    found, refused = (analyze if given.analyze else read)(options)
    sys.stdout.write(f"{written} files, {number} studies: {found} series read, {refused} refused\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
