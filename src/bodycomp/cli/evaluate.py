"""``bodycomp evaluate``: how good models are, on what a user has truth for."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from bodycomp.cli.prepare_options import add_level_options, level_format
from bodycomp.cli.threads import share_cores
from bodycomp.data.layout import SPLITS
from bodycomp.networks.names import AUTO_ENGINE, ENGINES

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


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``bodycomp``."""
    parser = subparsers.add_parser(
        "evaluate",
        help="say how good models are on scans and sets with truth",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "models", metavar="MODELS", type=Path, nargs="?", help="folder with the models"
    )
    parser.add_argument("--out", "-o", metavar="OUT", type=Path, required=True, help="new folder")
    _add_truths(parser)
    _add_analysis(parser)
    add_level_options(parser)
    _add_more(parser)
    parser.set_defaults(run=run)


def _add_truths(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what to compare with").add_argument
    add("--cases", metavar="TABLE", type=Path, help="cases table, .csv or .yaml")
    add("--segmentation", metavar="SET", type=Path, help="segmentation training set")
    add("--slice-selection", metavar="SET", type=Path, help="slice-selection training set")
    add("--masks", metavar="P", type=Path, help="masks that were made: a file or a folder")
    add("--truth", metavar="T", type=Path, help="what is true of the same slices")
    add("--scan", metavar="S", type=Path, help="with --masks: what they lie on, for HU and SEG")
    add(
        "--split",
        choices=SPLITS,
        help="split of sets and table (default test; all cases of a table without splits)",
    )
    add(
        "--labels",
        metavar="LABEL=TISSUE",
        nargs="+",
        help="what labels of annotated masks mean, as for 'bodycomp prepare' (default 1=muscle "
        "2=subcutaneous_fat 3=visceral_fat)",
    )
    _add_patients(add)


def _add_patients(add: Callable[..., object]) -> None:
    add(
        "--patients",
        metavar="CSV",
        type=Path,
        help="with --cases: heights and sexes for indices and cut-offs, as for 'bodycomp analyze': "
        "columns patient_id (where a file has none, the code of the cases table) or study_uid, and "
        "height_m or height_cm, weight_kg, sex",
    )


def _add_analysis(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what to work out").add_argument
    add(
        "--by",
        metavar="COLUMN",
        nargs="+",
        default=[],
        help="also for subgroups by these columns of the table, else by what scans state (sex, "
        "manufacturer, scanner, kernel, kvp, slice_thickness_mm, contrast); numbers in thirds, or "
        "at edges: bmi:25,30",
    )
    add(
        "--against",
        metavar="MODELS",
        type=Path,
        help="other models on the same cases: paired differences, and which is better where the "
        "interval allows to say so",
    )
    add(
        "--bootstrap",
        metavar="N",
        type=int,
        default=2000,
        help="resamples of patients for the intervals (default 2000)",
    )
    add("--seed", "-s", type=int, default=0, help="seed of the resamples (default 0)")


def _add_more(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("more").add_argument
    add("--device", default="auto", help="auto, cpu, cuda or cuda:1 (default auto)")
    add("--engine", choices=ENGINES, default=AUTO_ENGINE, help="how networks are run")
    add(
        "--keep-identifiers",
        dest="identifiers",
        action="store_true",
        help="name patients and mask files as the inputs do, instead of numbers",
    )
    add("--overwrite", action="store_true", help="replace an earlier evaluation in OUT")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print the numbers that matter."""
    share_cores()
    import logging

    from bodycomp.annotation.labels import LabelMapping
    from bodycomp.cli.evaluate_summary import print_summary
    from bodycomp.cli.progress import stage_progress
    from bodycomp.evaluation.estimates import BootstrapOptions
    from bodycomp.evaluation.options import AnnotationFormat, EvaluateOptions, Truths
    from bodycomp.evaluation.run import evaluate

    mapping = LabelMapping.parse(arguments.labels) if arguments.labels else None
    options = EvaluateOptions(
        out=arguments.out,
        truths=Truths(
            segmentation=arguments.segmentation,
            slice_selection=arguments.slice_selection,
            cases=arguments.cases,
            masks=arguments.masks,
            truth=arguments.truth,
            scan=arguments.scan,
            split=arguments.split,
        ),
        models=arguments.models,
        against=arguments.against,
        by=tuple(arguments.by),
        form=AnnotationFormat(mapping, level_format(arguments)),
        patients=arguments.patients,
        bootstrap=BootstrapOptions(arguments.bootstrap, arguments.seed),
        device=arguments.device,
        engine=arguments.engine,
        identifiers=arguments.identifiers,
        overwrite=arguments.overwrite,
    )
    logging.getLogger("bodycomp.dicom.series").setLevel(logging.WARNING)
    stages = {
        name: title
        for name, title, wanted in (
            ("segmentation", "slices with masks", options.truths.has_masks),
            ("slice_selection", "slices of series", options.truths.slice_selection),
            ("cases", "cases", options.truths.cases),
        )
        if wanted
    }
    with stage_progress(stages) as progress:
        evaluation = evaluate(options, progress)
    print_summary(options, evaluation)
    return 0
