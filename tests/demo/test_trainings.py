"""Trainings as processes of their own: one that fails ends all, and says why."""

from pathlib import Path

import pytest

from bodycomp.cli import build_parser
from bodycomp.demo.options import DemoOptions
from bodycomp.demo.run import segmentation_training, slice_selection_training
from bodycomp.demo.trainings import DemoTraining, train_side_by_side
from bodycomp.errors import TrainingError


def test_a_failed_training_is_reported_with_its_log_and_command(tmp_path: Path) -> None:
    trainings = [
        DemoTraining(network, tmp_path / "nothing", tmp_path / "models", 1.0, ())
        for network in ("segmentation", "slice-selection")
    ]
    with pytest.raises(TrainingError) as failure:
        train_side_by_side(trainings, lambda _training, _minutes: None)
    assert "nothing" in failure.value.message
    assert "bodycomp train s" in failure.value.hint


def test_the_commands_of_the_demo_are_ones_that_users_can_type() -> None:
    options = DemoOptions(Path("out"), seed=3)
    for make in (segmentation_training, slice_selection_training):
        training = make(options, Path("cohort"), Path("models"), 2.5)
        arguments = build_parser().parse_args(training.arguments)
        assert (arguments.seed, arguments.max_minutes) == (3, 2.5)
        assert arguments.name == training.network
