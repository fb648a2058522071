"""Trabecular attenuation: against the phantom's bone, and what is refused rather than guessed."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.trabecular import vertebrae
from bodycomp.analysis.level_measuring import LevelMeasurer
from bodycomp.analysis.trabecular import trabecular_hu
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.imaging.volume import Volume
from bodycomp.results import LevelStatus, SliceChoice
from bodycomp.scan import Scan
from bodycomp.subject import Acquisition, Subject

MARROW_HU, CORTEX_HU, MUSCLE_HU = 140, 450, 50
PIXELS, PIXEL_MM = 200, 1.6
CENTER_MM = (195.0, 160.0)


def vertebra(cortex_hu=CORTEX_HU, vein_hu=20, screw=False):
    """Return a trunk with an oval vertebral body whose vein enters from behind."""
    rows, columns = np.mgrid[:PIXELS, :PIXELS] * PIXEL_MM
    image = np.full((PIXELS, PIXELS), -1000, np.int16)
    image[np.hypot((rows - 160) / 0.7, columns - 160) < 130] = MUSCLE_HU
    down, across = rows - CENTER_MM[0], columns - CENTER_MM[1]
    image[np.hypot(down / 16, across / 22) < 1] = cortex_hu
    image[np.hypot(down / 13.5, across / 19.5) < 1] = MARROW_HU
    image[(np.abs(across) < 4) & (down > 5) & (down < 16)] = vein_hu
    if screw:
        image[(np.abs(across - 8) < 3) & (np.abs(down) < 14)] = 3000
    return image


def measured(image, level="L1", kvp=120.0, age_years=25.0):
    volume = Volume(np.repeat(image[None], 7, axis=0), (PIXEL_MM,) * 2, np.arange(7) * 3.0)
    labels = np.zeros(image.shape, np.uint8)
    labels[image == MUSCLE_HU] = 1
    scan = Scan(volume, subject=Subject(age_years=age_years), acquisition=Acquisition(kvp=kvp))
    line = (volume.slice_z_mm - 9.0).astype(np.float32)
    choice = SliceChoice(level, LevelStatus.FOUND, "", 3, 9.0, line, line, 1)
    measurer = LevelMeasurer(scan, ABDOMINAL_TISSUES, 0.0)
    return measurer.measure(choice, {3: labels})


def test_it_is_the_marrow_away_from_cortex_and_vein():
    assert measured(vertebra()).quantities["trabecular_hu"].value == MARROW_HU


def test_thresholds_age_and_tube_voltage_stand_beside_it():
    level = measured(vertebra(), kvp=100.0)
    assert level.cut_offs["low_trabecular_attenuation_sensitive_pickhardt_2013"].met is True
    assert level.cut_offs["low_trabecular_attenuation_specific_pickhardt_2013"].met is False
    (jang,) = [found for found in level.references if found.reference == "jang_2019"]
    assert jang.z_score == pytest.approx((MARROW_HU - 226) / 44)
    (flag,) = [flag for flag in level.flags if flag.key == "tube_voltage"]
    assert "trabecular_hu" in flag.affects


def test_between_its_ages_the_reference_says_nothing():
    level = measured(vertebra(), age_years=60.0)
    (jang,) = [found for found in level.references if found.reference == "jang_2019"]
    assert (jang.z_score, jang.reason) == (None, "the reference has no people of 60 years")


def test_other_levels_have_none():
    found = measured(vertebra(), level="L5").quantities["trabecular_hu"]
    assert (found.value, found.reason) == (None, "it is measured at L1, L2, L3, L4")


@pytest.mark.parametrize("image", [vertebra(screw=True), vertebra(cortex_hu=MARROW_HU)])
def test_metal_and_organs_without_cortex_are_not_taken_for_bone(image):
    found = measured(image).quantities["trabecular_hu"]
    assert (found.value, found.reason) == (None, "no vertebral body with even bone inside is seen")


def test_patients_on_their_side_have_the_same():
    image = vertebra()
    upright = Volume(np.repeat(image[None], 3, axis=0), (PIXEL_MM,) * 2, np.arange(3) * 3.0)
    turned = np.ascontiguousarray(upright.hu.transpose(0, 2, 1))
    lying = replace(upright, hu=turned, orientation=(0.0, 1.0, 0.0, 1.0, 0.0, 0.0))
    trunk = image > -300
    assert trabecular_hu(upright, 3.0, trunk, MUSCLE_HU) == (MARROW_HU, "")
    assert trabecular_hu(lying, 3.0, trunk.T, MUSCLE_HU) == (MARROW_HU, "")


def test_phantoms_are_measured_within_five_hu():
    found = [one for patient in (0, 1) for one in vertebrae(patient, "standard", 4.0, ("L1", "L4"))]
    assert all(one.hu == pytest.approx(one.region_hu, abs=5) for one in found)
