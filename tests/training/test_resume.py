"""A training that was killed or interrupted and resumed ends as one that never was."""

from __future__ import annotations

import csv
import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bodycomp.errors import InputNotFoundError, OutputError, UsageError
from bodycomp.training.fit import train_segmentation, train_slice_selection
from support.factories import make_slice_set

TIMINGS = {"images_per_s", "elapsed_s"}

SIGNAL_IN_STEP = """
import json, logging, os, sys
from bodycomp.cli import main
from bodycomp.training.steps.training import Training

task, step, number, *arguments = sys.argv[1:]
plain_observe = Training.observe

def deadly_observe(self, loss):
    plain_observe(self, loss)
    if self.state.step == int(step):
        os.kill(os.getpid(), int(number))

Training.observe = deadly_observe
sys.exit(main(["train", task, *arguments]))
"""
"""Sends a signal to itself within a step; SIGKILL leaves no chance to tidy up."""


def unet_arguments(options) -> list[str]:
    return [
        *(options.data_dir, options.output_dir, "-a", options.name),
        *("-e", options.epochs, "-b", options.batch_size, "-C", 2, 4, "-M", 2),
    ]


def densenet_arguments(options) -> list[str]:
    return [
        *(options.data_dir, options.output_dir, "-a", options.name, "-L", "L3", "T8"),
        *("-e", options.epochs, "-b", options.batch_size, "--nb_blocks", 2),
        *(
            "--nb_layers_per_block",
            1,
            "--nb_initial_filters",
            4,
            "--growth_rate",
            4,
            "--image_size",
            options.image_size,
        ),
    ]


def read_rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in rows]


def assert_same_run(run: Path, other: Path) -> None:
    """The same weights, optimiser, best model and metrics, bit for bit."""
    states = [
        torch.load(path / "checkpoints" / "last.ckpt", weights_only=True) for path in (run, other)
    ]
    for name, weight in states[0]["state_dict"].items():
        torch.testing.assert_close(weight, states[1]["state_dict"][name], rtol=0, atol=0, msg=name)
    for name, average in states[0]["bodycomp_average"].items():
        assert torch.equal(average, states[1]["bodycomp_average"][name]), name
    moments = [state["optimizer_states"][0]["state"] for state in states]
    assert moments[0].keys() == moments[1].keys()
    for key, values in moments[0].items():
        for name, value in values.items():
            assert torch.equal(value, moments[1][key][name]), (key, name)
    weights = [path / "model" / "weights.safetensors" for path in (run, other)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert read_rows(run) == read_rows(other)


def exit_state(run: Path) -> str:
    return json.loads((run / "manifest.json").read_text(encoding="utf-8"))["exit_state"]


@pytest.mark.slow
def test_segmentation_killed_in_an_epoch_ends_as_if_it_never_was(tiny_unet_512, run_python):
    options = tiny_unet_512(name="killed")
    done = run_python(
        SIGNAL_IN_STEP, "segmentation", 4, int(signal.SIGKILL), *unet_arguments(options)
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    killed = options.output_dir / "killed"
    assert exit_state(killed) == "running"
    assert len(read_rows(killed)) == 1  # killed in the second of two epochs
    train_segmentation(replace(options, resume=True))
    assert exit_state(killed) == "finished"
    assert_same_run(killed, train_segmentation(tiny_unet_512(name="whole")))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "step"), [(signal.SIGINT, 130, 4), (signal.SIGTERM, 143, 5)]
)
def test_slice_selection_interrupted_in_good_order(tiny_densenet, run_python, number, code, step):
    """Step 4 lies within an epoch, step 5 is the last of one: the judging is put off as well."""
    options = tiny_densenet(name="interrupted")
    done = run_python(
        SIGNAL_IN_STEP, "slice-selection", step, int(number), *densenet_arguments(options)
    )
    assert done.returncode == code, done.stderr
    assert "--resume" in done.stderr
    interrupted = options.output_dir / "interrupted"
    assert exit_state(interrupted) == "interrupted"
    checkpoint = torch.load(interrupted / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["bodycomp"]["step"] == step + 1  # the running step was finished
    train_slice_selection(replace(options, resume=True))
    assert_same_run(interrupted, train_slice_selection(tiny_densenet(name="whole")))


def test_resume_of_a_finished_run_changes_nothing(tiny_densenet):
    run = train_slice_selection(tiny_densenet())
    before = (run / "metrics.csv").read_bytes()
    assert train_slice_selection(tiny_densenet(resume=True)) == run
    assert (run / "metrics.csv").read_bytes() == before


def test_resume_with_more_epochs_goes_on(tiny_densenet):
    run = train_slice_selection(tiny_densenet(epochs=1))
    train_slice_selection(tiny_densenet(epochs=2, resume=True))
    assert [row["epoch"] for row in read_rows(run)] == ["0", "1"]


def test_resume_refuses_other_options_and_other_data(tiny_densenet, tmp_path):
    train_slice_selection(tiny_densenet(epochs=1))
    with pytest.raises(UsageError, match="batch_size was 4, now 3"):
        train_slice_selection(tiny_densenet(epochs=1, resume=True, batch_size=3))
    other = make_slice_set(
        tmp_path / "other", {"train": 8, "val": 8}, levels=("L3", "T8"), sizes=((64, 64),), seed=1
    )
    with pytest.raises(UsageError, match="not the one that this run began with"):
        train_slice_selection(tiny_densenet(epochs=1, resume=True, data_dir=other))


def test_existing_run_is_refused_and_a_missing_one_not_resumed(tiny_densenet):
    run = train_slice_selection(tiny_densenet(epochs=1))
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    with pytest.raises(OutputError, match="a run of this name exists"):
        train_slice_selection(tiny_densenet(epochs=1))
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    with pytest.raises(InputNotFoundError, match="expected a run to continue"):
        train_slice_selection(tiny_densenet(name="absent", resume=True))
