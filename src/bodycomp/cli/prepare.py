"""``bodycomp prepare``: from annotated scans to the two training sets."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from bodycomp.cli.prepare_options import (
    add_common_options,
    add_level_options,
    add_segmentation_options,
    add_slice_selection_options,
    level_format,
)

if TYPE_CHECKING:
    from bodycomp.preparation.options import Task

DESCRIPTION = """\
Make a training set from annotated scans: 'segmentation' from drawn tissues, 'slice-selection' from
marked levels. Both read the same cases table; 'discover' drafts it from a folder."""

EPILOG = """\
in this order:
  bodycomp prepare discover FOLDER cases.csv       draft the table, then look through it
  bodycomp prepare segmentation cases.csv OUT --labels 1=muscle 2=subcutaneous_fat 3=visceral_fat
  bodycomp validate OUT                            find what is wrong with the set
  bodycomp show OUT                                look at it
  bodycomp train segmentation OUT MODELS"""

TABLE = """\
CASES is a table, CSV or YAML, one row per scan; paths start at the table's folder:

  patient   code that tells patients apart; all rows of a patient come into one split
  scan      DICOM folder, NIfTI (.nii, .nii.gz) or NRRD file
  masks     drawn tissues: NIfTI, NRRD, DICOM SEG, RTSTRUCT, folder of PNG; several with ';'
  levels    marked levels: CSV, Slicer markups (.mrk.json), or a label map of vertebrae
  series    SeriesInstanceUID or series number, if the folder holds several series
  split     train, val or test, if it shall not be drawn
  ...       columns of your own, such as sex or site, for --stratify"""

AFTER = """\
OUT appears when all is written and was read again. Beside it: OUT-key.csv, the way from pseudonyms
back to patients (keep it apart from the set); while working, OUT.parts with every finished case.
After Ctrl-C, a crash or a bad case the same command goes on and repeats no finished case.

A case that cannot be used is told with its reason, in OUT/refused.csv too, and the others go on;
the set is then incomplete and the exit code 1, unless --allow-refused says that this is meant."""

SEGMENTATION_DESCRIPTION = f"""\
Make the training set of 'bodycomp train segmentation': slices of 512 x 512 in raw HU, and masks.

{TABLE}

Image and mask must lie on the same pixels; otherwise the case is refused and both frames are told.
Every label of an annotation needs a meaning: a tissue, 'ignore', or 'not_annotated'."""

SLICE_SELECTION_DESCRIPTION = f"""\
Make the training set of 'bodycomp train slice-selection': grey slices, and offsets from levels.

{TABLE}

An offset is positive above its level (towards the head). Levels outside the scan stay empty."""

DISCOVER_DESCRIPTION = """\
Search a folder for scans and annotations and draft a cases table. Annotations are paired by the
series that a SEG or RTSTRUCT names, by the grid of a label map, and by folders and names. What is
not certain is not guessed: it stays empty, and the column 'note' says why. Look through the draft
before you use it, above all at the patients' codes: they are taken from the DICOM Patient ID, else
from folders and file names."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``bodycomp``."""
    prepare = subparsers.add_parser(
        "prepare",
        help="make a training set from annotated scans",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sets = prepare.add_subparsers(title="what to make", metavar="SET", required=True)
    segmentation = _set_parser(sets, "segmentation", SEGMENTATION_DESCRIPTION)
    add_segmentation_options(segmentation)
    slice_selection = _set_parser(sets, "slice-selection", SLICE_SELECTION_DESCRIPTION)
    add_slice_selection_options(slice_selection)
    for parser in (segmentation, slice_selection):
        add_level_options(parser)
        add_common_options(parser)
    segmentation.set_defaults(run=run_segmentation)
    slice_selection.set_defaults(run=run_slice_selection)
    _add_discover(sets)


def _set_parser(
    sets: argparse._SubParsersAction[argparse.ArgumentParser], name: str, description: str
) -> argparse.ArgumentParser:
    parser = sets.add_parser(
        name,
        help=description.split("\n\n", maxsplit=1)[0],
        description=description,
        epilog=AFTER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", metavar="CASES", type=Path, help="cases table, .csv or .yaml")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    return parser


def _add_discover(sets: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = sets.add_parser(
        "discover",
        help="draft a cases table from a folder of scans and annotations",
        description=DISCOVER_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="folder to search")
    parser.add_argument("cases", metavar="CASES", type=Path, help="cases table to write, .csv")
    parser.add_argument("--overwrite", action="store_true", help="replace a table that is there")
    parser.set_defaults(run=run_discover)


def run_segmentation(arguments: argparse.Namespace) -> int:
    """Prepare a segmentation set."""
    from bodycomp.annotation.labels import LabelMapping
    from bodycomp.data.samples import MaskSampling
    from bodycomp.preparation.options import SegmentationTask

    mapping = LabelMapping.parse(arguments.labels) if arguments.labels else None
    sampling = MaskSampling(
        annotated_only=arguments.slices == "annotated",
        spacing_mm=arguments.spacing_mm,
        around=arguments.around or "",
        reach_mm=arguments.reach_mm,
        max_per_scan=arguments.max_per_scan,
    )
    return _run(arguments, SegmentationTask(mapping, sampling, level_format(arguments)))


def run_slice_selection(arguments: argparse.Namespace) -> int:
    """Prepare a slice-selection set."""
    from bodycomp.anatomy import DEFAULT_LEVEL
    from bodycomp.data.samples import LevelSampling
    from bodycomp.preparation.options import SliceTask

    levels = tuple(arguments.levels or ())
    sampling = LevelSampling(
        spacing_mm=arguments.spacing_mm,
        near=levels or (DEFAULT_LEVEL,),
        near_mm=arguments.near_mm,
        far_stride=arguments.far_stride,
    )
    return _run(arguments, SliceTask(levels, sampling, level_format(arguments)))


def run_discover(arguments: argparse.Namespace) -> int:
    """Draft a cases table and say what was found."""
    from rich.console import Console

    from bodycomp.cli.progress import stage_progress
    from bodycomp.preparation.discovery import discover

    _quiet_searches()
    with stage_progress({"search": "reading headers"}) as progress:
        draft = discover(arguments.folder, arguments.cases, progress, overwrite=arguments.overwrite)
    Console().print(
        f"{draft.scans} scans, {draft.with_masks} with masks, {draft.with_levels} with levels, "
        f"{draft.noted} rows with a note: {arguments.cases}\n"
        "Look through the table, then type\n"
        f"  bodycomp prepare segmentation {arguments.cases} OUT --labels ...\n"
        f"  bodycomp prepare slice-selection {arguments.cases} OUT",
        highlight=False,
        markup=False,
    )
    return 0


def _quiet_searches() -> None:
    """Keep to what the table says: a search counts its files alone, and every case is one."""
    logging.getLogger("bodycomp.dicom.series").setLevel(logging.WARNING)


def _run(arguments: argparse.Namespace, task: Task) -> int:
    """Prepare, tell what came of it, and fail if cases are missing."""
    from bodycomp.cli.prepare_summary import print_summary
    from bodycomp.cli.progress import stage_progress
    from bodycomp.preparation.options import PrepareOptions, SplitOptions
    from bodycomp.preparation.run import prepare

    fractions = tuple(arguments.split) if arguments.split else None
    options = PrepareOptions(
        cases=arguments.cases,
        out=arguments.out,
        task=task,
        split=SplitOptions(fractions, arguments.seed, tuple(arguments.stratify or ())),
        jobs=arguments.jobs,
        identifiers=arguments.identifiers,
        shared_patient_id=arguments.shared_patient_id,
        overwrite=arguments.overwrite,
    )
    _quiet_searches()
    stages = {"cases": "cases", "writing": "writing", "checking": "reading again"}
    with stage_progress(stages) as progress:
        summary = prepare(options, progress)
    print_summary(options, summary, allow_refused=arguments.allow_refused)
    return 0 if arguments.allow_refused or not summary.refused else 1
