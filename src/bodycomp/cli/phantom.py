"""``bodycomp phantom``: synthetic patients as DICOM studies and as both training sets."""

from __future__ import annotations

from bodycomp.cli.option_parser import Command
from bodycomp.cohort.options import CohortOptions

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


def run(options: CohortOptions) -> int:
    """Write the cohort and say what was written."""
    from bodycomp.cli.terminal import say
    from bodycomp.interface.sets import write_phantom

    summary = write_phantom.run(options, progress=True)
    train, val, test = options.splits
    say(
        f"{options.patients} patients ({train} train, {val} val, {test} test) in {options.folder}: "
        f"{summary.mask_slices} slices with masks, {summary.level_slices} slices with offsets, "
        f"{summary.dicom_files} DICOM files"
    )
    return 0


COMMAND = Command(options=(CohortOptions,), run=run, description=DESCRIPTION)
