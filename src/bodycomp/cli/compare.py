"""``bodycomp compare``: scans of one person beside each other."""

from __future__ import annotations

from bodycomp.cli.option_parser import Command
from bodycomp.comparison.options import CompareOptions

DESCRIPTION = """\
Compare the scans of each person in one or more runs of 'bodycomp analyze': how much muscle and fat
changed, how fast, whether that is more than a measurement repeats to, and in what the scans differ
and how much that alone can do.

writes:
  OUT/comparison.csv    one row for each pair of scans, level and quantity
  OUT/comparison.json   the same with all sources
  OUT/PATIENT.html      a page: slices at one scale, values over time, changes
  OUT/PATIENT.dcm       with --dicom sr: a structured report in the study of the last scan"""

EPILOG = """\
examples:
  bodycomp compare measured --out compared
  bodycomp compare baseline follow-up --out compared --patient patient-0123456789ab --dicom sr
  bodycomp compare measured --out compared --scans scans.csv   # columns study, patient, date"""


def compare(options: CompareOptions) -> int:
    """Compare, and say of how many people something was said."""
    from bodycomp.cli.terminal import counted, say
    from bodycomp.interface.runs import compare as run

    found = run.run(options, progress=True)
    for person in found.people:
        if not person.refused:
            pairs = [pair for level in person.levels for pair in level.pairs]
            unlike = sum(any(d.is_certain for d in pair.differences) for pair in pairs)
            say(
                f"{person.patient}: {counted(len(person.scans), 'scan')}, "
                f"{counted(len(pairs), 'comparison')}, {unlike} of scans that were not made alike"
            )
    say(f"changes in {found.out}")
    return 1 if all(person.refused for person in found.people) else 0


COMMAND = Command(options=(CompareOptions,), run=compare, description=DESCRIPTION, epilog=EPILOG)
