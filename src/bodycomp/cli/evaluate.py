"""``bodycomp evaluate``: how good models are, on what a user has truth for."""

from __future__ import annotations

import logging

from bodycomp.cli.option_parser import Command
from bodycomp.cli.terminal import share_cores
from bodycomp.evaluation.options import EvaluateOptions

DESCRIPTION = """\
Compare models with what people annotated, and say how far they can be trusted, with 95 %
confidence intervals over patients (docs/evaluation.md has every definition).

--cases TABLE           scans with masks and levels, the table of 'bodycomp prepare': both models
                        as 'bodycomp analyze' runs them. Where levels are found (mm), areas and
                        attenuation (HU) against the truth (bias, limits of agreement, concordance,
                        ICC), and how much of the error is the slice's and the segmentation's
--segmentation SET      a segmentation training set: Dice, distances, areas, attenuation
--slice-selection SET   a slice-selection training set: error in mm per level in whole series
--masks P --truth T     masks made anywhere, two files or two folders; needs no models

MODELS holds slice-selection/ and segmentation/; what is not asked for need not be there.

OUT/report.html         with --cases: numbers, plots and cases to look at, worst first
OUT/evaluation.json     all numbers with intervals and counts, for programs
OUT/*.csv               every case: segmentation, slice_selection, end_to_end, cases, refused

For research only, not a medical device."""


def run(options: EvaluateOptions) -> int:
    """Evaluate and print the numbers that matter."""
    share_cores()
    from bodycomp.cli.evaluate_summary import print_summary
    from bodycomp.interface.runs import evaluate

    logging.getLogger("bodycomp.dicom.series").setLevel(logging.WARNING)
    print_summary(options, evaluate.run(options, progress=True))
    return 0


COMMAND = Command(options=(EvaluateOptions,), run=run, description=DESCRIPTION)
