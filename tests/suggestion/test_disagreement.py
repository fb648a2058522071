"""How much segmentations of a slice differ, and which slices that makes worth annotating."""

from dataclasses import replace

import numpy as np
import pytest

from bodycomp.analysis.inference import SegmentedSlices
from bodycomp.analysis.level_verdict import ChoiceOptions, choose_slice
from bodycomp.errors import UsageError
from bodycomp.imaging.volume import Volume
from bodycomp.study.sources import Source
from bodycomp.suggestion.candidates import Candidate, Networks, choose, slices_to_look_at
from bodycomp.suggestion.disagreement import COPIES, disagreement
from bodycomp.suggestion.options import SuggestOptions
from support.doubtful_scans import DENSE, EVERYTHING, doubtful_volume, share_apart


def test_a_model_that_does_not_care_where_the_body_lies_agrees_with_itself():
    found = disagreement([EVERYTHING], doubtful_volume(5), 6)
    assert found.tissues == {"muscle": 0.0}
    assert not found.doubt.any()


def test_models_disagree_by_the_pixels_in_which_they_differ():
    volume = doubtful_volume(7)
    found = disagreement([EVERYTHING, DENSE], volume, 6)
    each = len(COPIES)
    pairs, across = each * (2 * each - 1), each * each
    assert found.mean == pytest.approx(share_apart(7) * across / pairs)
    np.testing.assert_array_equal(found.doubt > 0, volume.hu[6] == 10)
    np.testing.assert_array_equal(found.labels, volume.hu[6] > -300)


def test_a_model_that_knows_left_from_right_disagrees_with_mirrored_copies():
    class Left:
        tissues = EVERYTHING.tissues

        def __call__(self, volume, indices, progress=None):
            middle = volume.hu.shape[2] // 2
            body = volume.hu[:, :, :] > -300
            body[..., middle:] = False
            return {i: body[i].astype(np.uint8) for i in indices}

    assert disagreement([Left()], doubtful_volume(0), 6).mean > 0.4


def test_members_of_an_ensemble_disagree_as_models_do():
    class Both:
        tissues = EVERYTHING.tissues

        def __call__(self, volume, indices, progress=None):
            found = SegmentedSlices()
            for index in indices:
                found[index] = EVERYTHING(volume, [index])[index]
                both = [found[index], DENSE(volume, [index])[index]]
                found.members[index] = np.stack(both)
            return found

    volume = doubtful_volume(7)
    alone, together = (
        disagreement([EVERYTHING, DENSE], volume, 6),
        disagreement([Both()], volume, 6),
    )
    assert together.mean == pytest.approx(alone.mean)
    np.testing.assert_array_equal(together.doubt, alone.doubt)


def test_a_slice_of_air_says_nothing():
    air = Volume(np.full((1, 16, 16), -1000, np.int16), (1.0, 1.0), np.zeros(1))
    assert disagreement([EVERYTHING], air, 0).tissues == {}


def test_models_of_other_tissues_are_refused():
    other = replace(EVERYTHING, tissues=EVERYTHING.tissues[:2])
    with pytest.raises(UsageError, match="the same tissues"):
        Networks(None, (EVERYTHING, other))


@pytest.fixture
def options(tmp_path):
    return SuggestOptions(scans=tmp_path / "scans", out=tmp_path / "out")


def test_slices_about_a_level_are_looked_at_at_even_distances(options):
    z_mm = np.arange(0, 200, 2.5)
    volume = Volume(np.zeros((len(z_mm), 8, 8), np.int16), (1.0, 1.0), z_mm)
    choice = choose_slice("L3", z_mm - 100.0, z_mm, ChoiceOptions())
    found = slices_to_look_at(volume, [choice], options)
    assert sorted(z_mm[list(found)]) == [90, 95, 100, 105, 110]
    assert {level for level, _ in found.values()} == {"L3"}
    assert found[volume.nearest_slice(95)][1] == pytest.approx(-5, abs=0.5)


def test_all_slices_are_those_of_the_whole_scan(options):
    z_mm = np.arange(0, 200, 2.5)
    volume = Volume(np.zeros((len(z_mm), 8, 8), np.int16), (1.0, 1.0), z_mm)
    found = slices_to_look_at(volume, [], replace(options, all_slices=True, spacing_mm=10.0))
    assert list(found) == list(range(0, 80, 4))


def candidate(patient, z_mm, disagreement):
    source = Source("study", f"series-{patient}", "", 1, None, None)
    return Candidate(source, patient, "L3", 0.0, 0, 1, z_mm, {"muscle": 0.1}, disagreement)


def test_a_patient_is_suggested_as_often_as_wanted_and_never_for_neighboring_slices(options):
    seen = [
        candidate("a", 0.0, 0.9),
        candidate("a", 10.0, 0.8),
        candidate("a", 30.0, 0.7),
        candidate("a", 60.0, 0.6),
        candidate("b", 0.0, 0.5),
        candidate("c", 0.0, 0.4),
    ]

    def chosen(before=(), **changes):
        found = choose(seen, replace(options, **changes), before)
        return [(each.patient, each.z_mm) for each in found]

    assert chosen() == [("a", 0.0), ("b", 0.0), ("c", 0.0)]
    assert chosen(per_patient=2) == [("a", 0.0), ("a", 30.0), ("b", 0.0), ("c", 0.0)]
    assert chosen(count=2) == [("a", 0.0), ("b", 0.0)]
    assert chosen([("a", "series-a", 0.0)]) == [("b", 0.0), ("c", 0.0)]
    assert chosen([("a", "series-a", 25.0)], per_patient=2, count=1) == [("a", 0.0)]
