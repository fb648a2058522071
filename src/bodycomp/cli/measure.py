"""``bodycomp measure``: areas, attenuation and indices of a mask that somebody has."""

from __future__ import annotations

from bodycomp.cli.option_parser import Command
from bodycomp.cli.terminal import share_cores
from bodycomp.review.options import MeasureOptions

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


def run(options: MeasureOptions) -> int:
    """Measure, write, and print the areas."""
    share_cores()
    from bodycomp.cli.terminal import say
    from bodycomp.interface.runs import measure

    result = measure.run(options)
    say(str(result), *([f"results in {options.out}"] if options.out else []))
    return 0


COMMAND = Command(options=(MeasureOptions,), run=run, description=DESCRIPTION, epilog=EPILOG)
