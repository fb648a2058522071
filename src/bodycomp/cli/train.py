"""``bodycomp train``: both trainings, with the option names that users of the method know."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from bodycomp.cli.threads import share_cores
from bodycomp.cli.train_options import (
    add_run_options,
    add_segmentation_options,
    add_slice_selection_options,
)
from bodycomp.training.options import RunOptions, SegmentationOptions, SliceSelectionOptions

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
pictures, metrics.csv, TensorBoard files, a manifest, and checkpoints to go on from. Ctrl-C ends in
good order after the current step; the same command with --resume goes on as if nothing had been.

--dry-run writes nothing: it tells how long the run would take, and how much memory and disk."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``bodycomp``."""
    train = subparsers.add_parser("train", help="train a network on your own scans")
    tasks = train.add_subparsers(title="networks", metavar="NETWORK", required=True)
    segmentation = _task_parser(tasks, "segmentation", SEGMENTATION_DESCRIPTION)
    add_run_options(segmentation, SegmentationOptions)
    add_segmentation_options(segmentation)
    slice_selection = _task_parser(tasks, "slice-selection", SLICE_SELECTION_DESCRIPTION)
    add_run_options(slice_selection, SliceSelectionOptions)
    add_slice_selection_options(slice_selection)


def run_segmentation(arguments: argparse.Namespace) -> int:
    """Train a segmentation model."""
    options = SegmentationOptions(**_values(arguments, SegmentationOptions))
    share_cores()
    if arguments.dry_run:
        return _try(options)
    from bodycomp.training.fit import train_segmentation

    train_segmentation(options)
    return 0


def run_slice_selection(arguments: argparse.Namespace) -> int:
    """Train a slice-selection model."""
    options = SliceSelectionOptions(**_values(arguments, SliceSelectionOptions))
    share_cores()
    if arguments.dry_run:
        return _try(options)
    from bodycomp.training.fit import train_slice_selection

    train_slice_selection(options)
    return 0


def _try(options: RunOptions) -> int:
    """Tell what a training would take."""
    from bodycomp.training.dry_run import dry_run

    sys.stdout.write("\n".join(dry_run(options).lines()) + "\n")
    return 0


def _values(arguments: argparse.Namespace, options: type[RunOptions]) -> dict[str, Any]:
    """Return the values of the options class's fields, lists as tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(arguments).items()
        if name in options.__dataclass_fields__
    }


def _task_parser(
    tasks: argparse._SubParsersAction[argparse.ArgumentParser], name: str, description: str
) -> argparse.ArgumentParser:
    parser = tasks.add_parser(
        name,
        help=description.split("\n\n", maxsplit=1)[0],
        description=description,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run_segmentation if name == "segmentation" else run_slice_selection)
    return parser
