"""Habits of scanner makers: how the same CT looks on disk from different hospitals.

The names are invented, the habits are real: padding outside the scanned circle, the direction of
instance numbers, file names with or without extension, stored type, kernels, transfer syntax.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from bodycomp.dicom.header import PixelFormat, Storage


@dataclass(frozen=True, slots=True)
class MakerHabit:
    """How one maker stores a series.

    Attributes:
        manufacturer, model: Invented names.
        kernels: Names of the kernel from soft to sharp.
        description: Series description of the main series.
        pixels: Stored format.
        first_instance: End of the body at which instance number 1 lies.
        file_name: Instance number -> file name.
    """

    manufacturer: str
    model: str
    kernels: tuple[str, str, str]
    description: str
    pixels: PixelFormat
    first_instance: Literal["head", "feet"]
    file_name: Callable[[int], str]


HABITS: Final = (
    MakerHabit(
        "Phantom Medical",
        "Axial 64",
        ("SOFT", "STANDARD", "BONE"),
        "CT ABD PELVIS",
        PixelFormat(intercept_hu=-1024, padding=-2000),
        "head",
        lambda number: f"1-{number:03d}.dcm",
    ),
    MakerHabit(
        "Synthetic Imaging",
        "Spiral 128",
        ("B20f", "B30f", "B50f"),
        "Abdomen  5.0  B30f",
        PixelFormat(intercept_hu=-1024, bits_stored=12, signed=False),
        "head",
        lambda number: f"CT.{number:05d}",
    ),
    MakerHabit(
        "Parametric Systems",
        "Torso 256",
        ("A", "B", "C"),
        "Body Routine",
        PixelFormat(intercept_hu=0, storage=Storage.IMPLICIT),
        "feet",
        lambda number: f"IM{number:04d}",
    ),
)


def habit_of(patient_index: int) -> MakerHabit:
    """Return the maker that scanned a patient of the cohort."""
    return HABITS[patient_index % len(HABITS)]
