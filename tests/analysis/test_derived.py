"""Indices, waist, fat between muscles, volumes: against closed forms of ellipses and discs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.analysis.derived import derive, evaluate_cut_offs, global_noise_hu, intermuscular_fat
from bodycomp.analysis.level_slices import LevelSlices
from bodycomp.analysis.measurement import measure_tissues, slice_heights_mm, volume_ml, within_hu
from bodycomp.analysis.skin_line import tape_length_cm, trunk_mask
from bodycomp.anatomy import ABDOMINAL_TISSUES, ALL_TISSUES, THORACIC_TISSUES
from bodycomp.quantities import CUT_OFFS, QUANTITIES, quantities_for
from bodycomp.subject import Subject

SIZE, SPACING_MM = 400, (1.0, 1.0)
SUBJECT = Subject(1.75, 70.0, "M", "")


def ellipse(half_rows, half_columns, size=SIZE, center=(0.0, 0.0)):
    away = np.arange(size) - (size - 1) / 2
    rows, columns = (away[:, None] - center[0]) / half_rows, (away[None, :] - center[1])
    return rows**2 + (columns / half_columns) ** 2 <= 1


def ramanujan_cm(a_mm, b_mm):
    """Perimeter of an ellipse (Ramanujan's second formula)."""
    h = ((a_mm - b_mm) / (a_mm + b_mm)) ** 2
    return np.pi * (a_mm + b_mm) * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h))) / 10


def torso(noise_hu=0.0, seed=0):
    """HU and labels: fat ring around a muscle ring around visceral fat, in air."""
    hu, labels = np.full((SIZE, SIZE), -1000.0), np.zeros((SIZE, SIZE), np.uint8)
    for half_rows, half_columns, label, value in (
        (110, 160, 2, -100),
        (90, 130, 1, 50),
        (70, 100, 3, -95),
    ):
        inside = ellipse(half_rows, half_columns)
        hu[inside], labels[inside] = value, label
    hu += np.random.default_rng(seed).normal(0, noise_hu, hu.shape)
    return np.rint(hu).astype(np.int16), labels


def slices_of(hu, labels, tissues=ABDOMINAL_TISSUES, level="L3"):
    return LevelSlices(level, hu[None], labels[None], 0, SPACING_MM, tissues)


def derived(hu, labels, subject=SUBJECT, tissues=ABDOMINAL_TISSUES):
    measured = measure_tissues(hu, labels, tissues, SPACING_MM[0] * SPACING_MM[1])
    return measured, derive(slices_of(hu, labels, tissues), measured, subject)


def area_cm2(a_mm, b_mm):
    return np.pi * a_mm * b_mm / 100


def test_indices_are_areas_over_height_squared():
    _, found = derived(*torso())

    muscle = area_cm2(90, 130) - area_cm2(70, 100)
    sat, vat = area_cm2(110, 160) - area_cm2(90, 130), area_cm2(70, 100)
    value = {key: quantity.value for key, quantity in found.items()}
    near = 2e-3
    assert value["skeletal_muscle_index_cm2_m2"] == pytest.approx(muscle / 1.75**2, rel=near)
    assert value["subcutaneous_fat_index_cm2_m2"] == pytest.approx(sat / 1.75**2, rel=near)
    assert value["visceral_fat_index_cm2_m2"] == pytest.approx(vat / 1.75**2, rel=near)
    assert value["visceral_to_subcutaneous_ratio"] == pytest.approx(vat / sat, rel=near)
    gauge = muscle / 1.75**2 * 50
    assert value["skeletal_muscle_gauge_cm2_hu_m2"] == pytest.approx(gauge, rel=near)
    assert value["normal_attenuation_muscle_area_cm2"] == pytest.approx(muscle, rel=near)
    assert value["low_attenuation_muscle_area_cm2"] == 0


def test_body_area_and_waist_are_those_of_the_outer_ellipse():
    _, found = derived(*torso())

    assert found["body_area_cm2"].value == pytest.approx(area_cm2(110, 160), rel=2e-3)
    expected_cm = ramanujan_cm(110, 160)
    assert found["waist_circumference_cm"].value == pytest.approx(expected_cm, rel=3e-3)
    assert found["cut_off_area_cm2"].value == 0


def test_without_a_height_indices_are_none_with_the_reason():
    _, found = derived(*torso(), subject=Subject())

    for key in ("skeletal_muscle_index_cm2_m2", "skeletal_muscle_gauge_cm2_hu_m2"):
        assert found[key].value is None
        assert "no height" in found[key].reason
    assert found["visceral_to_subcutaneous_ratio"].value is not None


def test_model_without_visceral_fat_has_no_quantity_of_it():
    hu, labels = torso()
    labels[labels == 3] = 0
    _, found = derived(hu, labels, tissues=THORACIC_TISSUES)
    assert not [key for key in found if "visceral" in key]
    assert list(found) == [kind.key for kind in quantities_for(("muscle", "subcutaneous_fat"))]


def test_every_quantity_of_the_table_is_derived_and_has_a_value_or_a_reason():
    for hu, labels in (torso(), (np.full((9, 9), -1000, np.int16), np.zeros((9, 9), np.uint8))):
        _, found = derived(hu, labels, tissues=ALL_TISSUES)
        assert set(found) == {kind.key for kind in QUANTITIES}
        assert all((q.value is None) == bool(q.reason) for q in found.values())


@given(st.lists(st.floats(-400, 400), min_size=1, max_size=50))
def test_low_and_normal_attenuation_make_up_the_muscle_range(values):
    hu = np.array(values)
    low, normal, both = (within_hu(hu, r) for r in ((-29, 29), (30, 150), (-29, 150)))
    assert not np.any(low & normal)
    assert np.array_equal(low | normal, both)


def test_fat_between_muscles_counts_and_fat_around_them_does_not():
    labels, hu = np.zeros((200, 200), np.uint8), np.full((200, 200), -100, np.int16)
    labels[50:150, 50:96] = labels[50:150, 100:150] = 1  # a gap of 4 mm without label
    hu[labels == 1] = 50
    hu[60:70, 60:70] = -100  # fat streak inside the outline: 1 cm2
    labels[:40] = 2

    fat = intermuscular_fat(hu, labels, SPACING_MM)

    assert np.count_nonzero(fat) == pytest.approx(4 * 100 + 100, abs=4 * 6)
    assert not fat[:45].any()
    labels[50:150, 96:100] = 3  # what is labelled visceral fat is not between muscles
    assert np.count_nonzero(intermuscular_fat(hu, labels, SPACING_MM)) == 100


def test_wide_gap_is_outside_the_fascia():
    labels, hu = np.zeros((200, 200), np.uint8), np.full((200, 200), -100, np.int16)
    labels[50:150, 20:80] = labels[50:150, 100:160] = 1
    hu[labels == 1] = 50
    assert not intermuscular_fat(hu, labels, SPACING_MM).any()


def test_table_and_arms_are_not_the_trunk():
    hu, labels = torso()
    body = ellipse(110, 160)
    hu[312:314, 20:380] = 60  # the shell of a table, touching nothing
    hu[305:312, 199:201] = 60  # and a strap from it to the skin
    hu[ellipse(30, 15, center=(0, 180))] = 40  # an arm, 5 mm away from the trunk
    labels[ellipse(10, 8, center=(0, 180))] = 1

    trunk = trunk_mask(hu, labels, SPACING_MM)

    assert np.count_nonzero(trunk ^ body) < 0.002 * np.count_nonzero(body)
    _, found = derived(hu, labels)
    assert found["outside_body_area_cm2"].value == pytest.approx(area_cm2(10, 8), rel=0.05)


def test_tape_bridges_hollows():
    mask = ellipse(100, 150)
    hollow = mask & ~ellipse(30, 10, center=(-100, 0))
    assert tape_length_cm(hollow, SPACING_MM) == pytest.approx(
        tape_length_cm(mask, SPACING_MM), rel=0.01
    )


@given(st.floats(0.5, 2.0), st.floats(0.5, 2.0))
def test_tape_follows_the_pixel_spacing(row_mm, column_mm):
    length_cm = tape_length_cm(ellipse(100, 150), (row_mm, column_mm))
    assert length_cm == pytest.approx(ramanujan_cm(100 * row_mm, 150 * column_mm), rel=5e-3)


@pytest.mark.parametrize("radius_mm", [155, 147, 140])
def test_area_outside_the_field_of_view_is_estimated(radius_mm):
    hu, labels = torso()
    inside = ellipse(radius_mm, radius_mm)
    hu[~inside], labels[~inside] = -2000, 0

    _, found = derived(hu, labels)

    expected_cm2 = np.count_nonzero(ellipse(110, 160) & ~inside) / 100
    assert found["cut_off_area_cm2"].value == pytest.approx(expected_cm2, rel=0.1, abs=1.0)
    assert found["body_area_cm2"].value is None
    assert "edge of the field of view" in found["waist_circumference_cm"].reason


def test_too_little_skin_gives_no_estimate():
    hu, labels = torso()
    inside = ellipse(60, 60, center=(0, 0))
    hu[~inside], labels[~inside] = -2000, 0
    _, found = derived(hu, labels)
    assert found["cut_off_area_cm2"].value is None


@pytest.mark.parametrize("noise_hu", [5.0, 12.0, 25.0])
def test_noise_is_the_standard_deviation_of_even_tissue(noise_hu):
    hu, labels = torso(noise_hu)
    trunk = trunk_mask(hu, labels, SPACING_MM)
    assert global_noise_hu(hu, trunk, SPACING_MM) == pytest.approx(noise_hu, rel=0.12)


def test_metal_is_what_is_denser_than_bone():
    hu, labels = torso()
    hu[195:205, 195:205] = 3071
    assert derived(hu, labels)[1]["metal_area_cm2"].value == pytest.approx(1.0)


@given(spacing_mm=st.floats(0.5, 8), range_mm=st.floats(10, 60), middle_mm=st.floats(80, 120))
def test_volume_of_even_slices_is_area_times_range(spacing_mm, range_mm, middle_mm):
    z_mm = np.arange(0, 200 + spacing_mm, spacing_mm)
    low, high = middle_mm - range_mm / 2, middle_mm + range_mm / 2
    indices = np.flatnonzero((z_mm >= low) & (z_mm <= high)).tolist()
    heights = slice_heights_mm(z_mm, indices, low, high)
    assert volume_ml(np.full(len(indices), 70.0), heights) == pytest.approx(7.0 * range_mm)


def test_range_that_the_scan_does_not_cover_has_no_volume():
    z_mm = np.arange(10) * 5.0
    assert slice_heights_mm(z_mm, [0, 1], -10.0, 7.0) is None
    assert slice_heights_mm(z_mm, [0, 1], -2.0, 7.0) is not None


def outcome(key, level="L3", subject=SUBJECT, scale=1.0):
    hu, labels = torso()
    measured, found = derived(hu, labels, subject)
    found = {k: replace(q, value=None if q.value is None else q.value * scale)
             for k, q in found.items()}  # fmt: skip
    return evaluate_cut_offs(level, measured, found, subject)[key]


def test_cut_offs_depend_on_sex_and_body_mass_index():
    index = (area_cm2(90, 130) - area_cm2(70, 100)) / 1.75**2  # 48.2 cm2/m2

    def to(value):
        return value / index

    key = "low_muscle_index_martin_2013"
    heavy = Subject(1.75, 90.0, "M", "")
    assert outcome(key, scale=to(48)).limit == 43
    assert outcome(key, scale=to(48)).met is False
    assert outcome(key, scale=to(48), subject=heavy).met is True
    assert outcome(key, scale=to(40), subject=Subject(1.75, None, "F", "")).met is True
    assert "body mass index" in outcome(key, subject=Subject(1.75, None, "M", "")).reason
    assert "sex" in outcome(key, subject=Subject(1.75, 70.0, "", "")).reason
    assert "found at L3, not at T12" in outcome(key, level="T12").reason


def test_every_cut_off_cites_its_source_and_says_in_whom_it_was_found():
    assert all(cut_off.source[-4:].isdigit() and cut_off.people for cut_off in CUT_OFFS)
    assert len({cut_off.key for cut_off in CUT_OFFS}) == len(CUT_OFFS)
