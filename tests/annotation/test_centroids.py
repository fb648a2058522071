"""Centroids in the form of VerSe, in any order of axes, and what is none."""

import json
from pathlib import Path

import numpy as np
import pytest

from bodycomp.annotation.levels import LevelOptions, read_levels
from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import Volume
from bodycomp.scan import Scan

SCAN = Scan(Volume(np.zeros((20, 8, 8), np.int16), (1.0, 1.0), -50.0 + 2.5 * np.arange(20)))


def write(tmp_path: Path, *entries: object) -> Path:
    path = tmp_path / "sub-verse004_seg-subreg_ctd.json"
    path.write_text(json.dumps(list(entries)))
    return path


@pytest.mark.parametrize(
    ("direction", "key", "place"),
    [("PIR", "Y", 19 - 7.5), ("LAS", "Z", 7.5), ("SPL", "X", 7.5), ("IPL", "X", 19 - 7.5)],
)
def test_the_axis_along_the_body_counts(tmp_path: Path, direction, key, place) -> None:
    at = {"X": 3.0, "Y": 4.0, "Z": 5.0} | {key: place}
    sacrum = {"label": 26, **at}
    path = write(tmp_path, {"direction": list(direction)}, {"label": 22, **at}, sacrum)
    assert read_levels(path, SCAN).z_mm == {"L3": -50.0 + 2.5 * 7.5}
    assert read_levels(path, SCAN, LevelOptions(vertebra_labels={"S1": 26})).z_mm == {
        "S1": -50.0 + 2.5 * 7.5
    }


PIR = {"direction": ["P", "I", "R"]}
L3 = {"label": 22, "X": 1.0, "Y": 2.0, "Z": 3.0}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([L3], "expected one direction such as P, I, R, found none"),
        ([{"direction": ["P", "A", "R"]}, L3], "expected one direction"),
        ([PIR], "expected centroids of vertebrae, found none"),
        ([PIR, L3, L3], "expected L3 once"),
        ([PIR, {**L3, "Y": 40}], "expected L3 in the 20 slices of the scan, found it at slice -21"),
        ([PIR, {"label": 22, "X": 1.0}], "label, X, Y and Z of every centroid"),
        ([PIR, 22], "expected a list of directions and centroids"),
        ([PIR, L3, {**L3, "label": 23, "Y": 1.0}], "expected L3 above L4"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, entries, said) -> None:
    with pytest.raises(SeriesError, match=said):
        read_levels(write(tmp_path, *entries), SCAN)


def test_what_is_no_json(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text("[")
    with pytest.raises(SeriesError, match="expected JSON of centroids"):
        read_levels(path, SCAN)
