"""What differs along the long axis from patient to patient, and that nothing does in standard."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from bodycomp.anatomy import PhantomAnatomy
from bodycomp.phantom import PatientParameters, sample_patient
from bodycomp.phantom.canvas import Canvas, Ellipse, Ink
from bodycomp.phantom.skeleton.axis_variety import AxisVariety, axis_variety
from bodycomp.phantom.skeleton.levels import SpineCurve


@cache
def curves(anatomy: PhantomAnatomy) -> list[SpineCurve]:
    return [SpineCurve(sample_patient(2, index, anatomy)) for index in range(300)]


def test_standard_patients_have_the_average_axis() -> None:
    patient = sample_patient(2, 0)
    curve = SpineCurve(patient)
    assert curve.variety == AxisVariety()
    assert curve.vertebra_at(14.3) == 14.3
    assert patient == replace(sample_patient(2, 0), anatomy="standard")


@pytest.mark.parametrize("anatomy", ["varied", "held-out"])
def test_a_cohort_holds_the_rare_spines(anatomy: PhantomAnatomy) -> None:
    cohort = [curve.variety for curve in curves(anatomy)]
    assert {variety.lumbar for variety in cohort} == {4, 5, 6}
    assert {variety.ribs for variety in cohort} == {11, 12, 13}
    assert any(max(variety.loss) > 0.3 for variety in cohort)
    assert any(abs(bend.by_mm) > 30 for variety in cohort for bend in variety.bends)
    assert np.mean([variety.lumbar == 5 for variety in cohort]) > 0.85


@pytest.mark.parametrize("anatomy", ["varied", "held-out"])
def test_levels_keep_their_order_at_distances_that_spines_have(anatomy: PhantomAnatomy) -> None:
    for curve in curves(anatomy):
        gaps = -np.diff(list(curve.level_z_mm.values()))
        assert np.all(gaps[:16] > 9)
        assert np.all(gaps[:16] < 55)


def test_the_sixth_lumbar_vertebra_lies_between_l5_and_the_sacrum() -> None:
    six = next(curve for curve in curves("varied") if curve.variety.lumbar == 6)
    level = six.level_z_mm
    usual_mm = level["L4"] - level["L5"]
    assert 1.6 * usual_mm < level["L5"] - level["S1"] < 2.6 * usual_mm
    assert six.vertebra_z_mm(17.0) == level["L5"]


def test_of_four_lumbar_vertebrae_the_fifth_is_part_of_the_sacrum() -> None:
    four = next(curve for curve in curves("varied") if curve.variety.lumbar == 4)
    assert four.level_z_mm["L5"] == pytest.approx(four.z_at(18.0))


def test_levels_move_against_crest_and_organs() -> None:
    shifts = [SpineCurve(patient).vertebra_u(15.0) - 15.0 for patient in usual_patients()]
    assert min(shifts) < -0.2
    assert max(shifts) > 0.2


def usual_patients() -> list[PatientParameters]:
    cohort = [sample_patient(2, index, "varied") for index in range(60)]
    return [each for each in cohort if axis_variety("varied", each.anatomy_seed).lumbar == 5]


def test_a_turned_frame_turns_what_is_painted_in_it() -> None:
    y, x = np.mgrid[-20:21, -20:21].astype(np.float32)
    canvas = Canvas(x, y, 1.0, 1.0)
    canvas.turned(0.0, 0.0, 90.0).ellipse(Ellipse(10.0, 0.0, 2.0, 2.0), Ink(100.0, 1))
    assert canvas.labels[30, 20] == 1  # its left end moved to the back
    assert canvas.labels[20, 30] == 0
