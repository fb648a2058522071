"""The demo's summary counts what was found and what was missed."""

import pytest

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.demo.comparison import PatientComparison, summarise


def _patient(error_mm: float | None, scale: float) -> PatientComparison:
    true = {tissue.key: 100.0 * scale for tissue in ABDOMINAL_TISSUES}
    found = {} if error_mm is None else {key: area + 2.0 for key, area in true.items()}
    return PatientComparison(
        patient="patient",
        status="absent" if error_mm is None else "found",
        level_error_mm=error_mm,
        dice={"muscle": 0.9, "subcutaneous_fat": 0.8, "visceral_fat": None},
        area_cm2=found,
        true_area_cm2=true,
        preview=None,
    )


def test_a_missed_level_counts_against_those_found_near() -> None:
    patients = [_patient(-3.0, 1.0), _patient(12.0, 1.5), _patient(1.0, 2.0), _patient(None, 3.0)]
    agreement = summarise(patients)
    assert (agreement.found, agreement.near, len(agreement.patients)) == (3, 2, 4)
    assert agreement.median_error_mm == 3.0
    muscle, _, visceral = agreement.tissues
    assert muscle.mean_dice == pytest.approx(0.9)
    assert muscle.area_correlation == pytest.approx(1.0)
    assert muscle.mean_area_error_cm2 == pytest.approx(2.0)
    assert visceral.mean_dice is None


def test_nothing_found_gives_no_numbers_instead_of_zeros() -> None:
    agreement = summarise([_patient(None, 1.0), _patient(None, 2.0)])
    assert agreement.median_error_mm is None
    assert all(tissue.area_correlation is None for tissue in agreement.tissues)
    assert all(tissue.mean_area_error_cm2 is None for tissue in agreement.tissues)
