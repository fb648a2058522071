"""Content, surroundings and scanner of varied patients."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bodycomp.anatomy import MUSCLE, SUBCUTANEOUS_FAT, VISCERAL_FAT, PhantomAnatomy
from bodycomp.phantom import Torso, sample_patient, sample_scan
from bodycomp.phantom.acquisition.scanner import kernel_noise, metal_fans
from bodycomp.phantom.acquisition.scanner_variety import draw_scanner
from bodycomp.phantom.canvas import Canvas
from bodycomp.phantom.content.content_variety import STANDARD_CONTENT, sample_content
from bodycomp.phantom.materials import FAT_HU, MUSCLE_HU, materials_of


def slice_at(
    index: int, anatomy: PhantomAnatomy, level: str = "L3", noise_hu: float | None = None
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    patient = sample_patient(3, index, anatomy)
    scan = replace(sample_scan(patient), matrix=(256, 256), pixel_spacing_mm=1.7)
    scan = scan if noise_hu is None else replace(scan, noise_hu=noise_hu)
    torso = Torso(patient)
    return torso.render_slice(scan, torso.level_z_mm[level])


def test_standard_patients_have_the_standard_content() -> None:
    patient = sample_patient(3, 0)
    assert sample_content(patient) is STANDARD_CONTENT
    assert not STANDARD_CONTENT.varied
    assert materials_of(patient) == materials_of(patient, sample_content(patient))


def test_varied_content_follows_from_the_patient_and_differs_between_them() -> None:
    first, second = (sample_patient(3, index, "varied") for index in (0, 1))
    assert sample_content(first) == sample_content(first)
    assert sample_content(first) != sample_content(second)
    assert np.array_equal(slice_at(0, "varied")[0], slice_at(0, "varied")[0])


def test_half_of_the_patients_have_attenuation_near_the_truth() -> None:
    cohort = [sample_patient(3, index, "varied") for index in range(120)]
    contents = [sample_content(patient) for patient in cohort]
    wide = np.array([content.wide_hu for content in contents])
    assert 0.35 < wide.mean() < 0.65
    liver = np.array([materials_of(p, c).liver for p, c in zip(cohort, contents, strict=True)])
    usual = np.array([materials_of(patient).liver for patient in cohort])
    off = np.abs(liver - usual)
    assert np.median(off[wide]) > 2 * np.median(off[~wide])


def test_muscle_and_fat_stay_what_a_living_person_has() -> None:
    for index in range(60):
        patient = sample_patient(3, index, "varied")
        drawn = materials_of(patient, sample_content(patient))
        assert MUSCLE_HU[0] <= drawn.muscle <= MUSCLE_HU[1]
        assert FAT_HU[0] <= drawn.fat <= FAT_HU[1]


@pytest.mark.parametrize("anatomy", ["varied", "held-out"])
@pytest.mark.parametrize("index", range(3))
def test_labels_agree_with_their_hounsfield_ranges(index: int, anatomy: PhantomAnatomy) -> None:
    hu, labels = slice_at(index, anatomy, noise_hu=0.0)
    assert set(np.unique(labels)) <= {0, 1, 2, 3}
    muscle = hu[labels == MUSCLE.label]
    assert np.mean((muscle >= -29) & (muscle <= 150)) > 0.85
    for tissue in (SUBCUTANEOUS_FAT, VISCERAL_FAT):
        fat = hu[labels == tissue.label]
        assert fat.size < 500 or -130 < np.median(fat) < -50
        assert fat.size < 500 or np.mean((fat >= -190) & (fat <= -30)) > 0.85


def test_free_fluid_takes_the_place_of_visceral_fat() -> None:
    patient = replace(sample_patient(3, 0, "varied"), visceral_fat_cm2=150.0)
    torso, scan = Torso(patient), sample_scan(patient)
    content = sample_content(patient)
    assert content.findings is not None
    area = []
    for depth_mm in (0.0, 20.0):
        findings = replace(content.findings, ascites_mm=depth_mm, ascites_level=0.0, hernia=None)
        torso._content = replace(content, findings=findings)  # what a patient with ascites draws
        labels = torso.render_slice(scan, torso.level_z_mm["L3"])[1]
        area.append(np.count_nonzero(labels == VISCERAL_FAT.label))
    assert area[1] < 0.95 * area[0]


def test_what_lies_around_the_body_has_no_label() -> None:
    patient = sample_patient(3, 1, "varied")
    torso, scan = Torso(patient), replace(sample_scan(patient), pixel_spacing_mm=1.4)
    content = sample_content(patient)
    assert content.surroundings is not None
    masks = []
    for arms in ("up", "down", "on belly"):
        around = replace(content.surroundings, arms=arms, arm_gap_mm=8.0)
        torso._content = replace(content, surroundings=around)
        masks.append(torso.render_slice(scan, torso.level_z_mm["L2"])[1])
    assert np.mean(masks[0] != masks[1]) < 0.002
    assert np.mean(masks[0] != masks[2]) < 0.002


def test_held_out_scanners_and_textures_are_never_drawn_for_training() -> None:
    draws: dict[PhantomAnatomy, list[float]] = {"varied": [], "held-out": []}
    banks = set()
    for anatomy, peaks in draws.items():
        for index in range(60):
            content = sample_content(sample_patient(3, index, anatomy))
            assert content.scanner is not None
            peaks.append(content.scanner.peak_per_mm)
            banks.add((anatomy, content.bank))
    assert len(banks) == 2
    low, high = min(draws["held-out"]), max(draws["held-out"])
    assert not [peak for peak in draws["varied"] if low <= peak <= high]


def test_noise_has_the_spectrum_of_its_kernel() -> None:
    rng = np.random.default_rng(0)
    scan = replace(sample_scan(sample_patient(3, 0)), pixel_spacing_mm=0.8)
    plain = replace(draw_scanner(rng, False, False), streaks=0.0, blotches=0.0, floor=0.0)
    means = []
    for peak in (0.06, 0.28):
        scanner = replace(plain, peak_per_mm=peak, fall_per_mm=peak + 0.1, steepness=3.0)
        noise = kernel_noise(scan, scanner, 12.0)
        assert noise.std() == pytest.approx(1.0, abs=0.15)
        power = np.abs(np.fft.rfft2(noise)) ** 2
        frequency = np.hypot(np.fft.fftfreq(512, 0.8)[:, None], np.fft.rfftfreq(512, 0.8)[None])
        means.append(float((power * frequency).sum() / power.sum()))
    assert means[0] < 0.15
    assert means[1] > 0.2


def test_metal_casts_rays_that_fade_with_distance() -> None:
    x, y = np.meshgrid(np.arange(200.0), np.arange(160.0))
    canvas = Canvas(x.astype(np.float32), y.astype(np.float32), 1.0, 1.0)
    canvas.hu[:] = 50.0
    window = (slice(0, 160), slice(0, 200))
    metal_fans(canvas, window, 3)
    assert np.all(canvas.hu == 50.0)  # no metal, no rays
    canvas.hu[78:84, 40:46] = 3000.0
    metal_fans(canvas, window, 3)
    change = np.abs(canvas.hu - 50.0)
    assert change[60:100, 25:40].mean() > 2 * change[60:100, 150:].mean() > 0


def test_every_varied_scanner_value_is_finite() -> None:
    scanner = draw_scanner(np.random.default_rng(1), True, True)
    assert all(np.isfinite(getattr(scanner, each.name)) for each in fields(scanner))
