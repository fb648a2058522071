"""Series of varied patients: any part of the body, at any distance of slices."""

from __future__ import annotations

import numpy as np
import pytest

from bodycomp.phantom import Torso, sample_patient, sample_scan
from bodycomp.phantom.coverage import MOST_SLICES, WITH_L3, WITHOUT_L3, Coverage
from bodycomp.phantom.physics import render_physics_phantom
from bodycomp.phantom.skeleton.levels import SpineCurve

PATIENT = sample_patient(4, 1, "varied")


def test_main_series_hold_l3_in_at_most_a_thousand_slices() -> None:
    steps = []
    for index in range(12):
        patient = sample_patient(4, index, "varied")
        scan = sample_scan(patient)
        assert scan.z_start_mm < SpineCurve(patient).level_z_mm["L3"] < scan.z_end_mm
        assert len(scan.slice_z_mm) <= MOST_SLICES + 1
        steps.append(scan.slice_spacing_mm)
    assert max(steps) > 2 * min(steps)


@pytest.mark.parametrize("coverage", [*WITH_L3, *WITHOUT_L3])
def test_a_coverage_holds_l3_or_does_not(coverage: Coverage) -> None:
    scan = sample_scan(PATIENT, coverage)
    inside = scan.z_start_mm < SpineCurve(PATIENT).level_z_mm["L3"] < scan.z_end_mm
    assert inside == (coverage in WITH_L3)


@pytest.mark.parametrize(("coverage", "above_mm"), [("head", 200.0), ("legs", -900.0)])
def test_heads_and_legs_are_bodies_without_labels(coverage: Coverage, above_mm: float) -> None:
    torso, scan = Torso(PATIENT), sample_scan(PATIENT, coverage)
    start = torso.level_z_mm["T1"] if above_mm > 0 else torso.level_z_mm["S1"]
    hu, labels = torso.render_slice(scan, start + above_mm)
    assert not labels.any()
    assert np.count_nonzero(hu > -200) * scan.pixel_spacing_mm**2 / 100 > 60
    assert np.count_nonzero(hu > 400) > 200


def test_physics_phantoms_are_round_and_hold_what_bodies_do_not() -> None:
    hu = render_physics_phantom(np.random.default_rng(0), (128, 128), 400.0)
    assert hu.dtype == np.int16
    assert 0.05 < np.mean(hu > -500) < 0.7
