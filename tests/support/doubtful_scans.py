"""Scans on which two stand-ins for models disagree by a known number of pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume

SLICES = 12
BODY = (slice(12, 36), slice(10, 38))
FIRST_Z_MM, STEP_MM = -200.0, 5.0
NAME = "MILLER"
"""Begins the IDs of patients, which must not be seen anywhere."""


@dataclass
class Above:
    """Labels what is denser than a threshold as muscle."""

    least_hu: int
    tissues: tuple = ABDOMINAL_TISSUES
    digest: str = "dddddddddddd"
    runs_as: str = "reference on cpu"
    caution: str = ""

    def __call__(self, volume, slice_indices, progress=None):
        return {i: (volume.hu[i] > self.least_hu).astype(np.uint8) for i in slice_indices}


EVERYTHING, DENSE = Above(-300), Above(20)
"""They differ where the HU are 10."""


def doubtful_volume(columns: int, at: int = 6) -> Volume:
    """A body of 40 HU, whose slice ``at`` has so many columns of 10 HU; its neighbors have one."""
    hu = np.full((SLICES, 48, 48), -1000, np.int16)
    hu[:, *BODY] = 40
    for index, count in ((at - 1, 1), (at, columns), (at + 1, 1)):
        hu[index, BODY[0], 10 : 10 + count] = 10
    return Volume(hu, (4.0, 4.0), FIRST_Z_MM + STEP_MM * np.arange(SLICES))


def share_apart(columns: int) -> float:
    """1 minus Dice of the two stand-ins on a slice with so many columns."""
    rows, body = 24, 28
    both, sizes = rows * (body - columns), rows * (2 * body - columns)
    return 1 - 2 * both / sizes


def write_scans(folder: Path, columns: tuple[int, ...]) -> Path:
    """Write a DICOM study of each of several patients; returns ``folder``."""
    for number, count in enumerate(columns):
        patient = f"{NAME}-{number}"
        header = SeriesHeader(seed=patient, patient_id=patient, patient_name=f"{NAME}^{number}")
        write_ct_series(folder / patient, doubtful_volume(count), header)
    return folder
