"""``bodycomp remeasure``: measure one series anew with a corrected mask or at another slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bodycomp.cli.option_parser import Command
from bodycomp.cli.terminal import share_cores
from bodycomp.review.options import RemeasureOptions

if TYPE_CHECKING:
    from bodycomp.review.remeasure import Remeasured

DESCRIPTION = """\
Measure a series anew with a mask that was corrected in 3D Slicer, ITK-SNAP or another tool, or with
a level moved to another slice.

The networks' results stay. The corrected ones lie in OUT/study-*/series-*/corrected/LEVEL/ and in
OUT/reviewed.csv, and say who corrected what, when and from what. A mask counts for every level
that it has labels on and that it changes; a mask equal to the networks' puts their result back.
docs/review.md leads through the whole loop. For research only, not a medical device."""

EPILOG = """\
examples:
  bodycomp remeasure OUT scans --series series-0123456789ab --mask corrected.seg.nrrd --by AB
  bodycomp remeasure OUT scans --series series-0123456789ab --slice 57 --by AB --models DIR"""


def run(options: RemeasureOptions) -> int:
    """Measure anew and print what changed."""
    share_cores()
    from bodycomp.cli.terminal import say
    from bodycomp.interface.runs import remeasure

    say(*_lines(remeasure.run(options, progress=True)))
    return 0


def _lines(found: Sequence[Remeasured]) -> Iterator[str]:
    from bodycomp.cli.terminal import decimal
    from bodycomp.report.result_rows import tissues_of

    if not found:
        yield "nothing changed: this is what counts already"
    for each in found:
        what = each.after.get("corrected")
        yield f"{each.case}: " + (f"corrected ({what})" if what else "the networks' result again")
        for tissue in tissues_of(each.before):
            column = f"{tissue.key}_area_cm2"
            yield (
                f"  {tissue.title}: {decimal(each.before[column])} -> "
                f"{decimal(each.after[column])} cm2"
            )


COMMAND = Command(options=(RemeasureOptions,), run=run, description=DESCRIPTION, epilog=EPILOG)
