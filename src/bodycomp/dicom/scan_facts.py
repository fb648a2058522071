"""What the headers of a series say of who was scanned and how, as measurements depend on it."""

from __future__ import annotations

from bodycomp.dicom.candidate import CandidateSeries
from bodycomp.dicom.rank import is_sharp_kernel
from bodycomp.subject import Acquisition, Subject, subject_from


def subject_of(series: CandidateSeries) -> Subject:
    """Return height, weight and sex; what cannot be right is left out."""
    return subject_from(series.patient_height_m, series.patient_weight_kg, series.patient_sex)


def acquisition_of(series: CandidateSeries) -> Acquisition:
    """Return how the series was made."""
    scanner = series.scanner
    return Acquisition(
        kvp=scanner.kvp,
        kernel=scanner.kernel,
        sharp_kernel=is_sharp_kernel(scanner.kernel),
        slice_thickness_mm=scanner.slice_thickness_mm,
        contrast_agent=scanner.contrast_agent,
        exposure_mas=scanner.exposure_mas,
        manufacturer=scanner.manufacturer,
        scanner_model=scanner.model,
    )
