"""Made-up copies of published data sets: their layouts, and the oddities that users meet in them.

Arrays are (column, row, slice) in LPS while they are made, and stored in whatever orientation a
case is to have. ``seen`` reads them back as a radiologist sees them, with nibabel and NumPy alone.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

MATRIX, SLICES = 128, 11
WIDTH_MM, THICKNESS_MM = 384.0, 5.0
ANNOTATED = (0, 5, 10)
LEGS = 0
"""The slice of legs alone."""
NOT_ANNOTATED = 255
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def grid(matrix: int = MATRIX) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Column and row positions from -1 to 1, (column, row)."""
    along = (np.arange(matrix) + 0.5) / matrix * 2 - 1
    return np.meshgrid(along, along, indexing="ij")


def disk(x: float, y: float, across: float, down: float, matrix: int = MATRIX) -> NDArray[np.bool_]:
    columns, rows = grid(matrix)
    return ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1


@dataclass(frozen=True, eq=False)
class Body:
    """HU, regions and parts of a made-up scan, (column, row, slice) in LPS."""

    hu: NDArray[np.int16]
    regions: NDArray[np.uint8]
    parts: NDArray[np.uint8]


def body(seed: int, matrix: int = MATRIX, slices: int = SLICES) -> Body:
    """A trunk with one arm at the patient's right; the lowest slice is two legs.

    Every region has pixels outside the HU of its tissue.
    """
    rng = np.random.default_rng(seed)
    shape = (matrix, matrix, slices)
    regions, parts = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    hu = rng.normal(-1000, 12, shape)
    for index in range(slices):
        size = 0.6 + 0.01 * index
        pieces = (
            [(disk(x, 0, 0.3, 0.35, matrix), 2, part) for x, part in ((-0.4, 3), (0.4, 4))]
            if index == LEGS
            else [
                (disk(0, 0, size, size * 0.7, matrix), 1, 1),
                (disk(0, 0, size * 0.85, size * 0.55, matrix), 2, 1),
                (disk(0, 0, size * 0.7, size * 0.4, matrix), 3, 1),
                (disk(0, 0.25, 0.1, 0.1, matrix), 5, 1),
                (disk(-0.85, 0.1, 0.12, 0.2, matrix), 1, 5),  # the patient's right is on the left
                (disk(-0.85, 0.1, 0.08, 0.14, matrix), 2, 5),
            ]
        )
        for inside, region, part in pieces:
            regions[inside, index], parts[inside, index] = region, part
    for region, usual in ((1, -100), (2, 50), (3, -90), (5, 600)):
        inside = regions == region
        hu[inside] = rng.normal(usual, 8, int(inside.sum()))
    odd = (regions > 0) & (rng.random(shape) < 0.2)  # fat within muscle, vessels within fat
    hu[odd] = rng.choice([-100, 30, 180, -200], int(odd.sum()))
    return Body(np.rint(hu).astype(np.int16), regions, parts)


def sparse(labels: NDArray[np.uint8], unknown: int = NOT_ANNOTATED) -> NDArray[np.uint8]:
    """Labels of every fifth slice, as SAROS has them."""
    found = np.full_like(labels, unknown)
    found[..., list(ANNOTATED)] = labels[..., list(ANNOTATED)]
    return found


def save(
    path: Path,
    values: NDArray[np.generic],
    axes: Sequence[int] = (0, 1, 2),
    flips: Sequence[int] = (),
    degrees: float = 0.0,
) -> Path:
    """Write (column, row, slice) values of LPS, stored with other axes, or turned about x."""
    turn = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn[1:3, 1:3] = [[c, -s], [s, c]]
    pixel_mm = WIDTH_MM / len(values)
    affine = LPS @ turn @ np.diag([pixel_mm, pixel_mm, THICKNESS_MM, 1.0])
    affine[:3, 3] = 150, 140, -300
    stored = np.transpose(values, axes)
    affine = affine[:, [*axes, 3]]
    for axis in flips:
        affine[:, 3] += affine[:, axis] * (stored.shape[axis] - 1)
        affine[:, axis] *= -1
        stored = np.flip(stored, axis)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(np.ascontiguousarray(stored), affine)
    image.header.set_xyzt_units("mm")
    image.to_filename(path)
    return path


def seen(path: Path) -> NDArray[np.generic]:
    """(slice, row, column) of a file, front on top and the patient's right on the left."""
    stored = nib.as_closest_canonical(nib.load(path))
    return np.asarray(stored.dataobj)[::-1, ::-1].transpose(2, 1, 0)


def table(path: Path, rows: Sequence[Mapping[str, str]], delimiter: str = ",") -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def zipped(folder: Path, archive: Path, inside: str = "") -> None:
    """Put the files of a folder into a zip file, and remove them."""
    with zipfile.ZipFile(archive, "w") as opened:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            opened.write(file, f"{inside}{file.relative_to(folder).as_posix()}")
            file.unlink()
    for left in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
        left.rmdir()
    folder.rmdir()


def saros_case(folder: Path, seed: int, unknown: int = NOT_ANNOTATED, **stored: object) -> Body:
    """Write a case of SAROS."""
    made = body(seed)
    save(folder / "image.nii.gz", made.hu, **stored)
    save(folder / "body-regions.nii.gz", sparse(made.regions, unknown), **stored)
    save(folder / "body-parts.nii.gz", sparse(made.parts, unknown), **stored)
    return made


def saros_row(number: int, split: str, **other: str) -> dict[str, str]:
    usual = {
        "tcia_collection": "LIDC-IDRI",
        "tcia_case_id": f"LIDC-{number:04d}",
        "tcia_series_instance_uid": f"1.3.6.1.4.{number + 1}",
    }
    return {"id": f"case_{number:03d}", "split": split, **usual, **other}


SPINE = ("L5", "L4", "L3", "L2", "L1", "T12")
SPINE_SLICES, FIRST, STEP, HEIGHT = 40, 3, 6, 4
"""Vertebral bodies are HEIGHT slices high and begin STEP slices above one another."""


def spine(names: Sequence[str] = SPINE, matrix: int = MATRIX) -> dict[str, NDArray[np.uint8]]:
    """Masks of vertebrae from the lowest up; a process hangs two slices lower behind each body."""
    found = {}
    for number, name in enumerate(names):
        low = FIRST + STEP * number
        mask = np.zeros((matrix, matrix, SPINE_SLICES), np.uint8)
        mask[60:68, 70:80, low : low + HEIGHT] = 1
        mask[62:66, 80:90, low - 2 : low] = 1
        found[name] = mask
    return found


def middle(names: Sequence[str], name: str) -> float:
    """The slice in the middle of a vertebral body, from 0 at the feet."""
    return FIRST + STEP * names.index(name) + (HEIGHT - 1) / 2


def offsets(names: Sequence[str] = SPINE) -> dict[str, NDArray[np.float64]]:
    """Level -> offset in mm of every slice."""
    slices = np.arange(SPINE_SLICES)
    return {name: THICKNESS_MM * (slices - middle(names, name)) for name in names}


def spine_scan(seed: int) -> NDArray[np.int16]:
    return body(seed, slices=SPINE_SLICES).hu


def set_offsets(out: Path, split: str) -> dict[str, list[str]]:
    """Column -> cells of a slice-selection table."""
    with (out / "meta" / f"{split}.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {name: [row[name] for row in rows] for name in rows[0]}


def reasons(out: Path) -> dict[str, str]:
    """Case -> why it was left out, of those that were."""
    with (out / "source-cases.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {row["case"]: row["left_out"] for row in rows if row["left_out"]}


def totalsegmentator_case(folder: Path, seed: int, **stored: object) -> None:
    """Write a case with a file a class, empty ones included."""
    save(folder / "ct.nii.gz", spine_scan(seed), **stored)
    masks = spine()
    empty = np.zeros_like(masks["L3"])
    for name, mask in (*masks.items(), ("C1", empty), ("S1", empty)):
        save(folder / "segmentations" / f"vertebrae_{name}.nii.gz", mask, **stored)
    save(folder / "segmentations" / "liver.nii.gz", empty, **stored)


VERSE_NUMBERS = {
    **{f"C{i}": i for i in range(1, 8)}, **{f"T{i}": 7 + i for i in range(1, 13)},
    **{f"L{i}": 19 + i for i in range(1, 7)}, "T13": 28,
}  # fmt: skip


def verse_case(
    root: Path,
    split: str,
    name: str,
    seed: int,
    names: Sequence[str] = SPINE,
    **stored: object,
) -> None:
    """Write a scan of VerSe with its mask."""
    patient = name.split("_", maxsplit=1)[0]
    save(root / split / "rawdata" / patient / f"{name}_ct.nii.gz", spine_scan(seed), **stored)
    labels = sum(VERSE_NUMBERS[level] * mask for level, mask in spine(names).items())
    path = root / split / "derivatives" / patient / f"{name}_seg-vert_msk.nii.gz"
    save(path, labels.astype(np.uint8), **stored)
    # Axes P, I, R: the second counts slices from the head, whatever the file's own order is.
    centroids = [
        {
            "label": VERSE_NUMBERS[level],
            "X": 75.0,
            "Y": SPINE_SLICES - 1 - middle(names, level),
            "Z": 64.0,
        }
        for level in names
    ]
    missing = {"label": 19, "X": float("nan"), "Y": float("nan"), "Z": float("nan")}
    content = [{"direction": ["P", "I", "R"]}, *centroids, missing]
    path.with_name(f"{name}_seg-subreg_ctd.json").write_text(json.dumps(content))
