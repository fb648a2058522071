"""The DICOM study of a phantom patient: what a hospital would send, the unwanted included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.cohort.habits import habit_of
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series, write_localizer
from bodycomp.imaging.volume import Volume
from bodycomp.phantom import PatientParameters, ScanParameters

MAIN_SERIES: Final = "series-2"
"""Folder of the main series in a study."""

THICK_MM: Final = 4.0
"""Series thinner than this come with a thick companion in some studies."""


def study_header(name: str, patient: PatientParameters, scan: ScanParameters) -> SeriesHeader:
    """Return the header of the patient's main series."""
    habit = habit_of(patient.index)
    kernel = habit.kernels[min(2, int(scan.sharpness * 3))]
    return SeriesHeader(
        seed=f"bodycomp-phantom-{patient.seed}-{patient.index}",
        series_number=2,
        patient_id=name,
        patient_name=f"Phantom^{name}",
        patient_sex=patient.sex,
        patient_age_years=round(patient.age_years),
        patient_weight_kg=round(patient.weight_kg, 1),
        patient_height_m=round(patient.height_mm / 1000, 2),
        study_description="CT abdomen (synthetic)",
        series_description=habit.description,
        body_part="ABDOMEN",
        manufacturer=habit.manufacturer,
        model=habit.model,
        kernel=kernel,
        kvp=float(scan.kvp),
        contrast_agent=None if patient.contrast_phase == "none" else "synthetic",
        slice_thickness_mm=scan.slice_thickness_mm,
        pixels=habit.pixels,
        first_instance=habit.first_instance,
        file_name=habit.file_name,
    )


def write_study(folder: Path, volume: Volume, header: SeriesHeader, index: int) -> int:
    """Write localizer, main series and, in some studies, a companion or a bolus-timing series.

    Returns:
        The number of files written.
    """
    write_localizer(
        folder / "series-1",
        coronal_projection(volume),
        replace(header, series_number=1, series_description="Scout"),
        pixel_spacing_mm=(volume.slice_spacing_mm or 1.0, volume.pixel_spacing_mm[1]),
        first_pixel_mm=(*volume.first_pixel_mm[:2], float(volume.slice_z_mm[-1])),
    )
    files = 1 + len(write_ct_series(folder / MAIN_SERIES, volume, header))
    if (volume.slice_spacing_mm or THICK_MM) < THICK_MM:
        thick = thick_companion(volume)
        files += len(
            write_ct_series(
                folder / "series-3",
                thick,
                replace(
                    header,
                    series_number=3,
                    series_description=f"{header.series_description} thick",
                    slice_thickness_mm=thick.slice_spacing_mm,
                ),
            )
        )
    if index % 4 == 3:
        timing = replace(header, series_number=4, series_description="Bolus timing")
        files += len(write_ct_series(folder / "series-4", _middle(volume, slices=3), timing))
    return files


def coronal_projection(volume: Volume) -> NDArray[np.int16]:
    """Return the mean HU from front to back, rows from head to feet, as a scout shows it."""
    mean = volume.hu[::-1].mean(axis=1, dtype=np.float32)
    projection: NDArray[np.int16] = np.rint(mean).astype(np.int16)
    return projection


def thick_companion(volume: Volume) -> Volume:
    """Average neighbouring slices to at least 4 mm; a rest at the head end is dropped."""
    group = int(np.ceil(THICK_MM / (volume.slice_spacing_mm or THICK_MM)))
    count = len(volume) // group
    stacked = volume.hu[: count * group].reshape(count, group, *volume.slice_shape)
    positions = volume.slice_z_mm[: count * group].reshape(count, group).mean(axis=1)
    hu = np.rint(stacked.mean(axis=1, dtype=np.float32)).astype(np.int16)
    return _with_slices(volume, hu, positions)


def _middle(volume: Volume, *, slices: int) -> Volume:
    start = (len(volume) - slices) // 2
    kept = slice(start, start + slices)
    return _with_slices(volume, volume.hu[kept], volume.slice_z_mm[kept])


def _with_slices(volume: Volume, hu: NDArray[Any], slice_z_mm: NDArray[np.float64]) -> Volume:
    """Return the volume with other slices at other heights, in the same place otherwise."""
    x_mm, y_mm, _ = volume.first_pixel_mm
    first_pixel_mm = (x_mm, y_mm, float(slice_z_mm[0]))
    return replace(volume, hu=hu, slice_z_mm=slice_z_mm, first_pixel_mm=first_pixel_mm)
