"""Density of the aorta: on drawn discs, on phantoms with and without agent, on real scans."""

from pathlib import Path

import numpy as np
import pytest

from bodycomp.analysis.aorta import find_aorta
from bodycomp.analysis.derived import derive
from bodycomp.analysis.level_slices import LevelSlices
from bodycomp.analysis.measurement import measure_tissues
from bodycomp.analysis.quality_flags import CONTRAST_AGENT
from bodycomp.analysis.skin_line import trunk_mask
from bodycomp.anatomy import ABDOMINAL_TISSUES, MUSCLE
from bodycomp.dicom.read import read_series
from bodycomp.dicom.series import find_series
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.phantom.materials import materials_of
from bodycomp.phantom.patient import sample_patient
from bodycomp.phantom.scan import sample_scan
from bodycomp.phantom.torso import Torso
from bodycomp.subject import Subject

REAL = Path(__file__).parents[2] / "../shared/real"
MUSCLE_HU = 55.0


def disc(shape, row, column, radius):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def drawn(aorta_hu, row=148, column=188, radius=10):
    """A trunk of fat with muscle behind, a vertebral body at (180, 180) and a vessel, 1 mm pixels.

    The head of the slice is the front, as in the standard view.
    """
    shape = (360, 360)
    hu, labels = np.full(shape, -1000.0), np.zeros(shape, np.uint8)
    hu[disc(shape, 180, 180, 110)] = -100
    back = disc(shape, 235, 180, 40)
    hu[back], labels[back] = MUSCLE_HU, MUSCLE.label
    hu[disc(shape, 180, 180, 18)] = 500
    hu[disc(shape, 180, 180, 16)] = 150
    hu[disc(shape, row, column, radius)] = aorta_hu
    hu += np.random.default_rng(1).normal(0, 10, shape)
    return hu.astype(np.float32), labels


def found_in(hu, labels, level="L3"):
    spacing_mm = (1.0, 1.0)
    return find_aorta(hu, trunk_mask(hu, labels, spacing_mm), spacing_mm, MUSCLE_HU, level)


@pytest.mark.parametrize("aorta_hu", [95, 150, 300])
def test_drawn_vessel_has_its_density_place_and_size(aorta_hu):
    vessel, reason = found_in(*drawn(aorta_hu))
    assert reason == ""
    assert vessel.hu == pytest.approx(aorta_hu, abs=3)
    assert vessel.center_px == pytest.approx((148, 188), abs=2)
    assert vessel.radius_mm == pytest.approx(10, abs=2)


@pytest.mark.parametrize(
    "where",
    [
        {"aorta_hu": 55},  # no denser than muscle
        {"aorta_hu": 150, "row": 120},  # far ahead of the spine, as bowel
        {"aorta_hu": 150, "column": 160},  # on the right, as the vena cava
        {"aorta_hu": 150, "radius": 3},
    ],
)
def test_what_is_no_aorta_is_not_taken_for_one(where):
    vessel, reason = found_in(*drawn(**where))
    assert vessel is None
    assert reason == "no round vessel in front of the spine is denser than muscle"


def test_without_spine_or_body_the_reason_says_so():
    hu, labels = drawn(150)
    assert found_in(np.minimum(hu, 60), labels)[1] == "no vertebral body is seen"
    air = np.full((40, 40), -1000.0)
    assert found_in(air, np.zeros(air.shape, np.uint8))[1] == "no body is seen"


def test_quantity_is_the_same_however_the_source_is_turned():
    hu, labels = drawn(150)

    def quantity(turn):
        slices = LevelSlices(
            "L3",
            turn.undo(hu)[None],
            turn.undo(labels)[None],
            0,
            (1.0, 1.0),
            ABDOMINAL_TISSUES,
            turn,
        )
        measured = measure_tissues(slices.hu[0], slices.labels[0], ABDOMINAL_TISSUES, 1.0)
        return derive(slices, measured, Subject())["aortic_hu"].value

    upright = quantity(OrientationTransform())
    assert upright == pytest.approx(150, abs=3)
    for turn in (
        OrientationTransform(True),
        OrientationTransform(False, True, False),
        OrientationTransform(True, True, True),
    ):
        assert quantity(turn) == pytest.approx(upright, abs=1)


def phantom_at_l3(index):
    """Density of the aorta that was painted, and what is found at L3; None if nothing."""
    patient = sample_patient(4, index)
    torso, scan = Torso(patient), sample_scan(patient)
    hu, labels = torso.render_slice(scan, torso.level_z_mm["L3"])
    spacing_mm = (scan.pixel_spacing_mm, scan.pixel_spacing_mm)
    muscle_hu = float(np.median(hu[labels == MUSCLE.label]))
    vessel, _ = find_aorta(hu, trunk_mask(hu, labels, spacing_mm), spacing_mm, muscle_hu, "L3")
    return patient.contrast_phase, materials_of(patient).aorta, vessel


@pytest.mark.slow
def test_phantoms_with_contrast_agent_are_told_from_those_without():
    """As docs/measurements.md says; there, more phantoms and levels are counted."""
    patients = [phantom_at_l3(index) for index in range(60)]
    enhanced = [(aorta, vessel) for phase, aorta, vessel in patients if phase != "none"]
    errors = [abs(vessel.hu - aorta) for aorta, vessel in enhanced if vessel]
    assert len(errors) >= 0.7 * len(enhanced)
    assert np.median(errors) <= 3
    assert all(vessel.hu >= CONTRAST_AGENT.limit for _, vessel in enhanced if vessel)
    plain = [vessel for phase, _, vessel in patients if phase == "none"]
    assert len(plain) >= 15
    assert sum(vessel is not None for vessel in plain) <= 0.05 * len(plain)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real scans in ../shared/real")
@pytest.mark.parametrize(
    ("scan", "level", "shares"), [("torso_ct", "L3", (0, 0)), ("jpeg2000", "T12", (0.6, 1))]
)
def test_real_scans_show_agent_where_it_was_given(scan, level, shares):
    """torso_ct has none; in jpeg2000 the aorta, with plaque in its wall, has about 150 HU."""
    (candidate,) = find_series([REAL / scan]).candidates
    volume = read_series(candidate).volume
    none = np.zeros(volume.slice_shape, np.uint8)
    found = []
    for hu in volume.hu[:: max(1, len(volume) // 20)]:
        trunk = trunk_mask(hu, none, volume.pixel_spacing_mm)
        found.append(find_aorta(hu, trunk, volume.pixel_spacing_mm, MUSCLE_HU, level)[0])
    share = sum(vessel is not None for vessel in found) / len(found)
    assert shares[0] <= share <= shares[1]
    assert all(vessel.hu == pytest.approx(152, abs=10) for vessel in found if vessel)
