"""Sampling of patients and scans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycomp.phantom import Torso, sample_patient, sample_scan

SEEDS = st.integers(min_value=0, max_value=2**31)


@given(seed=SEEDS, index=st.integers(min_value=0, max_value=10_000))
@settings(max_examples=60, deadline=None)
def test_a_patient_follows_from_seed_and_index(seed: int, index: int) -> None:
    patient = sample_patient(seed, index)
    assert patient == sample_patient(seed, index)
    assert patient != sample_patient(seed, index + 1)
    assert patient != sample_patient(seed + 1, index)
    assert 1400 < patient.height_mm < 2000
    assert 30 < patient.weight_kg < 180
    assert 80 < patient.skeletal_muscle_cm2 < 220
    assert 30 < patient.subcutaneous_fat_cm2 < 440
    assert 10 < patient.visceral_fat_cm2 <= 350


def test_a_cohort_covers_the_variety_of_patients() -> None:
    cohort = [sample_patient(3, index) for index in range(200)]
    assert {patient.sex for patient in cohort} == {"F", "M"}
    assert {patient.contrast_phase for patient in cohort} == {"none", "arterial", "portal", "late"}
    assert {patient.oral_contrast for patient in cohort} == {"none", "water", "positive"}
    assert 0.7 < np.mean([patient.arms_up for patient in cohort]) < 0.95
    men = [patient.visceral_fat_cm2 for patient in cohort if patient.sex == "M"]
    women = [patient.visceral_fat_cm2 for patient in cohort if patient.sex == "F"]
    assert np.mean(men) > np.mean(women)


@pytest.mark.parametrize("index", range(12))
def test_a_scan_covers_l3_with_usual_settings(index: int) -> None:
    patient = sample_patient(11, index)
    scan = sample_scan(patient)
    assert scan == sample_scan(patient)
    level = Torso(patient).level_z_mm
    assert scan.z_start_mm < level["L5"]
    assert scan.z_end_mm > level["L1"]
    assert 0.6 <= scan.pixel_spacing_mm <= 1.0
    assert 1.0 <= scan.slice_thickness_mm <= 5.0
    assert np.allclose(np.diff(scan.slice_z_mm), scan.slice_spacing_mm)
    assert scan.slice_z_mm[-1] <= scan.z_end_mm + 1e-6


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_levels_run_from_head_to_feet_at_anatomical_distances(seed: int) -> None:
    level = Torso(sample_patient(seed, 0)).level_z_mm
    names = list(level)
    assert names[0] == "T1"
    assert names[-1] == "S1"
    assert len(names) == 18
    gaps = -np.diff([level[name] for name in names])
    assert np.all(gaps > 14)
    lumbar = gaps[names.index("L1") : names.index("L5")]
    assert np.all((lumbar > 26) & (lumbar < 46))
    with pytest.raises(TypeError):
        level["L3"] = 0.0  # type: ignore[index]
