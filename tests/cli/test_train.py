"""The two training commands: every option of the contract, by both of its names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import bodycomp.cli
from bodycomp.cli import main
from bodycomp.cli.option_parser import read_options
from bodycomp.training.options import RunOptions
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions
from support.factories import make_segmentation_set

BIN = Path(__file__).parents[2] / "bin"
COMMANDS = {"segmentation": SegmentationOptions, "slice-selection": SliceSelectionOptions}

# name, short form, arguments, field, value: the contract's table
BOTH = [
    ("--name", "-a", ["x"], "name", "x"),
    ("--epochs", "-e", ["7"], "epochs", 7),
    ("--batch_size", "-b", ["3"], "batch_size", 3),
    ("--learning_rate", "-l", ["0.5"], "learning_rate", 0.5),
    ("--gpus", "-g", ["2"], "gpus", 2),
    ("--load_weights", "-w", ["m.hdf5"], "load_weights", Path("m.hdf5")),
    ("--activation", "-A", ["swish"], "activation", "swish"),
]
SEGMENTATION = [
    *BOTH,
    ("--thoracic_model", "-t", [], "thoracic", True),
    ("--decay_half_time", "-d", ["9"], "decay_half_time", 9.0),
    ("--compression_channels", "-C", ["4", "8"], "compression_channels", (4, 8)),
    ("--decompression_channels", "-M", ["4"], "decompression_channels", (4,)),
    ("--num_convs", "-N", ["2"], "num_convs", 2),
]
SLICE_SELECTION = [
    *BOTH,
    ("--levels", "-L", ["T5", "T8", "T10", "L3"], "levels", ("T5", "T8", "T10", "L3")),
    ("--threshold", "-t", ["12.5"], "threshold", 12.5),
    ("--image_size", None, ["128"], "image_size", 128),
    ("--initial_epoch", "-i", ["4"], "initial_epoch", 4),
    ("--nb_layers_per_block", None, ["5"], "nb_layers_per_block", 5),
    ("--nb_blocks", None, ["3"], "nb_blocks", 3),
    ("--nb_initial_filters", None, ["8"], "nb_initial_filters", 8),
    ("--growth_rate", None, ["6"], "growth_rate", 6),
    ("--compression_rate", None, ["1.0"], "compression_rate", 1.0),
    ("--initializer", "-I", ["he_normal"], "initializer", "he_normal"),
    ("--omit_batch_norm", "-B", [], "omit_batch_norm", True),
]
DEFAULTS = {
    "segmentation": {
        "epochs": 100,
        "batch_size": 4,  # it was 16: see docs/development/performance.md, Time to quality
        "gpus": 1,
        "activation": "relu",
        "decay_half_time": 20,
        "compression_channels": (16, 32, 64, 128, 256, 512),
        "decompression_channels": (256, 128, 64, 32, 16),
        "num_convs": 1,
        "thoracic": False,
    },
    "slice-selection": {
        "epochs": 100,
        "batch_size": 16,
        "gpus": 1,
        "levels": ("L3",),
        "threshold": 10.0,
        "initial_epoch": 0,
        "nb_layers_per_block": 12,
        "nb_blocks": 4,
        "nb_initial_filters": 16,
        "growth_rate": 12,
        "compression_rate": 0.5,
        "initializer": "glorot_uniform",
        "omit_batch_norm": False,
    },
}


def parse(command: str, *arguments: str) -> RunOptions:
    parsed = bodycomp.cli.build_parser().parse_args(["train", command, "data", "out", *arguments])
    return read_options(parsed, COMMANDS[command])


@pytest.mark.parametrize(
    ("command", "row"),
    [("segmentation", row) for row in SEGMENTATION]
    + [("slice-selection", row) for row in SLICE_SELECTION],
    ids=lambda value: value[0] if isinstance(value, tuple) else value,
)
def test_options_keep_their_names_and_short_forms(command: str, row: tuple) -> None:
    name, short, arguments, field, value = row
    for flag in filter(None, (name, short)):
        assert getattr(parse(command, flag, *arguments), field) == value, flag


@pytest.mark.parametrize("command", COMMANDS)
def test_defaults_are_those_that_users_had_but_where_ours_is_better(command: str) -> None:
    options = parse(command)
    assert {key: getattr(options, key) for key in DEFAULTS[command]} == DEFAULTS[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_line_and_python_have_the_same_defaults(command: str) -> None:
    assert parse(command) == COMMANDS[command](data_dir=Path("data"), output_dir=Path("out"))


def test_the_window_flag_of_old_command_lines_changes_nothing() -> None:
    for flag in ("-p", "--apply_window_function"):
        assert parse("segmentation", flag) == parse("segmentation")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_where_a_default_differs_from_before(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["train", command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert {"segmentation": "it was 0.1", "slice-selection": "it was 1e-4"}[command] in text
    assert ("it was 16" in text) == (command == "segmentation")
    assert "mm" in text if command == "slice-selection" else "Hounsfield units" in text
    assert "MODEL_OUTPUT_DIR/NAME" in text


@pytest.mark.parametrize("script", ["train_segmentation.py", "train_slice_selection.py"])
def test_the_old_script_names_work_from_a_checkout(script: str) -> None:
    if not BIN.is_dir():
        pytest.skip("the scripts are part of a checkout")
    path = BIN / script
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 15
    done = subprocess.run(
        [sys.executable, "-I", path, "--help"], capture_output=True, text=True, check=True
    )
    assert "DATA_DIR" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-e", "0"], 2, "--epochs of at least 1, found 0"),
        (["-a", "../x"], 2, "plain folder name"),
        (["-g", "99"], 2, "found 99"),
        ([], 1, "train_images.npy"),
    ],
)
def test_refusals_reach_the_terminal(arguments, code, said, tmp_path, capsys) -> None:
    data = tmp_path / "data"
    data.mkdir()
    assert main(["train", "segmentation", str(data), str(tmp_path / "out"), *arguments]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_training_from_the_command_line(tmp_path, capsys) -> None:
    data = make_segmentation_set(tmp_path / "data", {"train": 2, "val": 1})
    command = ["train", "segmentation", str(data), str(tmp_path / "out"), "-a", "run", "-e", "1"]
    assert main([*command, "-b", "2", "-C", "2", "4", "-M", "2", "-g", "0"]) == 0
    assert (tmp_path / "out" / "run" / "model" / "card.json").is_file()
    assert main(command) == 1
    assert "--resume" in capsys.readouterr().err
