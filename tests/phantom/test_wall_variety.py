"""Wall and back of varied and held-out patients; standard patients stay as they are."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bodycomp.anatomy import MUSCLE, SUBCUTANEOUS_FAT, VISCERAL_FAT, PhantomAnatomy
from bodycomp.phantom import PatientParameters, Torso, sample_patient, sample_scan
from bodycomp.phantom.draw import Draw
from bodycomp.phantom.shapes import COS, DEGREES, SIN
from bodycomp.phantom.skeleton.levels import SpineCurve
from bodycomp.phantom.trunk import Trunk
from bodycomp.phantom.wall.wall_draw import STANDARD, wall_variety


def slice_at(
    patient: PatientParameters, level: str = "L3"
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    torso = Torso(patient)
    scan = replace(
        sample_scan(patient), matrix=(256, 256), pixel_spacing_mm=2.2, slice_thickness_mm=2.0
    )
    return torso.render_slice(scan, torso.level_z_mm[level])


def test_the_standard_wall_is_neutral() -> None:
    assert wall_variety(sample_patient(5, 0)) is STANDARD
    assert STANDARD.spinal_area == 1.0
    assert STANDARD.skin.creases == ()


def test_draws_of_the_held_out_hospital_are_never_those_of_the_others() -> None:
    varied, held_out = (
        [Draw(np.random.default_rng(n), held_out=other).between(0.0, 5.0) for n in range(300)]
        for other in (False, True)
    )
    assert {int(value) for value in varied} == {0, 2, 4}
    assert {int(value) for value in held_out} == {1, 3}


def test_varied_patients_are_thinner_heavier_and_more_muscular_than_standard_ones() -> None:
    standard, varied = (
        [sample_patient(3, index, anatomy) for index in range(200)]
        for anatomy in ("standard", "varied")
    )
    for name in ("bmi_kg_m2", "subcutaneous_fat_cm2", "skeletal_muscle_cm2", "muscle_hu"):
        usual, wide = ([getattr(p, name) for p in cohort] for cohort in (standard, varied))
        assert min(wide) < min(usual), name
        assert max(wide) > max(usual), name


@pytest.mark.parametrize("anatomy", ["varied", "held-out"])
@pytest.mark.parametrize("index", range(6))
def test_varied_patients_have_all_tissues_in_their_ranges(
    anatomy: PhantomAnatomy, index: int
) -> None:
    hu, labels = slice_at(sample_patient(3, index, anatomy))
    assert {1, 2, 3} <= set(np.unique(labels))
    muscle = hu[labels == MUSCLE.label]
    assert np.mean((muscle >= -40) & (muscle <= 160)) > 0.85
    fat = hu[labels >= SUBCUTANEOUS_FAT.label]
    assert np.mean((fat >= -190) & (fat <= -30)) > 0.8


def test_the_same_patient_has_another_body_in_each_anatomy() -> None:
    images = [
        hashlib.sha256(slice_at(sample_patient(3, 1, anatomy))[1].tobytes()).hexdigest()
        for anatomy in ("standard", "varied", "held-out")
    ]
    assert len(set(images)) == 3


@pytest.mark.parametrize("index", [1, 4, 9])
def test_fat_outside_the_fascia_beside_the_back_muscles_is_subcutaneous(index: int) -> None:
    patient = replace(sample_patient(3, index, "varied"), rotation_deg=0.0)
    section = Trunk(patient, SpineCurve(patient)).section(15.0)
    behind = (DEGREES > 110) & (DEGREES < 168) & (section.skin - section.fascia > 12)
    assert np.count_nonzero(behind) > 20
    scan = sample_scan(patient)
    labels = slice_at(patient)[1]
    beyond = section.fascia[behind] + 5
    x = section.x + beyond * SIN[behind] + scan.body_offset_mm[0]
    y = section.y - beyond * COS[behind] + scan.body_offset_mm[1]
    column, row = np.rint(x / 2.2 + 127.5).astype(int), np.rint(y / 2.2 + 127.5).astype(int)
    inside = (column >= 0) & (column < 256) & (row >= 0) & (row < 256)
    found = labels[row[inside], column[inside]]
    assert not (found == VISCERAL_FAT.label).any()
    # The rest is septa and vessels, or muscle that the bend of the whole slice moved there.
    assert np.mean(found == SUBCUTANEOUS_FAT.label) > 0.85
