"""``bodycomp show``: a training set as a page that people look at."""

from __future__ import annotations

from bodycomp.cli.option_parser import Command
from bodycomp.interface.options import ShowOptions

DESCRIPTION = """\
Look at a training set before you train on it. The whole set is read and validated, then one HTML
page is written that opens without network: what was found, suspicious and random samples with
their outlines, and the distributions of tissue areas and mean HU, or of offsets, per split.

For slice selection it shows slices in the order of their offsets: reversed signs show at once.

The page holds pictures of patients: keep it where the training set may be kept."""


def run(options: ShowOptions) -> int:
    """Validate the set, write the page and say where it is."""
    from bodycomp.cli.terminal import counted, say
    from bodycomp.interface.sets import show

    page, found = show.run(options, progress=True)
    say(
        f"{counted(found.errors, 'error')}, {counted(found.warnings, 'warning')}; "
        f"the page is {page}"
    )
    return 0


COMMAND = Command(options=(ShowOptions,), run=run, description=DESCRIPTION)
