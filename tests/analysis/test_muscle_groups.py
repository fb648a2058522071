"""Measured with groups, muscle is their sum, and what is said of the three tissues stays."""

import numpy as np
import pytest

from bodycomp.analysis.level_measuring import LevelMeasurer
from bodycomp.anatomy import ABDOMINAL_TISSUES, ALL_TISSUES, FATS, PSOAS
from bodycomp.imaging.label_map import folded
from bodycomp.imaging.volume import Volume
from bodycomp.results import LevelStatus, SliceChoice
from bodycomp.scan import Scan
from bodycomp.subject import Acquisition, Subject

PIXEL_MM = 2.0
KEYS = ("psoas_right_cm2", "psoas_left_cm2", "psoas_muscle_index_cm2_m2")


@pytest.fixture(scope="module")
def slices():
    """A trunk with muscle of no group, two psoas of unequal size, erector spinae, and a body."""
    hu = np.full((100, 140), -1000, np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    for label, attenuation, rows, columns in (
        (2, -100, (5, 95), (5, 135)),
        (1, 50, (15, 85), (15, 125)),
        (9, 180, (45, 60), (62, 78)),
        (4, 40, (45, 60), (40, 60)),
        (4, 40, (45, 60), (80, 90)),
        (5, 30, (65, 80), (40, 100)),
        (8, -90, (62, 64), (40, 100)),
    ):
        hu[slice(*rows), slice(*columns)] = attenuation
        labels[slice(*rows), slice(*columns)] = label
    return hu, labels


def measured(hu, labels, tissues, kvp=120.0, orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0)):
    volume = Volume(np.repeat(hu[None], 3, axis=0), (PIXEL_MM,) * 2, np.arange(3) * 5.0)
    volume = Volume(volume.hu, volume.pixel_spacing_mm, volume.slice_z_mm, orientation=orientation)
    line = (volume.slice_z_mm - 5.0).astype(np.float32)
    choice = SliceChoice("L3", LevelStatus.FOUND, "", 1, 5.0, line, line, 1)
    subject = Subject(height_m=2.0, sex="F", age_years=50.0)
    scan = Scan(volume, subject=subject, acquisition=Acquisition(kvp=kvp))
    return LevelMeasurer(scan, tissues, 0.0).measure(choice, {1: labels})


def test_muscle_is_the_sum_and_three_tissues_are_measured_as_before(slices):
    hu, labels = slices
    known = np.where(labels == 8, 0, labels).astype(np.uint8)  # a rule finds it without a label
    few = measured(hu, folded(known, ABDOMINAL_TISSUES), ABDOMINAL_TISSUES)
    many = measured(hu, labels, ALL_TISSUES)
    for key, found in few.measurements.items():
        assert many.measurements[key] == found
    assert {key: many.quantities[key] for key in few.quantities} == few.quantities
    assert many.cut_offs == few.cut_offs
    groups = sum(many.areas_cm2[key] for key in ("psoas", "erector_spinae"))
    alone = (labels == 1).sum() * 0.04
    assert many.areas_cm2["muscle"] == pytest.approx(groups + alone)
    assert many.mean_hu["erector_spinae"] == 30


@pytest.mark.parametrize(
    ("orientation", "right"),
    [((1.0, 0.0, 0.0, 0.0, 1.0, 0.0), 300), ((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0), 150)],
)
def test_psoas_has_an_area_on_each_side_and_an_index(slices, orientation, right):
    hu, labels = slices
    found = measured(hu, labels, ALL_TISSUES, orientation=orientation).quantities
    assert [found[key].value for key in KEYS] == pytest.approx(
        [right * 0.04, (450 - right) * 0.04, 450 * 0.04 / 4]
    )


def test_flags_of_muscle_touch_its_groups(slices):
    flags = {flag.key: flag for flag in measured(*slices, ALL_TISSUES, kvp=80.0).flags}
    assert f"{PSOAS.key}_mean_hu" in flags["tube_voltage"].affects
    few = {flag.key: flag for flag in measured(*slices, ABDOMINAL_TISSUES, kvp=80.0).flags}
    assert not any(column.startswith("psoas") for column in few["tube_voltage"].affects)


def test_without_muscle_the_fats_stay_and_what_needs_muscle_says_so(slices):
    hu, labels = slices
    few = measured(hu, folded(labels, ABDOMINAL_TISSUES), ABDOMINAL_TISSUES)
    fats = measured(hu, folded(labels, FATS), FATS)
    assert set(fats.measurements) == {"subcutaneous_fat", "visceral_fat"}
    for key, found in fats.measurements.items():
        assert found == few.measurements[key]
    assert list(fats.quantities) == list(few.quantities)
    missing = {k for k, q in fats.quantities.items() if q.reason == "muscle is not labelled"}
    assert missing == {
        "skeletal_muscle_index_cm2_m2",
        "low_attenuation_muscle_area_cm2",
        "normal_attenuation_muscle_area_cm2",
        "intermuscular_fat_area_cm2",
        "skeletal_muscle_gauge_cm2_hu_m2",
        "aortic_hu",
        "trabecular_hu",
    }
    assert fats.quantities["subcutaneous_fat_index_cm2_m2"].value > 0
    assert {key: fats.cut_offs[key] for key in fats.cut_offs} == {
        key: few.cut_offs[key] for key in fats.cut_offs
    }
