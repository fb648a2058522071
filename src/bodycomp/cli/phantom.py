"""``bodycomp phantom``: synthetic patients as DICOM studies and as both training sets."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Write a cohort of synthetic torso CT studies, so that everything runs without a hospital.

OUT/dicom/          one folder per patient: CT series, localizer and the odd series that a
                    hospital sends along
OUT/truth/          per patient: position of every vertebral level (mm), true areas at L3 (cm2),
                    and a label map of the main series (NIfTI)
OUT/segmentation/   the training set of 'bodycomp train segmentation'
OUT/slice-selection/   the training set of 'bodycomp train slice-selection'
OUT/cohort.csv      one row per patient: split, sex, age, height, weight, scan
OUT/cases.csv       every main series with its truth, split, sex, BMI and scanner, for
                    'bodycomp evaluate' and 'bodycomp prepare'; OUT/levels.csv belongs to it

The same seed gives the same bytes."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``bodycomp``."""
    parser = subparsers.add_parser(
        "phantom",
        help="write synthetic patients to train and test on",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    parser.add_argument("--patients", "-n", type=int, default=7, help="patients (default 7)")
    parser.add_argument("--seed", "-s", type=int, default=0, help="seed, 0 or more (default 0)")
    parser.add_argument(
        "--splits",
        type=int,
        nargs=3,
        metavar=("TRAIN", "VAL", "TEST"),
        help="patients per split, adding up to --patients (default 4 : 1 : 2)",
    )
    parser.add_argument(
        "--no-dicom", action="store_true", help="write the training sets and the truth alone"
    )
    parser.add_argument(
        "--jobs", "-j", type=int, default=None, help="processes (default: one per core)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a folder with content")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the cohort and say what was written."""
    from rich.console import Console

    from bodycomp.cli.progress import progress_bar
    from bodycomp.cohort import CohortOptions, default_splits, write_cohort

    splits = tuple(arguments.splits or default_splits(arguments.patients))
    options = CohortOptions(
        folder=arguments.out,
        patients=arguments.patients,
        seed=arguments.seed,
        splits=splits,
        dicom=not arguments.no_dicom,
        jobs=arguments.jobs,
        overwrite=arguments.overwrite,
    )
    with progress_bar("phantom patients", arguments.patients) as advance:
        summary = write_cohort(options, progress=advance)
    Console().print(
        f"{arguments.patients} patients ({splits[0]} train, {splits[1]} val, {splits[2]} test) "
        f"in {arguments.out}: {summary.mask_slices} slices with masks, "
        f"{summary.level_slices} slices with offsets, {summary.dicom_files} DICOM files",
        highlight=False,
    )
    return 0
