"""What lies between two levels: volumes against the phantom's truth, arms, and levels that lack."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.anatomy import ABDOMINAL_TISSUES, MUSCLE
from bodycomp.errors import UsageError
from bodycomp.imaging.volume import Volume
from bodycomp.phantom import Torso, sample_patient, sample_scan
from bodycomp.results import LevelStatus
from bodycomp.scan import Scan
from support.stand_ins import KnownLabels, LevelAt

PIXELS = 64


@dataclass
class LevelsAt(LevelAt):
    """Scores as a perfect network for levels at different heights."""

    places_mm: tuple = ()

    def __call__(self, volume, progress=None, slice_indices=None):
        columns = [
            replace(LevelAt(z_mm, ("one",)), scale_mm=self.scale_mm)(
                volume, progress, slice_indices
            )
            for z_mm in self.places_mm
        ]
        return np.hstack(columns)


def analyzed(volume, labels, places_mm, between):
    scorer = LevelsAt(levels=tuple(places_mm), places_mm=tuple(places_mm.values()))
    options = AnalysisOptions(between=between)
    return Analyzer(scorer, KnownLabels(labels), options).analyze(Scan(volume))


@pytest.fixture(scope="module")
def torso():
    return Torso(sample_patient(5, 3))


def rendered(torso, spacing_mm):
    """Return the trunk of a phantom on coarse pixels, from below L5 to above L1."""
    scan, levels = sample_scan(torso.patient), torso.level_z_mm
    scan = replace(
        scan,
        matrix=(PIXELS, PIXELS),
        pixel_spacing_mm=scan.pixel_spacing_mm * scan.matrix[0] / PIXELS,
        slice_spacing_mm=spacing_mm,
        z_start_mm=levels["L5"] - 50.0,
        z_end_mm=levels["L1"] + 50.0,
    )
    volume, labels = torso.render(scan)
    return volume, np.where(labels <= 3, labels, 0).astype(np.uint8)


@pytest.fixture(scope="module")
def coarse(torso):
    return rendered(torso, 5.0)


@pytest.fixture(scope="module")
def fine(torso):
    return rendered(torso, 1.5)


@pytest.mark.parametrize("between", [("L1", "L5"), ("L4", "L2")])
def test_volumes_are_those_of_the_phantom(torso, coarse, fine, between):
    volume, labels = coarse
    levels = {name: torso.level_z_mm[name] for name in ("L1", "L2", "L3", "L4", "L5")}
    result = analyzed(volume, labels, levels, between)
    upper, lower = sorted(between)
    found = result[f"{upper}-{lower}"]
    true_volume, truth = fine
    z_mm = true_volume.slice_z_mm
    inside = (z_mm > levels[lower]) & (z_mm <= levels[upper])
    assert found.choice.status is LevelStatus.FOUND
    assert found.choice.height_mm == pytest.approx(levels[upper] - levels[lower], abs=1.0)
    for tissue in ABDOMINAL_TISSUES:
        voxels = (truth[inside] == tissue.label).sum()
        true_ml = voxels * true_volume.pixel_area_mm2 * 1.5 / 1000
        assert found.measurements[tissue.key].volume_ml == pytest.approx(true_ml, rel=0.01)
    assert result["L3"].measurements["muscle"].volume_ml is None


def test_what_is_labeled_outside_the_trunk_is_left_out():
    rows, columns = np.mgrid[:80, :80] * 4.0
    trunk = np.hypot(rows - 160, columns - 130) < 90
    arm = np.hypot(rows - 160, columns - 280) < 25
    image = np.where(trunk | arm, 40, -1000).astype(np.int16)
    volume = Volume(np.repeat(image[None], 60, axis=0), (4.0, 4.0), np.arange(60) * 5.0)
    labels = np.repeat((trunk | arm).astype(np.uint8)[None], 60, axis=0)
    levels = {"L1": 200.0, "L3": 150.0, "L5": 100.0}
    result = analyzed(volume, labels, levels, ("L1", "L5"))
    area_cm2 = trunk.sum() * 0.16
    muscle = result["L1-L5"].measurements["muscle"]
    assert muscle.area_cm2 == pytest.approx(area_cm2)
    assert muscle.volume_ml == pytest.approx(area_cm2 * 10.0, rel=0.02)
    assert result["L3"].areas_cm2["muscle"] > area_cm2 + 10  # of one slice they are flagged
    assert (result.masks[30] == MUSCLE.label).sum() == (trunk | arm).sum()


def test_without_one_of_the_levels_the_reason_names_it(coarse, torso):
    volume, labels = coarse
    levels = {"L3": torso.level_z_mm["L3"], "L5": torso.level_z_mm["L5"] - 600}
    found = analyzed(volume, labels, levels, ("L3", "L5"))["L3-L5"]
    assert found.choice.status is LevelStatus.ABSENT
    assert found.choice.reason.startswith("L5 is absent: ")
    assert not found.measurements


@pytest.mark.parametrize("between", [("L3", "S1"), ("L3", "L3")])
def test_levels_that_the_model_does_not_find_are_refused(between):
    options = AnalysisOptions(between=between)
    with pytest.raises(UsageError, match="expected two of the levels L3, L4"):
        Analyzer(LevelsAt(levels=("L3", "L4")), KnownLabels(np.zeros(0)), options)
