"""The options of both training commands, with the names that users of the method know."""

from __future__ import annotations

import argparse
from pathlib import Path

from bodycomp.networks.names import ACTIVATIONS, INITIALIZERS
from bodycomp.training.options import (
    AUTO_BATCH_SIZE,
    COMPILE,
    LOGGERS,
    ON_DIVERGENCE,
    OPTIMIZERS,
    PRECISIONS,
    RunOptions,
    SegmentationOptions,
    SliceSelectionOptions,
)
from bodycomp.training.schedules import SCHEDULES

OTHER_ARCHITECTURE: dict[type[RunOptions], str] = {
    SegmentationOptions: "patch_unet, with steps twice as fast on a CPU, for trainings of a few "
    "minutes: it is less exact in the end",
    SliceSelectionOptions: "resnet, with steps three times as fast on a CPU, a little better in "
    "the same time",
}


def add_run_options(parser: argparse.ArgumentParser, options: type[RunOptions]) -> None:
    """Add what both trainings share; ``options`` knows what differs between them."""
    parser.add_argument("data_dir", metavar="DATA_DIR", type=Path, help="the training set")
    parser.add_argument(
        "output_dir",
        metavar="MODEL_OUTPUT_DIR",
        type=Path,
        help="folder of runs; this one becomes MODEL_OUTPUT_DIR/NAME",
    )
    _add_run_folder_options(parser.add_argument_group("the run"))
    _add_optimisation_options(parser.add_argument_group("optimisation"), options)
    _add_network_options(parser.add_argument_group("the network"), options)
    _add_device_options(parser.add_argument_group("devices"))


def _add_run_folder_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--name",
        "-a",
        default="",
        help="name of the run (default: time stamp); a run that exists is never overwritten",
    )
    add(
        "--dry-run",
        "--dry_run",
        action="store_true",
        help="check the data, build the network, do a few steps, tell what time, memory and disk "
        "the run would take, and write nothing",
    )
    add(
        "--logger",
        dest="loggers",
        choices=LOGGERS,
        action="append",
        default=[],
        help="send metrics to MLflow or Weights & Biases too, no paths and no names; may be given "
        "twice (TensorBoard and metrics.csv are always written)",
    )
    add("--resume", action="store_true", help="go on with the run of this --name")
    add(
        "--load_weights",
        "-w",
        type=Path,
        metavar="MODEL",
        help="start from the weights of a model or run folder, or of an earlier Keras .hdf5 file; "
        "the network must be the same",
    )
    add("--seed", type=int, default=0, help="seed of weights, order and augmentation (default 0)")
    add(
        "--keep_every_epoch",
        action="store_true",
        help="keep a resumable checkpoint of every epoch, not of the last and the best alone",
    )


def _add_optimisation_options(group: argparse._ArgumentGroup, options: type[RunOptions]) -> None:
    add = group.add_argument
    rate = options.learning_rate
    smaller = "" if options.batch_size == 16 else "; it was 16: fewer slices, but more steps"
    earlier = "0.1" if options is SegmentationOptions else "1e-4"
    add("--epochs", "-e", type=int, default=100, help="epoch number to end at (default 100)")
    add(
        "--batch_size",
        "-b",
        type=_batch_size,
        default=options.batch_size,
        help="slices per optimiser step, all devices together (default "
        f"{options.batch_size}{smaller}); auto: the largest that memory holds, by trial steps, "
        "up to 256",
    )
    add(
        "--learning_rate",
        "-l",
        type=float,
        default=rate,
        help=f"initial learning rate (default {rate:g}, for AdamW; it was {earlier} in the earlier "
        "implementation)",
    )
    add(
        "--optimizer",
        choices=OPTIMIZERS,
        default="adamw",
        help="adamw (default), or sgd with Nesterov momentum 0.9, for learning rates near 0.1",
    )
    add(
        "--schedule",
        choices=SCHEDULES,
        default="cosine",
        help="learning rate over time: cosine to zero after a warm-up (default); step, the earlier "
        "implementation's x 0.1 after half of the epochs and x 0.01 after three quarters; "
        "half-life, see --decay_half_time; constant",
    )
    add(
        "--decay_half_time",
        "-d",
        type=float,
        default=20.0,
        metavar="EPOCHS",
        help="with --schedule half-life: epochs until the learning rate halves (default 20)",
    )
    add(
        "--loss",
        choices=options.losses,
        default=options.losses[0],
        help=f"what is minimised (default {options.losses[0]}; {options.losses[1]} is that of the "
        "earlier implementation)",
    )
    add(
        "--no_augmentation",
        dest="augmentation",
        action="store_false",
        help="train on the images as they are, without rotating, shifting, scaling or noise",
    )
    add(
        "--max_minutes",
        type=float,
        metavar="MINUTES",
        help="time for training and validation; the cosine schedule then ends when the time or the "
        "epochs do, whichever is first. Such a run depends on the machine's speed: it cannot be "
        "repeated exactly (default: no limit)",
    )
    add(
        "--average",
        type=float,
        default=options.average,
        metavar="SHARE",
        help="judge and export the average of the weights over this share of all steps so far "
        f"(default {options.average:g}); 0: the weights as they are",
    )
    add(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="end when no epoch has been better than the best for so many; under the cosine "
        "schedule most of the gain comes last, so that it is for other schedules or for long "
        "trainings (default: go on to the end)",
    )
    add(
        "--on_divergence",
        choices=ON_DIVERGENCE,
        default="step-back",
        help="when the loss is no longer finite, or far above its usual value for 20 steps: "
        "step-back (default) goes on from the last good state with 0.3 times the learning rate, "
        "at most three times; stop ends with advice",
    )


def _add_network_options(group: argparse._ArgumentGroup, options: type[RunOptions]) -> None:
    group.add_argument(
        "--arch",
        choices=options.architectures,
        default=options.architectures[0],
        help=f"architecture: {options.architectures[0]} (default), or "
        f"{OTHER_ARCHITECTURE[options]}; options that an architecture does not have are refused",
    )
    group.add_argument(
        "--activation", "-A", choices=ACTIVATIONS, default="relu", help="default relu"
    )


def _batch_size(text: str) -> int:
    if text == "auto":
        return AUTO_BATCH_SIZE
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number or auto, found {text!r}")
    return int(text)


def _add_device_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--gpus",
        "-g",
        type=int,
        default=1,
        help="GPUs to train on (default 1); 0, or a machine without any: the CPU",
    )
    add(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="32: float32; bf16, 16: mixed; auto (default): bf16 where the GPU or CPU has "
        "instructions for it, else 16 on a GPU and 32 on a CPU",
    )
    add(
        "--deterministic",
        action="store_true",
        help="on GPUs: the same seed gives the same weights, bit for bit, where PyTorch has an "
        "algorithm for it, and warnings where it has none; slower. On a CPU it is so anyway, for "
        "the same number of threads",
    )
    add(
        "--compile",
        choices=COMPILE,
        default="auto",
        help="on a GPU, let torch.compile prepare the network: auto (default) if the run is long "
        "enough for it to pay; never on the CPU, where it gains nothing",
    )
    add(
        "--num_workers",
        type=int,
        metavar="N",
        help="processes that load data, per device (default: none on the CPU, up to 8 per GPU)",
    )
    add(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="without GPUs: processes that share each batch, to test distributed training on one "
        "machine (default 1; one process uses all cores already)",
    )


def add_segmentation_options(parser: argparse.ArgumentParser) -> None:
    """Add what only the segmentation training knows."""
    add = parser.add_argument_group("the U-Net and its classes").add_argument
    add(
        "--thoracic_model",
        "-t",
        dest="thoracic",
        action="store_true",
        help="no visceral fat: masks have the classes 0, 1, 2",
    )
    add(
        "--apply_window_function",
        "-p",
        action="store_true",
        help="accepted for old command lines; the window (level 40, width 400 HU) is part of every "
        "model's preprocessing and always on",
    )
    add(
        "--compression_channels",
        "-C",
        type=int,
        nargs="+",
        metavar="N",
        help="features of the stages on the way down (default 16 32 64 128 256 512; with "
        "patch_unet 24 48 96 192 384)",
    )
    add(
        "--decompression_channels",
        "-M",
        type=int,
        nargs="+",
        metavar="N",
        help="features on the way up, one number fewer (default 256 128 64 32 16; with patch_unet "
        "192 96 48 24)",
    )
    add("--num_convs", "-N", type=int, help="convolutions per stage (default 1)")
    add(
        "--allow_scaled_images",
        "--allow-scaled-images",
        action="store_true",
        help="train even if the images look windowed or scaled already instead of raw HU; errors "
        "that are based on HU, such as masks that do not fit their images, are then warnings",
    )


def add_slice_selection_options(parser: argparse.ArgumentParser) -> None:
    """Add what only the slice-selection training knows."""
    add = parser.add_argument_group("the DenseNet and its levels").add_argument
    add(
        "--levels",
        "-L",
        nargs="+",
        default=("L3",),
        metavar="LEVEL",
        help="levels to find, vertebrae or any other name that the tables have, e.g. T5 T8 T10 L3 "
        "or umbilicus (default L3)",
    )
    add(
        "--threshold",
        "-t",
        type=float,
        default=10.0,
        metavar="MM",
        help="scale of the soft threshold in mm: target = sigmoid(offset / scale) (default 10)",
    )
    add(
        "--initial_epoch",
        "-i",
        type=int,
        default=0,
        help="number of the first epoch; the schedule starts there (default 0)",
    )
    for option, default, meaning in (
        ("--nb_layers_per_block", 12, "layers in each dense block"),
        ("--nb_blocks", 4, "dense blocks"),
        ("--nb_initial_filters", 16, "features of the first convolution"),
        ("--growth_rate", 12, "features that each layer adds"),
    ):
        add(option, type=int, metavar="N", help=f"{meaning} (default {default})")
    add(
        "--compression_rate",
        type=float,
        help="share of the features that a transition between blocks keeps (default 0.5)",
    )
    add(
        "--initializer",
        "-I",
        choices=INITIALIZERS,
        help="initial weights (default glorot_uniform; he_normal for the resnet)",
    )
    add(
        "--omit_batch_norm",
        "-B",
        action="store_true",
        default=None,
        help="train without batch normalisation",
    )
    _add_cache_options(parser.add_argument_group("decoded slices"))


def _add_cache_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--cache_dir",
        type=Path,
        metavar="FOLDER",
        help="where decoded slices are kept for this run and later ones (default: $BODYCOMP_CACHE, "
        "else bodycomp/slices in the user's cache folder); 'bodycomp cache' shows and clears it",
    )
    group.add_argument(
        "--cache_gb",
        type=float,
        default=10.0,
        metavar="GB",
        help="how large it may become, 65.5 kB per slice; what was used least recently goes first; "
        "0: no cache (default 10)",
    )
