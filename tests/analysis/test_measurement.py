"""Areas, densities and contact with the edge of the field of view."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.analysis.field_of_view import border_pixels, field_of_view_radius_px
from bodycomp.analysis.measurement import measure, measure_tissues
from bodycomp.anatomy import ABDOMINAL_TISSUES, MUSCLE, SUBCUTANEOUS_FAT

LEGACY = Path(__file__).parents[2] / "../shared/legacy/measurement.npz"
needs_legacy = pytest.mark.skipif(not LEGACY.exists(), reason="../shared/legacy is absent")


def disc(size, radius_px):
    away = np.arange(size) - (size - 1) / 2
    return np.hypot(away[:, None], away[None, :]) <= radius_px


def test_area_of_a_disc_is_that_of_the_circle():
    mask = (disc(512, 150) * MUSCLE.label).astype(np.uint8)
    area = measure(np.zeros(mask.shape, np.int16), mask, MUSCLE, 0.8 * 0.8).area_cm2
    assert area == pytest.approx(np.pi * (150 * 0.08) ** 2, rel=1e-3)


@given(factor=st.floats(0.5, 4))
def test_area_grows_with_the_square_of_the_spacing(factor):
    mask = (disc(32, 9) * MUSCLE.label).astype(np.uint8)
    hu = np.zeros(mask.shape, np.int16)
    once, scaled = (measure(hu, mask, MUSCLE, area).area_cm2 for area in (1.0, factor**2))
    assert scaled == pytest.approx(once * factor**2)


def test_tissue_that_is_not_there_has_no_density():
    hu, mask = np.zeros((8, 8), np.int16), np.zeros((8, 8), np.uint8)
    found = measure(hu, mask, MUSCLE, 1.0)
    assert found.area_cm2 == 0
    assert (found.mean_hu, found.median_hu, found.sd_hu, found.iqr_hu) == (None,) * 4
    assert found.border_fraction is None


def test_over_a_range_areas_are_averaged_and_pixels_pooled():
    hu = np.array([[[10, 20], [0, 0]], [[30, 0], [0, 0]]], np.int16)
    mask = np.array([[[1, 1], [0, 0]], [[1, 0], [0, 0]]], np.uint8)
    found = measure(hu, mask, MUSCLE, 100.0)
    assert found.area_cm2 == pytest.approx(1.5)
    assert found.mean_hu == pytest.approx(20)
    assert found.median_hu == pytest.approx(20)


@needs_legacy
@pytest.mark.parametrize("case", ["empty", "one", "two", "ints", "neg", "muscle", "const", "big"])
def test_statistics_equal_the_earlier_implementation(case):
    file = np.load(LEGACY)
    hu = file[f"stats_{case}_in"][None]
    if hu.size == 0:
        hu, mask = np.zeros((1, 1)), np.zeros((1, 1), np.uint8)
    else:
        mask = np.full(hu.shape, MUSCLE.label, np.uint8)
    found = measure(hu, mask, MUSCLE, 1.0)
    ours = [found.mean_hu, found.median_hu, found.sd_hu, found.iqr_hu]
    expected = [
        None if np.isnan(value) else pytest.approx(value) for value in file[f"stats_{case}"]
    ]
    assert ours == expected


@needs_legacy
@pytest.mark.parametrize(
    "case",
    [
        "inside",
        "touch_right",
        "small_radius",
        "huge_radius",
        "thoracic_2classes",
        "nonsquare_96x64",
        "empty",
        "full_class1",
        "one_px_off",
    ],
)
def test_areas_and_border_contact_equal_the_earlier_implementation(case):
    file = np.load(LEGACY)
    mask = file[f"bnd_{case}_mask"]
    border = border_pixels(mask.shape, float(file[f"bnd_{case}_radius"]))
    pixel_area_mm2 = float(np.prod(file[f"bnd_{case}_spacing"]))
    for tissue, count, area_cm2 in zip(
        ABDOMINAL_TISSUES, file[f"bnd_{case}_counts"], file[f"bnd_{case}_area_cm2"], strict=False
    ):
        hu = np.zeros(mask.shape, np.int16)
        found = measure(hu, mask, tissue, pixel_area_mm2, border=border)
        pixels = np.count_nonzero(mask == tissue.label)
        assert found.area_cm2 == pytest.approx(area_cm2)
        assert (found.border_fraction or 0) * pixels == pytest.approx(count)


def scan(size=128, radius_px=64.0, padding=-2000, air=-1000):
    hu = np.where(disc(size, radius_px), air, padding).astype(np.int16)
    hu[size // 2 - 20 : size // 2 + 20, 40:90] = 30
    return hu


@pytest.mark.parametrize(
    ("hu", "radius_px"),
    [
        pytest.param(scan(), 64, id="constant below air"),
        pytest.param(scan(padding=-1024), 64, id="clipped air around the inscribed circle"),
        pytest.param(scan(padding=-3024, radius_px=50), 50, id="small circle"),
        pytest.param(scan(padding=-1024, air=-1024), None, id="clipped air everywhere"),
        pytest.param(scan(padding=-1000), None, id="square field of view"),
        pytest.param(np.full((64, 64), 30, np.int16), None, id="tissue up to the corners"),
        pytest.param(np.full((64, 64), -2000, np.int16), None, id="padding alone"),
    ],
)
def test_field_of_view_is_found_from_the_padding(hu, radius_px):
    expected = None if radius_px is None else pytest.approx(radius_px, abs=1)
    assert field_of_view_radius_px(hu) == expected


def test_body_cut_off_by_the_circle_is_told_from_one_inside_it():
    inside, cut_off = (disc(128, 30), disc(128, 80) & disc(128, 64))
    hu = scan()
    shares = [
        measure_tissues(hu, (body * 2).astype(np.uint8), [SUBCUTANEOUS_FAT], 1.0)[
            "subcutaneous_fat"
        ].border_fraction
        for body in (inside, cut_off)
    ]
    assert shares[0] == 0
    assert shares[1] == pytest.approx(1 - (62 / 64) ** 2, abs=0.02)
