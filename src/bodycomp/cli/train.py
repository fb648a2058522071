"""``bodycomp train``: both trainings, with the option names that users of the method know."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass

from bodycomp.cli.option_parser import Command, CommandGroup
from bodycomp.cli.terminal import share_cores
from bodycomp.options import option
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


@dataclass(frozen=True)
class DryRunOptions:
    """Whether the training is only estimated."""

    dry_run: bool = option(
        False,
        "--dry-run --dry_run",
        group="the run",
        help="check the data, build the network, do a few steps, estimate the time, memory and "
        "disk that the run would take, and write nothing",
    )


@dataclass(frozen=True)
class OldOptions:
    """What old command lines of the segmentation have."""

    apply_window_function: bool = option(
        False,
        "--apply_window_function -p",
        group="the U-Net and its classes",
        help="accepted for old command lines; the window (level 40, width 400 HU) is part "
        "of every model's preprocessing and always on",
    )


def run(options: RunOptions, dry: DryRunOptions, _: OldOptions | None = None) -> int:
    """Train, or estimate what a training would take."""
    share_cores()
    from bodycomp.interface import sets

    is_told = logging.getLogger("bodycomp").isEnabledFor(logging.INFO)
    if dry.dry_run:
        sys.stdout.write("\n".join(sets.dry_run(options, is_told)) + "\n")
    elif isinstance(options, SegmentationOptions):
        sets.train_segmentation.run(options, is_told)
    elif isinstance(options, SliceSelectionOptions):
        sets.train_slice_selection.run(options, is_told)
    return 0


def _training(description: str, *kinds: type) -> tuple[str, Command]:
    return description.split("\n\n", maxsplit=1)[0], Command(
        options=kinds, run=run, description=description, epilog=EPILOG
    )


COMMAND = CommandGroup(
    commands={
        "segmentation": _training(
            SEGMENTATION_DESCRIPTION, SegmentationOptions, DryRunOptions, OldOptions
        ),
        "slice-selection": _training(
            SLICE_SELECTION_DESCRIPTION, SliceSelectionOptions, DryRunOptions
        ),
    },
    title="networks",
    metavar="NETWORK",
)
