"""The batch size that memory holds is found by trial steps."""

from __future__ import annotations

import json

import pytest

from bodycomp.cli import main
from bodycomp.errors import UsageError
from bodycomp.networks.allocator import keep_freed_memory
from bodycomp.training.fit import train_segmentation, train_slice_selection
from bodycomp.training.machine import memory
from bodycomp.training.machine.devices import choose_devices
from bodycomp.training.options import AUTO_BATCH_SIZE
from bodycomp.training.segmentation import SegmentationTask
from bodycomp.training.starting_point import starting_network
from bodycomp.training.steps import trials as trial_steps
from bodycomp.training.steps.trials import StepCost, Trials, choose_batch_size

FEATURE_MAP_BYTES = 16 * 512 * 512 * 2
"""One of the feature maps that backpropagation keeps of a slice, in bfloat16."""


@pytest.fixture
def trials(tiny_unet_512):
    """A network whose memory for a slice of 512 x 512 pixels stands out of the noise."""
    options = tiny_unet_512(compression_channels=(16, 16), decompression_channels=(16,), gpus=0)
    task = SegmentationTask(options)
    network, card = starting_network(task)
    splits = task.splits(card.preprocessing)
    return Trials(task, network, splits, choose_devices(options))


def test_the_choice_follows_the_memory_and_the_trials(trials, monkeypatch):
    """Real trial steps; only the budget is set, in units of what a slice really took."""
    keep_freed_memory()
    one, two, four = (trials.cost(slices).peak_bytes for slices in (1, 2, 4))
    per_slice = two - one
    assert min(per_slice, (four - two) // 2) > FEATURE_MAP_BYTES
    monkeypatch.setattr(trial_steps, "_budget_bytes", lambda _: int(one + 1.7 * per_slice))
    assert choose_batch_size(trials) in {2, 3}
    monkeypatch.setattr(trial_steps, "_budget_bytes", lambda _: 2**50)
    assert choose_batch_size(trials) == 5  # the whole training set


@pytest.mark.parametrize(("gigabytes", "expected"), [(2, 8), (3.9, 24), (100, 256)])
def test_large_batches_are_multiples_of_eight_and_bounded(trials, monkeypatch, gigabytes, expected):
    """100 MB for a slice and 1 GB for everything else."""
    costs = {n: StepCost(1.0, 2**30 + n * 100 * 2**20) for n in (1, 2)}
    monkeypatch.setattr(Trials, "try_cost", lambda _, slices: costs[slices])
    monkeypatch.setattr(trial_steps, "_budget_bytes", lambda _: int(gigabytes * 2**30))
    monkeypatch.setattr(type(trials.splits), "sizes", lambda _: {"train": 1000})
    assert choose_batch_size(trials) == expected


def test_auto_is_written_as_the_number_found_and_resumed_with_it(tiny_densenet, monkeypatch):
    run = train_slice_selection(tiny_densenet(epochs=1, batch_size=AUTO_BATCH_SIZE))
    found = json.loads((run / "args.json").read_text(encoding="utf-8"))["batch_size"]
    assert found == 8  # of 12 samples
    monkeypatch.setattr(memory, "available_bytes", lambda: 0)  # it is not measured again
    train_slice_selection(tiny_densenet(epochs=2, batch_size=AUTO_BATCH_SIZE, resume=True))
    assert json.loads((run / "args.json").read_text(encoding="utf-8"))["batch_size"] == found
    with pytest.raises(UsageError, match="batch_size was 8, now 4"):
        train_slice_selection(tiny_densenet(epochs=2, batch_size=4, resume=True))


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_other_words_are_refused(value, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "segmentation", "data", "runs", "--batch_size", value])
    assert "a positive number or auto" in capsys.readouterr().err


def test_tiny_sets_and_networks_train_with_auto(tiny_unet):
    run = train_segmentation(tiny_unet(epochs=1, batch_size=AUTO_BATCH_SIZE))
    assert json.loads((run / "args.json").read_text(encoding="utf-8"))["batch_size"] == 5
