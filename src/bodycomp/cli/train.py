"""``bodycomp train``: both trainings, with the option names that users of the method know."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from bodycomp.cli.option_parser import add_command, add_options, read_options
from bodycomp.cli.threads import share_cores
from bodycomp.training.options import RunOptions
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions

SEGMENTATION_DESCRIPTION = """\
Train the network that labels muscle, subcutaneous fat and visceral fat on axial CT slices.

DATA_DIR holds train_images.npy, train_masks.npy, val_images.npy and val_masks.npy: arrays of
N x 512 x 512 x 1, images in raw Hounsfield units (signed integers of 16 bits or more, or floating
point), masks uint8 with 0 background, 1 muscle, 2 subcutaneous fat, 3 visceral fat. With
test_images.npy and test_masks.npy the best model is scored on them once, at the end."""

SLICE_SELECTION_DESCRIPTION = """\
Train the network that finds levels such as L3, by how far each axial CT slice lies from them.

DATA_DIR holds images/train/000000.png ... and images/val/000000.png ..., 8-bit grey, HU windowed
at level 40 width 400; and meta/train.csv and meta/val.csv, one row per slice, with a column
ZOffset_<level> in mm for every level (plain ZOffset will do for a single one): positive above the
level (towards the head), negative below, empty where nobody looked. With images/test and
meta/test.csv the best model is scored on them once, at the end."""

EPILOG = """\
The run's folder MODEL_OUTPUT_DIR/NAME receives the best model (model/), learning curves, example
pictures, metrics.csv, TensorBoard files, a manifest, and checkpoints to resume from. Ctrl-C ends in
good order after the current step; the same command with --resume continues as if nothing had
happened.

--dry-run writes nothing: it estimates how much time, memory and disk the run would take."""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Make the parser of this command."""
    tasks = parser.add_subparsers(title="networks", metavar="NETWORK", required=True)
    for name, kind, description in (
        ("segmentation", SegmentationOptions, SEGMENTATION_DESCRIPTION),
        ("slice-selection", SliceSelectionOptions, SLICE_SELECTION_DESCRIPTION),
    ):
        task = add_command(tasks, name, description.split("\n\n", maxsplit=1)[0])
        task.description, task.epilog = description, EPILOG
        groups = add_options(task, kind)
        groups["the run"].add_argument(
            "--dry-run",
            "--dry_run",
            action="store_true",
            help="check the data, build the network, do a few steps, estimate the time, memory and "
            "disk that the run would take, and write nothing",
        )
        if kind is SegmentationOptions:
            groups["the U-Net and its classes"].add_argument(
                "--apply_window_function",
                "-p",
                action="store_true",
                help="accepted for old command lines; the window (level 40, width 400 HU) is part "
                "of every model's preprocessing and always on",
            )
        task.set_defaults(run=partial(run, kind))


def run(kind: type[RunOptions], arguments: argparse.Namespace) -> int:
    """Train, or estimate what a training would take."""
    options = read_options(arguments, kind)
    share_cores()
    if arguments.dry_run:
        from bodycomp.training.dry_run import dry_run

        sys.stdout.write("\n".join(dry_run(options).lines()) + "\n")
        return 0
    from bodycomp.interface.runs import run_training

    run_training(options)
    return 0
