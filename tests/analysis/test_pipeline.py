"""The three steps in order, with predictors that are a few lines each."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.errors import UsageError
from bodycomp.imaging.volume import Volume
from bodycomp.networks.targets import offset_to_target
from bodycomp.results import LevelStatus
from bodycomp.scan import Scan


@dataclass
class KnownLevels:
    """Scores slices as a perfect network would."""

    positions_mm: dict
    scale_mm: float = 10.0
    calibrations: dict = field(default_factory=dict)
    least_confidence: float = 0.0
    sees_series: bool = False
    digest: str = "aaaa"
    runs_as: str = "reference on cpu"
    caution: str = ""
    asked: list = field(default_factory=list)

    @property
    def levels(self):
        return tuple(self.positions_mm)

    def __call__(self, volume, progress=None, slice_indices=None):
        indices = range(len(volume)) if slice_indices is None else slice_indices
        self.asked.append(list(indices))
        offsets = [volume.slice_z_mm[indices] - z for z in self.positions_mm.values()]
        return offset_to_target(np.stack(offsets, axis=1), self.scale_mm).astype(np.float32)


@dataclass
class MuscleBlock:
    """Labels 10 pixels as muscle, one more on each higher slice, and remembers what was asked."""

    digest: str = "bbbb"
    runs_as: str = "reference on cpu"
    caution: str = ""
    tissues: tuple = ABDOMINAL_TISSUES
    asked: list = field(default_factory=list)

    def __call__(self, volume, slice_indices, progress=None):
        self.asked.append(list(slice_indices))
        masks = {}
        for index in slice_indices:
            mask = np.zeros(volume.slice_shape, np.uint8)
            mask.flat[: 10 + index] = 1
            masks[index] = mask
        return masks


@pytest.fixture
def volume():
    hu = np.zeros((50, 16, 16), np.int16) + np.arange(50, dtype=np.int16)[:, None, None]
    return Volume(hu, (10.0, 10.0), np.arange(50) * 4.0)


def test_level_is_found_segmented_and_measured(volume):
    result = Analyzer(KnownLevels({"L3": 80.5}), MuscleBlock()).analyze(Scan(volume))

    (level,) = result.levels
    assert level.choice.status is LevelStatus.FOUND
    assert level.choice.slice_index == 20
    assert level.choice.z_mm == pytest.approx(80.5, abs=0.1)
    assert level.slice_indices == (20,)
    assert level.measurements["muscle"].area_cm2 == pytest.approx(30.0)
    assert level.measurements["muscle"].mean_hu == 20
    assert level.measurements["visceral_fat"].area_cm2 == 0
    assert level.masks[20].shape == (16, 16)
    assert result.models == {"slice_selection": "aaaa", "segmentation": "bbbb"}


def test_range_averages_the_slices_around_the_level(volume):
    analyzer = Analyzer(KnownLevels({"L3": 81.0}), MuscleBlock(), AnalysisOptions(range_mm=16))

    (level,) = analyzer.analyze(Scan(volume)).levels

    assert level.slice_indices == (19, 20, 21, 22)
    assert level.measurements["muscle"].area_cm2 == pytest.approx(10 + 20.5)


def test_range_smaller_than_the_spacing_still_measures_the_nearest_slice(volume):
    analyzer = Analyzer(KnownLevels({"L3": 82.0}), MuscleBlock(), AnalysisOptions(range_mm=1))
    assert len(analyzer.analyze(Scan(volume)).levels[0].slice_indices) == 1


def test_absent_level_is_neither_segmented_nor_measured(volume):
    segmenter = MuscleBlock()

    result = Analyzer(KnownLevels({"L3": -500.0}), segmenter).analyze(Scan(volume))

    assert result.levels[0].choice.status is LevelStatus.ABSENT
    assert result.levels[0].measurements == {}
    assert segmenter.asked == []


def test_slices_shared_by_two_levels_are_segmented_once(volume):
    segmenter = MuscleBlock()
    analyzer = Analyzer(
        KnownLevels({"L2": 100.0, "L3": 80.0}), segmenter, AnalysisOptions(range_mm=30)
    )

    result = analyzer.analyze(Scan(volume))

    assert len(segmenter.asked) == 1
    assert len(segmenter.asked[0]) == len(set(segmenter.asked[0]))
    assert set(result.levels[0].slice_indices) & set(result.levels[1].slice_indices)


def test_levels_out_of_anatomical_order_are_uncertain(volume):
    result = Analyzer(KnownLevels({"T12": 40.0, "L3": 120.0}), MuscleBlock()).analyze(Scan(volume))

    assert [level.choice.status for level in result.levels] == [LevelStatus.UNCERTAIN] * 2
    assert all(not level.measurements for level in result.levels)


def test_scale_comes_from_the_model(volume):
    result = Analyzer(KnownLevels({"L3": 80.0}, scale_mm=25.0), MuscleBlock()).analyze(Scan(volume))
    assert result.levels[0].choice.offset_mm.min() == pytest.approx(-80, abs=0.1)


def test_negative_range_is_refused():
    with pytest.raises(UsageError, match="range"):
        AnalysisOptions(range_mm=-1)


def test_only_slices_that_matter_are_scored_unless_all_are_asked_for():
    long = Volume(np.zeros((400, 16, 16), np.int16), (10.0, 10.0), np.arange(400) * 2.0)
    quick, full = KnownLevels({"L3": 301.0}), KnownLevels({"L3": 301.0})

    (found,) = Analyzer(quick, MuscleBlock()).analyze(Scan(long)).levels
    options = AnalysisOptions(score_all=True)
    (expected,) = Analyzer(full, MuscleBlock(), options).analyze(Scan(long)).levels

    assert full.asked == [list(range(400))]
    asked = [index for indices in quick.asked for index in indices]
    assert len(asked) == len(set(asked)) == np.count_nonzero(found.choice.scored) < 140
    assert found.choice.slice_index == expected.choice.slice_index
    assert found.choice.z_mm == pytest.approx(expected.choice.z_mm)
    assert found.choice.offset_mm.shape == (400,)
    assert expected.choice.scored is None


def test_intervals_are_given_when_asked_for(volume):
    def level(intervals):
        options = AnalysisOptions(intervals=intervals)
        (found,) = (
            Analyzer(KnownLevels({"L3": 80.0}), MuscleBlock(), options).analyze(Scan(volume)).levels
        )
        return found.measurements["muscle"]

    assert level(False).area_low_cm2 is None
    assert level(True).area_low_cm2 <= level(True).area_cm2 <= level(True).area_high_cm2
