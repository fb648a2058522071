"""What a person is told of a training before, during and after it."""

from __future__ import annotations

import logging
import shlex
import signal
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from bodycomp.cli import build_parser, main
from bodycomp.cli.option_parser import read_options
from bodycomp.errors import OutputError, RunInterruptedError, UsageError
from bodycomp.networks.unet import UNet, UNetConfig
from bodycomp.training.dry_run import dry_run
from bodycomp.training.fit import train_slice_selection
from bodycomp.training.loggers import check_loggers
from bodycomp.training.options import RunOptions, command_line
from bodycomp.training.progress import Pace, Work
from bodycomp.training.steps.training import Training
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions

PLACES = {"data_dir": Path("my data"), "output_dir": Path("models")}


@pytest.mark.parametrize(
    "options",
    [
        SegmentationOptions(**PLACES),
        SegmentationOptions(**PLACES, name="a", thoracic=True, loggers=("mlflow", "wandb")),
        SegmentationOptions(**PLACES, arch="patch_unet", augmentation=False),
        SliceSelectionOptions(**PLACES, levels=("T5", "L3"), omit_batch_norm=True, max_minutes=2.5),
        SliceSelectionOptions(
            **PLACES, load_weights=Path("m.hdf5"), batch_size=3, resume=True, name="b"
        ),
    ],
    ids=lambda options: options.name or options.task,
)
def test_a_command_line_gives_the_options_that_it_was_made_of(options: RunOptions):
    _, *words = shlex.split(command_line(options))
    parsed = build_parser().parse_args(words)
    assert read_options(parsed, type(options)) == options


def test_the_time_left_counts_steps_and_validations_but_not_the_first_slow_step():
    pace = Pace()
    for seconds in (60.0, 2.0, 4.0):
        pace.add(seconds)
    assert pace.step_s == 3.0
    work = Work(steps=11, steps_per_epoch=10, step_s=3.0, validation_s=5.0)
    assert work.seconds() == 11 * 3 + 2 * 5
    assert work.seconds(allowed_s=20) == 20
    assert work.seconds(allowed_s=-1) == 0


def test_a_dry_run_writes_nothing_and_says_what_to_type(tiny_unet, capsys):
    options = tiny_unet(max_minutes=0.5, gpus=0)
    words = shlex.split(command_line(options))
    assert main([*words[1:], "--dry-run"]) == 0
    said = capsys.readouterr().out
    for expected in ("5 train, 3 val, 2 test", "million parameters", "images/s", "GB", "epoch"):
        assert expected in said
    assert said.splitlines()[-1].strip() == command_line(options)
    assert not options.output_dir.exists()


def test_a_dry_run_refuses_what_the_training_would(tiny_densenet):
    options = tiny_densenet(gpus=0)
    (options.output_dir / options.name).mkdir(parents=True)
    with pytest.raises(OutputError, match="a run of this name exists"):
        dry_run(options)


@pytest.mark.usefixtures("pictures")
def test_lines_and_summary_tell_how_far_a_run_is_and_what_comes_next(tiny_densenet, caplog):
    caplog.set_level(logging.INFO, logger="bodycomp")
    options = tiny_densenet(epochs=2)
    run = train_slice_selection(options)
    lines = [record.message for record in caplog.records]
    (first,) = [line for line in lines if line.startswith("epoch 0/1")]
    assert "images/s" in first
    assert "mean error" in first
    assert " left" in first
    said = "\n".join(lines[lines.index(first) :])
    for expected in ("best epoch", "on the test split", str(run / "curves.png"), "tensorboard"):
        assert expected in said
    more = replace(options, resume=True, epochs=4)
    assert command_line(more) in said
    assert "bodycomp analyze" in said


def test_an_interrupted_run_says_how_to_go_on(tiny_densenet, caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="bodycomp")
    plain_begin = Training.begin_step

    def begin(self):
        self.signals.received = signal.SIGTERM
        plain_begin(self)

    monkeypatch.setattr(Training, "begin_step", begin)
    options = tiny_densenet()
    with pytest.raises(RunInterruptedError):
        train_slice_selection(options)
    assert "Interrupted after step 1 of 9" in caplog.text
    assert command_line(replace(options, resume=True)) in caplog.text


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_logger_that_is_not_installed_is_refused_with_the_way_to_get_it(name):
    if find_spec(name) is not None:
        pytest.skip(f"{name} is installed")
    with pytest.raises(UsageError, match=name) as caught:
        check_loggers((name,))
    assert caught.value.hint == f"pip install 'bodycomp[{name}]'"


@pytest.mark.skipif(find_spec("mlflow") is None, reason="no MLflow: pip install 'bodycomp[mlflow]'")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_gets_the_metrics_and_no_place(tiny_densenet, tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - the package may be missing

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    train_slice_selection(tiny_densenet(epochs=2, loggers=("mlflow",)))
    client = MlflowClient((tmp_path / "mlruns").as_uri())
    (experiment,) = [e for e in client.search_experiments() if e.name == "bodycomp"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert len(client.get_metric_history(run.info.run_id, "val_loss")) == 2
    told = str(run.data.params) + str(run.data.tags)
    assert str(tmp_path) not in told


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_compiling_on_a_cpu_is_refused(tiny_densenet):
    with pytest.raises(UsageError, match="--compile on is for GPUs"):
        train_slice_selection(tiny_densenet(compile="on"))


def test_compiling_in_place_keeps_the_names_of_weights():
    network = UNet(UNetConfig(compression_channels=(2, 4), decompression_channels=(2,)))
    names = list(network.state_dict())
    network.compile(backend="eager", dynamic=False)
    assert list(network.state_dict()) == names
