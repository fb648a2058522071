"""Small annotated scans on disk, and a cases table that lists them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bodycomp.annotation.labels import LabelMapping
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from bodycomp.nifti import write_nifti_labels
from bodycomp.preparation.options import LevelTask, MaskTask, PrepareOptions, PrepareTask
from support.factories import torso_slice

SIZE = (48, 48)
SLICES = 12
SPACING_MM = 5.0
L3_SLICE = 6
LABELS = ("1=muscle", "2=subcutaneous_fat", "3=visceral_fat")
ANNOTATED = range(4, 9)


def make_volume(seed: int, slices: int = SLICES) -> tuple[Volume, np.ndarray]:
    """A torso of random position in every slice, and labels of slices 4 to 8."""
    rng = np.random.default_rng(seed)
    made = [torso_slice(rng, SIZE) for _ in range(slices)]
    z_mm = -200.0 + SPACING_MM * np.arange(slices)
    volume = Volume(np.stack([hu for hu, _ in made]), (4.0, 4.0), z_mm)
    labels = np.stack([mask for _, mask in made])
    labels[[i for i in range(slices) if i not in ANNOTATED]] = 0
    return volume, labels


def make_case(folder: Path, name: str, seed: int, *, patient_id: str | None = None) -> None:
    """Write ``folder/name/ct/*.dcm`` and ``folder/name/mask.nii.gz``."""
    volume, labels = make_volume(seed)
    header = SeriesHeader(
        seed=f"{name}-{seed}", patient_id=patient_id or name, patient_sex="FM"[seed % 2]
    )
    write_ct_series(folder / name / "ct", volume, header)
    write_nifti_labels(folder / name / "mask.nii.gz", volume, labels)


def make_cases(folder: Path, count: int = 4) -> Path:
    """Write cases of patients ``case-0`` ... and return the table that lists them."""
    rows = []
    levels = [("patient", "level", "z_mm")]
    for index in range(count):
        name = f"case-{index}"
        make_case(folder, name, index)
        levels.append((name, "L3", str(-200.0 + SPACING_MM * L3_SLICE + 1)))
        levels.append((name, "T5", "500"))
        rows.append(case_row(name, site="ab"[index % 2]))
    with (folder / "levels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(levels)
    return write_table(folder / "cases.csv", rows)


def case_row(name: str, **further: str) -> dict[str, str]:
    """The row of a case that ``make_case`` wrote."""
    files = {"scan": f"{name}/ct", "masks": f"{name}/mask.nii.gz", "levels": "levels.csv"}
    return {"patient": name} | files | further


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write a cases table."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


TASKS: dict[str, PrepareTask] = {
    "masks": MaskTask(LabelMapping.parse(LABELS)),
    "levels": LevelTask(),
}


def options_of(table: Path, out: Path, name: str, jobs: int) -> PrepareOptions:
    return PrepareOptions(table, out, TASKS[name], jobs=jobs)
