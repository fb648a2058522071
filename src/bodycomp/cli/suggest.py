"""``bodycomp suggest``: the slices to annotate next, with outlines to start from."""

from __future__ import annotations

from bodycomp.cli.option_parser import Command
from bodycomp.cli.terminal import share_cores
from bodycomp.suggestion.options import CASES_NAME, OUTLINE_NAME, SuggestOptions

DESCRIPTION = """\
Find the slices of unannotated scans that are worth annotating next: those on which the model
disagrees with itself when the slice is moved or mirrored, or several models disagree, few of each
patient.

OUT/suggestions.csv       which slices, why, and how much their segmentations disagree
OUT/suggestions-*.png     a picture of them
OUT/slices/NNN/           scan.nii.gz, the slice with its neighbors, and start.nii.gz, the outline
                          of the model: correct it in 3D Slicer or ITK-SNAP and save it as
                          outline.nii.gz
OUT/cases.yaml            the cases table: bodycomp prepare segmentation OUT/cases.yaml SET
OUT/refused.csv           scans that cannot be read, and levels that are not found

Patients and series have pseudonyms, whose key lies beside OUT."""

EPILOG = """\
examples:
  bodycomp suggest scans next                          # then outline
  bodycomp prepare segmentation next/cases.yaml masks --split 0.8 0.2 0
  bodycomp train segmentation masks mine --name segmentation --load_weights default
  bodycomp suggest scans next --add --models mine      # the next ones"""


def run(options: SuggestOptions) -> int:
    """Suggest, list the slices and what was refused, and fail if there are none."""
    share_cores()
    from bodycomp.cli.terminal import say
    from bodycomp.interface.runs import suggest

    report = suggest.run(options, progress=True)
    for refused in report.refused:
        say(f"refused: {refused.series or refused.study} {refused.what}: {refused.reason}")
    for each in report.suggestions:
        at = f"{each.level} {each.offset_mm:+.0f} mm, " if each.level else ""
        say(f"{each.number:03d}  {each.patient}, {at}slice {each.slice_index + 1}: {each.reason}")
    say(str(report))
    if not report.suggestions:
        say("Nothing to suggest; --all-slices looks at slices whatever levels are found.")
        return 1
    say(
        f"Correct each {options.out}/slices/*/start.nii.gz, save it as {OUTLINE_NAME}, then:",
        f"  bodycomp prepare segmentation {options.out / CASES_NAME} SET",
    )
    return 0


COMMAND = Command(options=(SuggestOptions,), run=run, description=DESCRIPTION, epilog=EPILOG)
