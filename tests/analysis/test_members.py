"""What the members of an ensemble say alone: positions, areas, and the flag where they disagree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bodycomp.analysis.inference import NetworkSegmenter, NetworkSliceScorer
from bodycomp.analysis.pipeline import Analyzer
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.volume import Volume
from bodycomp.networks.card import ModelCard
from bodycomp.networks.checkpoint import Model
from bodycomp.networks.ensemble import Ensemble
from bodycomp.results import LevelStatus
from bodycomp.scan import Scan

SIZE, SLICES, STEP_MM = 32, 40, 4.0


class Squares(nn.Module):
    """Labels a square in the middle as muscle; counts the slices that it sees."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side, self.seen = side, 0

    def forward(self, images):
        self.seen += len(images)
        logits = torch.zeros(len(images), 4, SIZE, SIZE)
        logits[:, 0] = 4.0
        near = slice((SIZE - self.side) // 2, (SIZE + self.side) // 2)
        logits[:, 1, near, near] = 8.0
        return logits


class Brightness(nn.Module):
    """Takes a slice's grey for its height, and finds the level somewhere."""

    def __init__(self, at_mm: float) -> None:
        super().__init__()
        self.at_mm, self.seen = at_mm, 0

    def forward(self, images):
        self.seen += len(images)
        heights_mm = images.mean(dim=(2, 3)) / images.new_tensor(255.0) * 400 - 200
        return (heights_mm - self.at_mm) / 10


def segmenter(*sides: int) -> NetworkSegmenter:
    card = ModelCard(
        task="segmentation",
        architecture="ensemble",
        config={},
        preprocessing=Preprocessing((SIZE, SIZE), input_max=255.0),
        tissues=ABDOMINAL_TISSUES,
    )
    return NetworkSegmenter(ensemble(card, [Squares(side) for side in sides]), device="cpu")


def ensemble(card: ModelCard, members: list[nn.Module]) -> Model:
    return Model(Ensemble(members, card.task), card, "0" * 64)


def scorer(*places_mm: float) -> NetworkSliceScorer:
    return scorer_of([Brightness(place) for place in places_mm])


def scorer_of(members: list[nn.Module]) -> NetworkSliceScorer:
    card = ModelCard(
        task="slice_selection",
        architecture="ensemble",
        config={},
        preprocessing=Preprocessing((SIZE, SIZE), input_max=255.0),
        levels=("L3",),
        target_scale_mm=10.0,
    )
    return NetworkSliceScorer(ensemble(card, members), device="cpu")


@pytest.fixture
def scan() -> Scan:
    """Slices whose HU are their z in mm plus 40, all within the window."""
    z_mm = np.arange(SLICES) * STEP_MM - 80
    hu = np.broadcast_to((z_mm + 40)[:, None, None], (SLICES, SIZE, SIZE)).astype(np.int16)
    return Scan(Volume(np.ascontiguousarray(hu), (10.0, 10.0), z_mm))


def analyzed(scan: Scan, sides=(20, 20, 20), places_mm=(10.0, 10.0, 10.0)):
    found = Analyzer(scorer(*places_mm), segmenter(*sides)).analyze(scan)["L3"]
    assert found.choice.status is LevelStatus.FOUND
    return found


def flags(level) -> list[str]:
    return [flag.message for flag in level.flags if flag.key == "members_disagree"]


def test_members_that_agree_are_shown_without_a_flag(scan: Scan):
    level = analyzed(scan)
    assert level.choice.members_z_mm == pytest.approx((10.0,) * 3, abs=0.2)
    muscle = level.measurements["muscle"]
    assert muscle.members_low_cm2 == muscle.area_cm2 == muscle.members_high_cm2 == 400.0
    assert not flags(level)


def test_one_member_far_off_moves_nothing_and_raises_the_flag(scan: Scan):
    level = analyzed(scan, sides=(20, 20, 12), places_mm=(10.0, 11.0, 38.0))
    assert level.choice.z_mm == pytest.approx(11.0, abs=0.5)
    assert level.choice.members_spread_mm == pytest.approx(28.0, abs=0.5)
    muscle = level.measurements["muscle"]
    assert (muscle.members_low_cm2, muscle.area_cm2, muscle.members_high_cm2) == (144, 400, 400)
    assert flags(level) == [
        "members place the level 28 mm apart",
        "by single members muscle has 144 to 400 cm2",
    ]
    (areas,) = [flag for flag in level.flags if flag.value == pytest.approx(0.64)]
    assert areas.affects == ("muscle_",)


def test_members_that_miss_the_level_are_counted(scan: Scan):
    level = analyzed(scan, places_mm=(10.0, 10.0, 500.0))
    assert level.choice.members_z_mm[2] is None
    assert flags(level) == ["1 of 3 members do not find the level"]


def test_small_areas_may_differ(scan: Scan):
    small = replace(scan, volume=replace(scan.volume, pixel_spacing_mm=(1.0, 1.0)))
    level = analyzed(small, sides=(20, 20, 16))
    assert level.measurements["muscle"].members_low_cm2 == pytest.approx(2.56)
    assert not flags(level)


def test_each_member_sees_a_slice_once(scan: Scan):
    three, alone = [Brightness(10.0) for _ in range(3)], Brightness(10.0)
    for members in (three, [alone]):
        Analyzer(scorer_of(members), segmenter(20, 16)).analyze(scan)
    assert [member.seen for member in three] == [alone.seen] * 3
