"""Options of the commands that correct results: where scans, models and the key are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bodycomp.cli.analyze import DICOM_OBJECTS

if TYPE_CHECKING:
    from bodycomp.review.correction_options import CorrectionOptions


def add_correction_options(parser: argparse.ArgumentParser) -> None:
    """Add the inputs and what corrected results are made with."""
    add = parser.add_argument
    add(
        "inputs",
        metavar="INPUT",
        type=Path,
        nargs="*",
        help="what was measured: folders, zip, DICOM, NIfTI or NRRD files, and others; "
        "named before the options",
    )
    add(
        "--models",
        "-m",
        metavar="DIR",
        type=Path,
        help="folder with the models that were used, to segment slices that levels are moved to",
    )
    add(
        "--pseudonym-key",
        metavar="FILE",
        type=Path,
        help="key of the run's pseudonyms (default: OUT.pseudonym-key)",
    )
    add("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda or cuda:1")
    add(
        "--dicom",
        metavar="OBJECT",
        nargs="+",
        choices=DICOM_OBJECTS,
        help="DICOM objects to write for corrected levels: seg, labelmap, sr, overlay (default: "
        "those of the run)",
    )
    add(
        "--no-previews",
        dest="previews",
        action="store_const",
        const=False,
        help="write no pictures of corrected levels (default: as in the run)",
    )


def correction_options(arguments: argparse.Namespace) -> CorrectionOptions:
    """Return the options that were given."""
    from bodycomp.review.correction_options import CorrectionOptions
    from bodycomp.study.options import DicomObject

    dicom = arguments.dicom
    return CorrectionOptions(
        out_dir=arguments.out,
        inputs=tuple(arguments.inputs),
        models_dir=arguments.models,
        pseudonym_key=arguments.pseudonym_key,
        device=arguments.device,
        dicom=None if dicom is None else frozenset(DicomObject(name) for name in dicom),
        previews=arguments.previews,
    )
