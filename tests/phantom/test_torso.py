"""Rendering: determinism, labels, attenuation, areas, acquisition effects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bodycomp.anatomy import MUSCLE, SUBCUTANEOUS_FAT, VISCERAL_FAT
from bodycomp.phantom import PatientParameters, ScanParameters, Torso, sample_patient, sample_scan

COHORT = range(12)


@pytest.fixture(scope="module")
def patient() -> PatientParameters:
    return replace(sample_patient(5, 7), arms_up=True, rotation_deg=0.0)


@pytest.fixture(scope="module")
def scan(patient: PatientParameters) -> ScanParameters:
    return replace(sample_scan(patient), pixel_spacing_mm=0.95, slice_thickness_mm=2.0)


def at_level(
    patient: PatientParameters, scan: ScanParameters, level: str = "L3"
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    torso = Torso(patient)
    return torso.render_slice(scan, torso.level_z_mm[level])


def areas_cm2(labels: NDArray[np.uint8], scan: ScanParameters) -> NDArray[np.float64]:
    counts = np.bincount(labels.ravel(), minlength=4)[1:4]
    return np.asarray(counts * scan.pixel_spacing_mm**2 / 100)


def test_a_slice_has_the_matrix_and_types_of_the_contract(
    patient: PatientParameters, scan: ScanParameters
) -> None:
    hu, labels = at_level(patient, scan)
    assert hu.shape == labels.shape == scan.matrix == (512, 512)
    assert hu.dtype == np.int16
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) == {0, 1, 2, 3}


def test_the_same_seed_gives_the_same_bytes(
    patient: PatientParameters, scan: ScanParameters
) -> None:
    first, second = at_level(patient, scan), at_level(patient, scan)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_a_slice_does_not_depend_on_those_rendered_before(
    patient: PatientParameters, scan: ScanParameters
) -> None:
    torso = Torso(patient)
    z_mm = torso.level_z_mm["L4"]
    torso.render_slice(replace(scan, noise_seed=1), z_mm + 40)
    assert np.array_equal(torso.render_slice(scan, z_mm)[0], at_level(patient, scan, "L4")[0])


def test_another_index_gives_another_image() -> None:
    images = [at_level(p, sample_scan(p))[0] for p in (sample_patient(5, 0), sample_patient(5, 1))]
    assert not np.array_equal(images[0], images[1])


def test_a_series_is_the_stack_of_its_slices(
    patient: PatientParameters, scan: ScanParameters
) -> None:
    torso = Torso(patient)
    z_mm = torso.level_z_mm["L3"]
    short = replace(
        scan, matrix=(128, 160), pixel_spacing_mm=3.0, z_start_mm=z_mm - 11, z_end_mm=z_mm + 10
    )
    volume, labels = torso.render(short)
    assert volume.hu.shape == labels.shape == (len(short.slice_z_mm), 128, 160)
    assert volume.pixel_spacing_mm == (3.0, 3.0)
    assert volume.first_pixel_mm == short.first_pixel_mm
    for index, z in enumerate(volume.slice_z_mm):
        hu, truth = torso.render_slice(short, float(z))
        assert np.array_equal(volume.hu[index], hu)
        assert np.array_equal(labels[index], truth)


@pytest.mark.parametrize("index", COHORT)
def test_areas_and_densities_at_l3_are_those_of_people(index: int) -> None:
    patient = replace(sample_patient(5, index), rotation_deg=0.0)
    wide = replace(sample_scan(patient), pixel_spacing_mm=0.976562, body_offset_mm=(0.0, 40.0))
    hu, labels = at_level(patient, wide)
    muscle, subcutaneous, visceral = areas_cm2(labels, wide)
    assert muscle == pytest.approx(patient.skeletal_muscle_cm2, rel=0.2)
    assert 75 < muscle < 230
    assert 25 < subcutaneous < 450
    assert 10 < visceral < 400
    assert 15 < hu[labels == MUSCLE.label].mean() < 75
    for tissue in (SUBCUTANEOUS_FAT, VISCERAL_FAT):
        assert -120 < np.median(hu[labels == tissue.label]) < -85


def test_labels_agree_with_their_hounsfield_ranges(
    patient: PatientParameters, scan: ScanParameters
) -> None:
    hu, labels = at_level(patient, replace(scan, noise_hu=6.0))
    muscle = hu[labels == MUSCLE.label]
    assert np.mean((muscle >= -29) & (muscle <= 150)) > 0.93
    fat = hu[labels >= SUBCUTANEOUS_FAT.label]
    assert np.mean((fat >= -190) & (fat <= -30)) > 0.88


def test_muscle_overlaps_with_organs_in_density(
    patient: PatientParameters, scan: ScanParameters
) -> None:
    plain = replace(patient, contrast_phase="none", oral_contrast="none")
    hu, labels = at_level(plain, scan, "L2")
    soft = (hu > 0) & (hu < 100)
    organs = np.count_nonzero(soft & (labels == 0))
    assert organs > 0.3 * np.count_nonzero(soft & (labels == MUSCLE.label))


def test_labels_lie_in_the_body_and_never_on_table_or_arms(scan: ScanParameters) -> None:
    patient = replace(sample_patient(5, 7), arms_up=False)
    hu, labels = at_level(patient, scan)
    assert np.mean(hu[labels > 0] > -300) > 0.999
    up = at_level(replace(patient, arms_up=True), scan)[1]
    assert np.mean(labels != up) < 0.002


def test_levels_look_different(patient: PatientParameters, scan: ScanParameters) -> None:
    torso = Torso(patient)
    visceral = {}
    for name in ("T6", "T12", "L3"):
        labels = torso.render_slice(scan, torso.level_z_mm[name])[1]
        visceral[name] = areas_cm2(labels, scan)[2]
    assert visceral["T6"] == 0
    assert visceral["L3"] > 20


def test_pixel_size_keeps_the_areas(patient: PatientParameters, scan: ScanParameters) -> None:
    coarse = areas_cm2(at_level(patient, replace(scan, pixel_spacing_mm=0.98))[1], scan)
    coarse = coarse * (0.98 / scan.pixel_spacing_mm) ** 2
    fine_scan = replace(scan, pixel_spacing_mm=0.70, matrix=(720, 720))
    fine = areas_cm2(at_level(patient, fine_scan)[1], fine_scan)
    assert fine == pytest.approx(coarse, rel=0.02)


def test_a_small_field_of_view_cuts_the_body(
    patient: PatientParameters, scan: ScanParameters
) -> None:
    small = replace(scan, pixel_spacing_mm=0.5, padding_hu=-2000)
    hu, labels = at_level(patient, small)
    assert hu[0, 0] == -2000
    assert labels[0, 0] == 0
    whole = areas_cm2(at_level(patient, scan)[1], scan)
    assert areas_cm2(labels, small)[1] < 0.8 * whole[1]


def test_noise_is_what_the_scan_asks_for(patient: PatientParameters, scan: ScanParameters) -> None:
    quiet = at_level(patient, replace(scan, noise_hu=0.0))[0].astype(float)
    noisy = at_level(patient, replace(scan, noise_hu=20.0))[0].astype(float)
    labels = at_level(patient, scan)[1]
    assert 10 < (noisy - quiet)[labels == MUSCLE.label].std() < 32


PATIENT_CHANGES: dict[str, object] = {
    "height_mm": 1500.0, "skeletal_muscle_cm2": 95.0, "subcutaneous_fat_cm2": 330.0,
    "visceral_fat_cm2": 320.0, "muscle_hu": 38.0, "muscle_fat_fraction": 0.25, "fat_hu": -93.0,
    "lordosis": 1.8, "scoliosis_mm": 10.0, "fat_droop": 1.0, "bone_hu": 75.0, "bowel_gas": 0.9,
    "kidney_shift_level": 0.8, "contrast_phase": "arterial", "oral_contrast": "positive",
    "arms_up": False, "rotation_deg": 8.0, "anatomy_seed": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", PATIENT_CHANGES)
def test_each_patient_parameter_has_an_effect(
    name: str, patient: PatientParameters, scan: ScanParameters
) -> None:
    small = replace(scan, matrix=(200, 200), pixel_spacing_mm=2.5, noise_hu=0.0)
    plain = replace(patient, bowel_gas=0.1, oral_contrast="none", contrast_phase="portal")
    changed = replace(plain, **{name: PATIENT_CHANGES[name]})  # type: ignore[arg-type]
    assert not np.array_equal(at_level(plain, small)[0], at_level(changed, small)[0])


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("iliac_crest_level", 15.5, "L4"),
        ("liver_tip_level", 16.2, "L3"),
        ("rib_drop", 0.75, "L1"),
        ("rib12_length", 1.7, "L1"),
        ("inspiration_level", 1.0, "T10"),
    ],
)
def test_each_level_cue_moves(
    name: str, value: float, level: str, patient: PatientParameters, scan: ScanParameters
) -> None:
    small = replace(scan, matrix=(200, 200), pixel_spacing_mm=2.5, noise_hu=0.0)
    changed = replace(patient, **{name: value})  # type: ignore[arg-type]
    assert not np.array_equal(
        at_level(patient, small, level)[0], at_level(changed, small, level)[0]
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slice_thickness_mm", 5.0),
        ("sharpness", 0.9),
        ("noise_hu", 25.0),
        ("noise_seed", 1),
        ("padding_hu", -3024),
        ("field_centre_mm", (12.0, -9.0)),
        ("body_offset_mm", (15.0, 60.0)),
    ],
)
def test_each_scan_parameter_has_an_effect(
    name: str, value: object, patient: PatientParameters, scan: ScanParameters
) -> None:
    base = replace(scan, sharpness=0.2, padding_hu=-1024, noise_seed=5)
    changed = replace(base, **{name: value})  # type: ignore[arg-type]
    assert not np.array_equal(at_level(patient, base)[0], at_level(patient, changed)[0])


def test_moving_the_field_moves_the_image(patient: PatientParameters, scan: ScanParameters) -> None:
    labels = at_level(patient, scan)[1]
    shift = 20 * scan.pixel_spacing_mm
    x, y = scan.field_centre_mm
    moved = at_level(patient, replace(scan, field_centre_mm=(x + shift, y)))[1]
    assert np.mean(moved[:, 100:380] == labels[:, 120:400]) > 0.995
