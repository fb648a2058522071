"""Polygons and Hounsfield units make the masks of real slices; every outline is usable as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bodycomp.errors import ImageError, TrainingSetError
from default_models.outline_masks import (
    OUTLINES,
    TEST_SCANS,
    TRAINING_SCANS,
    Outline,
    Polygon,
    label_mask,
    outlined_slices,
    outlines_of,
    read_outline,
)

REAL = Path(__file__).parents[1] / "../shared/real"
SIZE = 160
ALL = outlines_of([*TEST_SCANS, *TRAINING_SCANS])


def box(low: float, high: float) -> Polygon:
    """A square about the center of the drawn slice."""
    return ((low, low), (high, low), (high, high), (low, high))


def within(low: int, high: int) -> tuple[slice, slice]:
    return slice(low, high + 1), slice(low, high + 1)


def torso() -> NDArray[np.float32]:
    """Squares: skin, fat, muscle from 40 to 119, visceral fat from 60 to 99; an arm apart."""
    hu = np.full((SIZE, SIZE), -1000, np.float32)
    hu[within(18, 141)] = 30  # skin
    hu[within(20, 139)] = -100
    hu[within(40, 119)] = 50
    hu[within(60, 99)] = -100
    hu[30:130, 2:10] = -100  # an arm
    return hu


DRAWN = Outline("none", 0, 0.0, "L3", box(40, 119), box(60, 99))


def test_tissues_are_told_by_place_and_density():
    labels = label_mask(torso(), DRAWN)
    assert labels[80, 50] == 1
    assert labels[80, 30] == 2
    assert labels[80, 80] == 3
    assert not labels[:, :12].any()  # the arm
    assert not labels[18:20].any()  # skin


@pytest.mark.parametrize("off", [-1.0, 1.0])
def test_a_line_that_is_a_pixel_off_changes_nothing_but_its_corners(off):
    exact = label_mask(torso(), DRAWN)
    other = replace(
        DRAWN, wall_outer=box(40 - off, 119 + off), cavity=box(60 - abs(off), 99 + abs(off))
    )
    if off > 0:  # fat that the wall's line takes in goes back to where it belongs
        np.testing.assert_array_equal(label_mask(torso(), other)[:59], exact[:59])
    else:  # muscle that it cuts off is lost
        assert (label_mask(torso(), other) == 1).sum() < (exact == 1).sum()


def test_fat_deep_between_muscles_has_no_label():
    hu = torso()
    hu[70:90, 46:54] = -80
    assert not label_mask(hu, DRAWN)[70:90, 46:54].any()


def test_bowel_is_no_fat():
    hu = torso()
    hu[75:80, 75:80] = -900  # gas, whose edge is as light as fat
    hu[85:90, 85:90] = -60  # contents as light as fat
    contents = ((84.0, 84.0), (91.0, 84.0), (91.0, 91.0), (84.0, 91.0))
    labels = label_mask(hu, replace(DRAWN, not_visceral=(contents,)))
    assert not labels[74:81, 75:80].any()
    assert not labels[84:92, 84:92].any()
    assert labels[70, 70] == 3


def test_what_is_excluded_is_no_muscle():
    bone = ((44.0, 70.0), (56.0, 70.0), (56.0, 90.0), (44.0, 90.0))
    labels = label_mask(torso(), replace(DRAWN, not_muscle=(bone,)))
    assert not labels[70:91, 44:57].any()


def test_a_slice_of_air_is_refused():
    with pytest.raises(ImageError, match="air alone"):
        label_mask(np.full((SIZE, SIZE), -1000), DRAWN)


def test_an_outline_that_lacks_something_is_refused(tmp_path):
    path = tmp_path / "scan" / "001.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"z_mm": 1, "level": "L3", "wall_outer": [[0, 0], [1, 1]]}))
    with pytest.raises(TrainingSetError, match=r"scan/001\.json"):
        read_outline(path)


def test_nobody_both_trains_and_judges():
    assert not set(TRAINING_SCANS) & set(TEST_SCANS)
    folders = {path.name for path in OUTLINES.iterdir() if path.is_dir()}
    assert folders == {*TRAINING_SCANS, *TEST_SCANS}


@pytest.mark.parametrize("outline", ALL, ids=lambda o: f"{o.scan}-{o.slice_index}")
def test_the_cavity_lies_within_the_wall(outline):
    outer, inner = np.array(outline.wall_outer), np.array(outline.cavity)
    assert (outer.min(0) < inner.min(0)).all()
    assert (outer.max(0) > inner.max(0)).all()
    assert outer.min() >= 0
    assert outer.max() <= 511


@pytest.fixture(scope="module")
def real() -> Path:
    if not (REAL / "torso_ct").is_dir():
        pytest.skip("no folder shared/real with real scans beside the checkout")
    return REAL.resolve()


def test_real_slices_have_plausible_tissues(real):
    found = {}
    for outline, volume, labels in outlined_slices(real, TEST_SCANS):
        hu = volume.hu[0]
        assert labels.shape == hu.shape
        found[outline.level] = [int((labels == label).sum()) for label in (1, 2, 3)]
        assert 30 < np.median(hu[labels == 1]) < 75
        for fat in (2, 3):
            assert -115 < np.median(hu[labels == fat]) < -85
    assert found["L3"] == pytest.approx([15357, 23630, 13943], rel=0.002)
    assert list(found) == ["L5", "L4", "L3/L4", "L3", "L2/L3", "L2", "L1"]


def test_another_scan_of_that_name_is_refused(real, tmp_path):
    (tmp_path / "torso_ct").symlink_to(real / "chest_noncontrast")
    with pytest.raises(ImageError, match="torso_ct: expected slice 34"):
        next(outlined_slices(tmp_path, TEST_SCANS))
