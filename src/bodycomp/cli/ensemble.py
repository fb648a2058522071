"""``bodycomp ensemble``: several trained models become one."""

from __future__ import annotations

import sys

from bodycomp.cli.option_parser import Command
from bodycomp.interface.options import EnsembleOptions

DESCRIPTION = """\
Make one model folder of several trained models for the same tissues or levels, which every
command takes as it takes any other. Segmentation: the mean of their probabilities. Slice selection:
the median of their offsets. An analysis with it takes the time of all members; slices are read and
prepared once. Its results say where members disagree.

bodycomp ensemble models/segmentation --out both/segmentation      the folds of a training
bodycomp ensemble runs/a runs/b runs/c --out models/segmentation   any models that agree in what
                                                                   they find and see

A training with --folds makes the ensemble of its folds by itself, as model/ in its folder."""


def run(options: EnsembleOptions) -> int:
    """Make the ensemble and say what it is."""
    from bodycomp.interface.sets import ensemble

    card = ensemble.run(options)
    members = [member["architecture"] for member in card.config["members"]]
    sys.stdout.write(
        f"{options.out}: {card.task.replace('_', ' ')} model of {len(members)} members "
        f"({', '.join(dict.fromkeys(members))})\n"
    )
    return 0


COMMAND = Command(options=(EnsembleOptions,), run=run, description=DESCRIPTION)
