"""Series of a training set, located by stand-ins that read a slice's height from its grey level."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.data.writers import SliceWriter
from bodycomp.errors import TrainingSetError
from bodycomp.evaluation.level_rows import LevelRow
from bodycomp.evaluation.options import BootstrapOptions
from bodycomp.evaluation.slice_selection import slice_selection_section
from bodycomp.evaluation.slice_set import heights_mm, locate_in_set, open_series
from bodycomp.networks.targets import offset_to_target

LEVELS = ("L3", "L4")
STEP_MM = 5.0
L3_GRAY, L4_GRAY = 60, 53
"""A slice's grey level is its height in steps; L4 lies 35 mm below L3."""


class GrayScorer:
    """Finds every level ``shift_mm`` above where it is."""

    levels = LEVELS
    scale_mm = 10.0
    digest = "grey"
    runs_as = "stand-in"
    sees_series = False
    caution = ""

    def __init__(self, shift_mm: float = 0.0) -> None:
        self.calibrations: dict[str, object] = {}
        self.least_confidence = 0.0
        self.shift_mm = shift_mm

    def score_gray(self, read, z_mm, indices, progress=None):
        height_mm = np.array([float(read(index)[0, 0]) * STEP_MM for index in indices])
        places_mm = np.array([L3_GRAY, L4_GRAY]) * STEP_MM + self.shift_mm
        return np.asarray(offset_to_target(height_mm[:, None] - places_mm, 10.0), np.float32)


def write_set(folder: Path, series: dict[str, range], columns=("SeriesInstanceUID",)) -> Path:
    """Write series of slices by their grey levels; the split is ``test``."""
    with SliceWriter(folder, "test", LEVELS, columns) as writer:
        for name, grays in series.items():
            for gray in grays:
                offsets = {"L3": (gray - L3_GRAY) * STEP_MM, "L4": (gray - L4_GRAY) * STEP_MM}
                names = {"SeriesInstanceUID": name, "PatientID": f"Smith {name}"}
                image = np.full((8, 8), gray, np.uint8)
                writer.append(image, offsets, {key: names[key] for key in columns})
    return folder


def located(folder: Path, scorer: GrayScorer) -> list[LevelRow]:
    series = open_series(folder, "test", LEVELS, identifiers=False)
    return list(locate_in_set(series, scorer, lambda _: None))


@pytest.mark.parametrize("shift_mm", [0.0, 7.0, -3.0])
def test_a_shift_is_told_with_its_sign(tmp_path: Path, shift_mm: float) -> None:
    write_set(tmp_path / "set", {"one": range(30, 90), "two": range(40, 80)})
    rows = located(tmp_path / "set", GrayScorer(shift_mm))
    assert len(rows) == 4
    for row in rows:
        assert row.is_present
        assert row.error_mm == pytest.approx(shift_mm, abs=0.3)


def test_levels_beyond_an_end_are_absent_and_findings_there_false(tmp_path: Path) -> None:
    write_set(tmp_path / "set", {"high": range(58, 100), "both": range(30, 90)})
    rows = located(tmp_path / "set", GrayScorer())
    presence = {(row.case, row.level): row.is_present for row in rows}
    assert sorted(presence.values()) == [False, True, True, True]
    section = slice_selection_section(rows, BootstrapOptions(resamples=100))
    l4 = section["levels"]["L4"]["counts"]
    assert (l4["present"], l4["absent"], l4["absent_found"]) == (1, 1, 0)
    # A model that is 60 mm too high finds L4 where the series has none.
    wrong = located(tmp_path / "set", GrayScorer(60.0))
    l4 = slice_selection_section(wrong, BootstrapOptions(resamples=100))["levels"]["L4"]["counts"]
    assert (l4["absent"], l4["absent_found"]) == (1, 1)


def test_scores_are_judged_on_every_slice_near_the_level(tmp_path: Path) -> None:
    write_set(tmp_path / "set", {"one": range(30, 90)})
    rows = located(tmp_path / "set", GrayScorer(7.0))
    l3 = next(row for row in rows if row.level == "L3")
    assert len(l3.near_true_mm) == 21  # 50 mm on both sides, every 5 mm
    bins = slice_selection_section(rows, BootstrapOptions(resamples=100))["score_calibration"]["L3"]
    assert sum(one["n"] for one in bins) == 21
    errors = l3.near_estimated_mm - l3.near_true_mm
    for one in bins:
        inside = (l3.near_true_mm >= one["from_mm"]) & (l3.near_true_mm < one["to_mm"])
        if one["to_mm"] == 50:
            inside |= l3.near_true_mm == 50
        assert one["n"] == inside.sum()
        assert one["mean_error_mm"] == pytest.approx(errors[inside].mean(), abs=1e-4)


def test_a_level_that_the_set_says_nothing_of_is_neither_found_nor_missed(tmp_path: Path) -> None:
    write_set(tmp_path / "set", {"one": range(30, 90)})
    meta = tmp_path / "set" / "meta" / "test.csv"
    meta.write_text(meta.read_text().replace("ZOffset_L4", "other"))
    section = slice_selection_section(
        located(tmp_path / "set", GrayScorer()), BootstrapOptions(resamples=100)
    )
    l4 = section["levels"]["L4"]
    assert (l4["counts"]["not_annotated"], l4["counts"]["present"]) == (1, 0)
    assert l4["metrics"]["found"]["value"] is None
    assert section["levels"]["L3"]["counts"]["present_found"] == 1


def test_patients_are_numbered(tmp_path: Path) -> None:
    columns = ("SeriesInstanceUID", "PatientID")
    write_set(tmp_path / "set", {"one": range(30, 90), "two": range(40, 80)}, columns)
    rows = located(tmp_path / "set", GrayScorer())
    assert {row.patient for row in rows} == {"patient-0001", "patient-0002"}


def test_a_set_that_names_no_series_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path / "set", {"": range(30, 90)})
    with pytest.raises(TrainingSetError, match="expected the series of each slice"):
        open_series(tmp_path / "set", "test", LEVELS, identifiers=False)


def test_a_split_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_set(tmp_path / "set", {"one": range(30, 90)})
    (tmp_path / "set" / "meta" / "test.csv").unlink()
    with pytest.raises(Exception, match=r"test"):
        open_series(tmp_path / "set", "test", LEVELS, identifiers=False)


@given(
    st.integers(3, 20),
    st.lists(st.floats(-200, 200), min_size=2, max_size=2),
    st.integers(0, 2**31),
)
def test_heights_give_back_every_offset(slices: int, levels: list[float], seed: int) -> None:
    """Whichever offsets are missing, as long as one slice has both."""
    rng = np.random.default_rng(seed)
    z_mm = np.sort(rng.uniform(-150, 150, slices))
    offsets = z_mm[:, None] - np.array(levels)
    offsets[rng.random(offsets.shape) < 0.4] = np.nan
    offsets[0] = z_mm[0] - np.array(levels)
    heights, truth = heights_mm(offsets, LEVELS)
    for column, level in enumerate(LEVELS):
        known = ~np.isnan(offsets[:, column])
        place_mm = truth.true_z_mm(level)
        assert place_mm is not None
        assert heights[known] - place_mm == pytest.approx(offsets[known, column], abs=1e-6)
    assert np.isnan(heights).sum() == np.isnan(offsets).all(axis=1).sum()
