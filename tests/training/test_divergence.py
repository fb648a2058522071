"""Trainings that diverge go back to the last good state, and end with advice if that is no help."""

from __future__ import annotations

import csv
import json
import logging
import re
from pathlib import Path

import pytest
import torch

from bodycomp.errors import TrainingError
from bodycomp.training.fit import train_segmentation, train_slice_selection
from bodycomp.training.segmentation import SegmentationTask
from bodycomp.training.starting_point import starting_network
from bodycomp.training.steps import divergence
from bodycomp.training.steps.divergence import DivergedError, warn_of_missed, watch_loss
from bodycomp.training.steps.evaluation_context import EvaluationContext
from bodycomp.training.steps.state import TrainingState
from bodycomp.training.steps.training import Training


def manifest(run: Path) -> dict:
    return json.loads((run / "manifest.json").read_text(encoding="utf-8"))


def rates(run: Path) -> list[float]:
    with (run / "metrics.csv").open(encoding="utf-8") as stream:
        return [float(row["learning_rate"]) for row in csv.DictReader(stream)]


@pytest.fixture
def poison(monkeypatch):
    """Writes NaN into a weight of this process in step 4, as often as is asked for."""
    plain_begin = Training.begin_step

    def inject(times: int) -> None:
        left = [times]

        def begin(self):
            if self.state.step == 4 and left[0]:
                left[0] -= 1
                next(self.network.parameters()).data.view(-1)[0] = torch.nan
            plain_begin(self)

        monkeypatch.setattr(Training, "begin_step", begin)

    return inject


@pytest.mark.parametrize(
    "processes", [1, pytest.param(2, marks=pytest.mark.slow, id="2 processes")]
)
def test_a_divergence_goes_back_and_on_with_a_smaller_rate(
    tiny_densenet, poison, caplog, processes
):
    """Steps 0 to 2 are the first epoch, whose state is kept; step 4 is one of the second."""
    poison(times=1)
    options = tiny_densenet(epochs=2, schedule="constant", gpus=0, processes=processes)
    run = train_slice_selection(options)
    assert "no longer finite in step 4" in caplog.text
    assert "going back to step 3 (last.ckpt) and on with 0.3 of the learning rate" in caplog.text
    assert rates(run) == pytest.approx([3e-3, 0.9e-3])
    facts = manifest(run)
    assert facts["exit_state"] == "finished"
    assert [(back["from_step"], back["to_step"]) for back in facts["step_backs"]] == [(4, 3)]
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(weight.isfinite().all() for weight in last["state_dict"].values())
    assert len(last["bodycomp"]["step_backs"]) == 1  # a resume keeps the smaller rate


def test_after_three_returns_it_ends_with_advice_and_a_good_state(tiny_densenet, poison):
    poison(times=9)
    options = tiny_densenet(epochs=2)
    with pytest.raises(TrainingError, match="also after 3 returns") as caught:
        train_slice_selection(options)
    assert "--learning_rate ten times smaller" in caught.value.hint
    run = options.output_dir / "run"
    facts = manifest(run)
    assert facts["exit_state"] == "failed"
    assert "no longer finite in step 4" in facts["reason"]
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["bodycomp"]["step"] == 3


def test_a_rate_that_is_far_too_large_never_reaches_a_checkpoint(tiny_densenet):
    """Real overflow: the update makes the weights huge, so that the next numbers are not finite."""
    options = tiny_densenet(
        epochs=1, batch_size=12, learning_rate=1e38, optimizer="sgd", on_divergence="stop"
    )
    with pytest.raises(
        TrainingError, match="validation loss is no longer finite in step 0"
    ) as caught:
        train_slice_selection(options)
    assert "--on_divergence step-back" in caught.value.hint
    last = torch.load(options.output_dir / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["bodycomp"]["step"] == 0


def test_a_loss_that_stays_high_is_a_divergence_and_an_odd_batch_is_none():
    state = TrainingState()
    for step in range(200):
        watch_loss(state, step, 50.0 if step == 100 else 0.3 + 0.1 * (step % 2))
    assert len(state.usual_losses) == divergence.USUAL_LOSSES
    with pytest.raises(DivergedError, match="for 20 steps up to step 219") as caught:
        for step in range(200, 300):
            watch_loss(state, step, 50.0)
    assert caught.value.first_bad_step == 200
    assert TrainingState.from_dict(state.to_dict()) == state


def test_a_state_from_before_the_divergence_is_chosen():
    kept = [divergence.Kept(Path(name), step) for name, step in (("c", 30), ("b", 20), ("a", 10))]
    choose = divergence._choose
    assert [getattr(choose(kept, bad), "step", None) for bad in (40, 30, 29, 5)] == [30, 30, 20, 10]
    assert choose([], 5) is None


def test_a_tissue_that_is_never_found_is_warned_of(tiny_unet, caplog):
    task = SegmentationTask(tiny_unet())
    network, card = starting_network(task)
    splits, state = task.splits(card.preprocessing), TrainingState()
    for weight in network.parameters():
        weight.data.zero_()
    *_, bias = network.parameters()
    bias.data[:] = torch.tensor([0.0, 1.0, 0.0, 0.0])  # everything is muscle
    context = EvaluationContext(torch.device("cpu"), "32-true", 2)
    missed = task.evaluate(network, splits.val, context).missed
    assert missed == ("subcutaneous_fat", "visceral_fat")
    for epoch in range(21):
        warn_of_missed(state, missed if epoch != 3 else missed[1:], epoch)
    warned = [
        (r.args[0].split(":")[0], re.search("of (\\w+),", r.args[0])[1]) for r in caplog.records
    ]
    assert warned == [
        ("epoch 4", "visceral_fat"),
        ("epoch 8", "subcutaneous_fat"),
        ("epoch 9", "visceral_fat"),
        ("epoch 13", "subcutaneous_fat"),
        ("epoch 19", "visceral_fat"),
    ]
    assert len(state.warnings) == 5


def test_a_training_that_goes_well_has_nothing_to_tell(tiny_unet, caplog):
    caplog.set_level(logging.WARNING)
    facts = manifest(train_segmentation(tiny_unet(epochs=1)))
    assert facts["step_backs"] == facts["warnings"] == []
    assert not caplog.records
