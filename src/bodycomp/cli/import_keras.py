"""``bodycomp import-keras``: models of the earlier Keras implementation as models of our own."""

from __future__ import annotations

import argparse
from pathlib import Path

from bodycomp.cli.option_parser import add_options, read_options
from bodycomp.networks.keras_options import KerasOptions

DESCRIPTION = """\
Turn a U-Net or DenseNet of the earlier Keras implementation into a model folder, which
'bodycomp analyze' and 'bodycomp train --load_weights' take. TensorFlow is not needed.

WEIGHTS is an HDF5 file (.hdf5, .h5) of a full model or of its weights alone. Which network it is
and how large is recognised from the file, every layer's shape is checked, and the outputs are the
same to 1e-5. What a file cannot tell has to be said: the levels of a DenseNet with several outputs;
and the activation of a network other than relu, if the file holds the weights alone.

Put the two models into one folder to analyse with them:
  bodycomp import-keras l3.hdf5 --out models/slice-selection
  bodycomp import-keras unet.hdf5 --out models/segmentation
  bodycomp analyze scans --models models --out results"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Make the parser of this command."""
    parser.description = DESCRIPTION
    add = parser.add_argument
    add("weights", metavar="WEIGHTS", type=Path, help="HDF5 file of Keras 2")
    add("--out", "-o", metavar="MODEL", type=Path, required=True, help="model folder to make")
    add_options(parser, KerasOptions)
    add(
        "--tissues",
        nargs="+",
        metavar="TISSUE",
        help="U-Net: classes after background, in order, to check that the file has them: "
        "muscle subcutaneous_fat visceral_fat, or the first two",
    )
    add(
        "--thoracic",
        "-t",
        action="store_true",
        help="U-Net: the same as --tissues muscle subcutaneous_fat",
    )
    add("--overwrite", action="store_true", help="replace a model folder that is there")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Import one file and say what it holds."""
    from bodycomp.anatomy import tissue_by_key, tissues_for
    from bodycomp.cli.terminal import say
    from bodycomp.errors import UsageError
    from bodycomp.networks.checkpoint import import_keras

    if arguments.thoracic and arguments.tissues:
        raise UsageError("expected --thoracic or --tissues, found both")
    tissues = tissues_for(thoracic=True) if arguments.thoracic else None
    if arguments.tissues:
        tissues = tuple(tissue_by_key(key) for key in arguments.tissues)
    card = import_keras(
        arguments.weights,
        arguments.out,
        read_options(arguments, KerasOptions),
        tissues=tissues,
        overwrite=arguments.overwrite,
    ).card
    outputs = ", ".join(card.levels or (tissue.key for tissue in card.tissues))
    say(
        f"{card.task.replace('_', ' ')} model ({card.architecture}, {card.config['activation']}) "
        f"for {outputs} in {arguments.out}"
    )
    return 0
