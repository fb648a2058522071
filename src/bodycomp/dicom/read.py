"""A candidate series -> a scan in HU, slices from feet to head on the source pixel grid."""

from __future__ import annotations

import logging
import math
from typing import Final

import numpy as np

from bodycomp.dicom.candidate import CandidateSeries
from bodycomp.dicom.geometry import heights_mm, largest_allowed_gap_mm, spacing_note
from bodycomp.dicom.pixels import HuReader, is_integral
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.errors import SeriesError
from bodycomp.imaging.hu_range import HU_HINT, why_not_hu
from bodycomp.imaging.volume import MIN_SLICES, Volume, too_few_slices
from bodycomp.scan import Scan, SliceFile

_LOG: Final = logging.getLogger(__name__)
MAX_VOXELS: Final = 4 << 30
"""Eight gigabytes: beyond any scan of a patient, and what a damaged header soon asks for."""


@quiet_pydicom()
def read_series(series: CandidateSeries, *, min_slices: int = MIN_SLICES) -> Scan:
    """Decode a candidate series.

    HU are int16 when every slice's rescale is integral, else float32. The orientation stays as it
    is on disk. Padding stays as the HU that its stored value gives, which lie below air. A file
    whose pixels cannot be decoded costs one slice and a note, as does one whose pixels contradict
    its header.

    Raises:
        SeriesError: Too few slices are left, or a gap that is too wide between them; more pixels
            than memory is meant for; values that cannot be HU.
    """
    rescales = {(item.slope_hu, item.intercept_hu) for item in series.slices}
    integral = all(is_integral(*pair) for pair in rescales)
    shape = (len(series), *series.shape)
    if math.prod(shape) > MAX_VOXELS:
        raise SeriesError(f"expected at most {MAX_VOXELS:.0e} pixels, found {shape}")
    hu = np.empty(shape, np.int16) if integral else np.empty(shape, np.float32)
    kept: list[SliceFile] = []
    faults: list[SeriesError] = []
    reader = HuReader()
    for item in series.slices:
        try:
            image = reader.read(item)
            if image.shape != series.shape:
                raise SeriesError(f"expected {series.shape} pixels, found {image.shape}")  # noqa: TRY301
            hu[len(kept)] = image
        except SeriesError as error:
            faults.append(error)
            _LOG.warning("one slice is lost: %s", error.message)
        else:
            kept.append(item)
    notes = _check_rest(series, kept, faults, min_slices) if faults else ()
    if notes:
        _LOG.warning("%s", notes[0])
    if fault := why_not_hu(hu[: len(kept)]):
        raise SeriesError(fault, hint=HU_HINT)
    volume = Volume(
        hu=hu[: len(kept)],
        pixel_spacing_mm=series.pixel_spacing_mm,
        slice_z_mm=np.array([item.position_mm[2] for item in kept]),
        orientation=series.orientation,
        first_pixel_mm=kept[0].position_mm,
        stack_direction=series.stack_direction,
    )
    return Scan(
        volume,
        "DICOM",
        slices=tuple(kept),
        subject=series.subject,
        acquisition=series.acquisition,
        study_uid=series.study_uid,
        series_uid=series.series_uid,
        frame_of_reference_uid=series.frame_of_reference_uid,
        patient_id=series.patient_id,
        study_date=series.study_date,
        study_key=series.study_key,
        series_key=series.key,
        notes=(*series.notes, *notes),
    )


def _check_rest(
    series: CandidateSeries, kept: list[SliceFile], faults: list[SeriesError], min_slices: int
) -> tuple[str, ...]:
    """Return notes on lost slices."""
    lost = f"{len(faults)} of {len(series)} slices cannot be decoded"
    why = faults[0]
    if too_few_slices(len(kept), min_slices):
        raise SeriesError(
            f"expected at least {min_slices} slices that can be decoded, found {len(kept)} "
            f"of {len(series)}: {why.message}",
            hint=why.hint,
        )
    heights = heights_mm([item.position_mm for item in kept], series.orientation)
    gaps = np.diff(heights)
    if gaps.size and gaps.max() > largest_allowed_gap_mm(gaps):
        raise SeriesError(
            f"{lost}, which leaves a gap of {gaps.max():.1f} mm: {why.message}", hint=why.hint
        )
    uneven = spacing_note(heights)
    lost_note = f"{lost} and were left out: {why.message}"
    return (lost_note, uneven) if uneven else (lost_note,)
