"""``bodycomp prepare saros`` and its like: published data sets, as they are downloaded."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from bodycomp.cli.option_parser import Command
from bodycomp.options import option
from bodycomp.preparation.sources.options import SarosOptions, SourceOptions

AFTER = """\
OUT holds, beside the set, data-card.md (source, licenses, what was left out and why) and
source-cases.csv (the same case by case). Patients and cases are called as the data set calls them.
OUT.parts holds finished cases while working, and what came out of zip files; the same command
resumes from there. Nothing is downloaded: get the data from its page, and keep to its license."""

SAROS = """\
Make a segmentation set of SAROS (doi 10.25737/SZ96-ZG60): its annotated slices, about every fifth,
with muscle, subcutaneous and visceral fat by region and HU, without arms and legs.

DIR holds case folders with image.nii.gz, body-regions.nii.gz and body-parts.nii.gz, and the table
Segmentation-Info_....csv, at any depth. Images and masks may lie in different folders."""


@dataclass(frozen=True)
class RefusalOptions:
    """What follows where cases are refused."""

    allow_refused: bool = option(
        False, "--allow-refused", group="more", help="exit with 0 although cases are left out"
    )


def quiet_searches() -> None:
    """Keep to what the cases say: a search counts its files alone, and every case is one."""
    logging.getLogger("bodycomp.dicom.series").setLevel(logging.WARNING)


def run(name: str, options: SourceOptions, after: RefusalOptions) -> int:
    """Prepare a set, report what came of it, and fail if cases could not be read."""
    from bodycomp.cli.prepare_summary import print_summary
    from bodycomp.interface import sets

    quiet_searches()
    summary = getattr(sets, name).run(options, progress=True)
    return print_summary(summary, allow_refused=after.allow_refused)


def _source(name: str, options: type[SourceOptions], description: str) -> tuple[str, Command]:
    return description.split("\n\n", maxsplit=1)[0].split(":", maxsplit=1)[0], Command(
        options=(options, RefusalOptions),
        run=partial(run, name),
        description=description,
        epilog=AFTER,
    )


SOURCES = {
    "saros": _source("prepare_saros", SarosOptions, SAROS),
}
"""Name of the command -> its line in the list, and the command."""
