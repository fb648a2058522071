"""``bodycomp import-keras``: models of the earlier Keras implementation as models of our own."""

from __future__ import annotations

from bodycomp.cli.option_parser import Command
from bodycomp.interface.options import ImportOptions

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


def run(options: ImportOptions) -> int:
    """Import one file and say what it holds."""
    from bodycomp.cli.terminal import say
    from bodycomp.interface.sets import import_keras

    card = import_keras.run(options)
    outputs = ", ".join(card.levels or (tissue.key for tissue in card.tissues))
    say(
        f"{card.task.replace('_', ' ')} model ({card.architecture}, {card.config['activation']}) "
        f"for {outputs} in {options.out}"
    )
    return 0


COMMAND = Command(options=(ImportOptions,), run=run, description=DESCRIPTION)
