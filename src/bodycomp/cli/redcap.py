"""``bodycomp redcap``: the results of a run for REDCap."""

from __future__ import annotations

from bodycomp.cli.option_parser import Command
from bodycomp.interface.options import RedcapOptions

DESCRIPTION = """\
Write the results of a run for REDCap, beside its other tables: what reviewers accepted, rejected
and corrected if the run was reviewed, else what was measured.

OUT/redcap-dictionary.csv   the data dictionary: upload it once to make the form
OUT/redcap.csv              the records to import, one for each level of a series

For research only, not a medical device."""


def run(options: RedcapOptions) -> int:
    """Write both tables and say where they are."""
    from bodycomp.cli.terminal import say
    from bodycomp.interface.runs import write_redcap

    say(*map(str, write_redcap.run(options)))
    return 0


COMMAND = Command(options=(RedcapOptions,), run=run, description=DESCRIPTION)
