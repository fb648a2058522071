"""``bodycomp measure``: areas, attenuation and indices of a mask that somebody has."""

from __future__ import annotations

import argparse
from pathlib import Path

from bodycomp.cli.option_parser import add_options, read_options
from bodycomp.cli.threads import share_cores
from bodycomp.review.measure_options import MeasureOptions

DESCRIPTION = """\
Measure a mask on its scan at a level, without any model: areas, attenuation, indices, cut-offs and
quality flags as 'bodycomp analyze' gives them.

SCAN is a folder of DICOM images, a zip file, or a DICOM, NIfTI or NRRD file. MASK is NIfTI, NRRD
(.seg.nrrd), DICOM SEG, RTSTRUCT, or a folder of PNG images or of one file per tissue, on the pixels
of the scan. OUT gets results.csv, results.json, labels.nii.gz, a preview, and DICOM objects.

For research only, not a medical device."""

EPILOG = """\
examples:
  bodycomp measure ct mask.nii.gz --out measured --slice 57
  bodycomp measure ct.nii.gz l3.seg.nrrd --out measured --labels 'Muscle=muscle' --height-m 1.75"""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Make the parser of this command."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add = parser.add_argument
    add("scan", metavar="SCAN", type=Path, help="what the mask was annotated on")
    add("mask", metavar="MASK", type=Path, help="the mask")
    add("--out", "-o", metavar="OUT", type=Path, required=True, help="folder for the results")
    add("--series", default="", help="UID or number of the series, if SCAN holds several")
    add("--height-m", type=float, metavar="M", help="height, where the files do not give it")
    add("--weight-kg", type=float, metavar="KG", help="weight, likewise")
    add("--sex", choices=("F", "M"), default="", help="sex, likewise")
    add_options(parser, MeasureOptions)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, write, and print the areas."""
    share_cores()
    import bodycomp
    from bodycomp.cli.terminal import say
    from bodycomp.interface.mask import run_measuring

    options = read_options(arguments, MeasureOptions)
    scan = bodycomp.read_scan(arguments.scan, series=arguments.series, min_slices=1).with_subject(
        height_m=arguments.height_m, weight_kg=arguments.weight_kg, sex=arguments.sex
    )
    result = run_measuring(scan, arguments.mask, options, arguments.out)
    say(str(result), f"results in {arguments.out}")
    return 0
