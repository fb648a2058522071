"""A slice on which the labels lie on several bodies is no slice through the trunk."""

import numpy as np
import pytest

from bodycomp.analysis.level_measuring import LevelMeasurer
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.imaging.volume import Volume
from bodycomp.results import LevelStatus, SliceChoice
from bodycomp.scan import Scan

SHAPE = (100, 200)


def discs(*circles):
    """Return a slice of 2 mm pixels with discs of soft tissue: middle column and radius in mm."""
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    body = np.zeros(SHAPE, bool)
    for column_mm, radius_mm in circles:
        body |= np.hypot(rows * 2.0 - 100, columns * 2.0 - column_mm) < radius_mm
    return np.where(body, 40, -1000).astype(np.int16)


def measured(*circles, by_hand=False):
    hu = np.stack([discs(*circles)] * 3)
    volume = Volume(hu, (2.0, 2.0), np.array([0.0, 5.0, 10.0]))
    zeros = np.zeros(3, np.float32)
    choice = SliceChoice("L3", LevelStatus.FOUND, "", 1, 5.0, zeros, zeros, 1, confidence=0.9)
    measurer = LevelMeasurer(Scan(volume), ABDOMINAL_TISSUES, 0.0, by_hand=by_hand)
    return measurer.measure(choice, {1: (hu[1] > 0).astype(np.uint8)})


def test_neck_between_two_arms_is_refused():
    level = measured((200, 50), (80, 40), (320, 40))  # 56 % of the labels on the arms

    assert level.choice.status is LevelStatus.UNCERTAIN
    assert "56% of what is labelled there lies outside the trunk" in level.choice.reason
    assert level.choice.z_mm is None
    assert level.choice.confidence is None
    assert not level.measurements
    assert not level.masks


@pytest.mark.parametrize("circles", [[(200, 90)], [(200, 90), (50, 30), (350, 30)]])
def test_trunk_with_or_without_forearms_is_measured(circles):
    level = measured(*circles)

    assert level.choice.status is LevelStatus.FOUND
    assert level.measurements["muscle"].area_cm2 > 200


def test_what_a_person_chose_is_measured():
    level = measured((200, 50), (80, 40), (320, 40), by_hand=True)

    assert level.choice.status is LevelStatus.FOUND
    assert level.measurements["muscle"].area_cm2 > 100
