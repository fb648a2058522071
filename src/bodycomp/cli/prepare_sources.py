"""``bodycomp prepare saros`` and its like: published data sets, as they are downloaded."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from bodycomp.cli.option_parser import Command
from bodycomp.options import option
from bodycomp.preparation.sources.options import (
    NnunetOptions,
    SarosOptions,
    SourceOptions,
    TagOptions,
    TotalsegmentatorOptions,
    VerseOptions,
)

AFTER = """\
OUT holds, beside the set, data-card.md (source, licenses, what was left out and why) and
source-cases.csv (the same case by case), in which published data sets keep their own names.
OUT.parts holds finished cases while working, and what came out of zip files; the same command
resumes from there. Nothing is downloaded: get the data from its page, and keep to its license."""

SAROS = """\
Make a segmentation set of SAROS (doi 10.25737/SZ96-ZG60): its annotated slices, about every fifth,
with muscle, subcutaneous and visceral fat by region and HU, without arms and legs.

DIR holds case folders with image.nii.gz, body-regions.nii.gz and body-parts.nii.gz, and the table
Segmentation-Info_....csv, at any depth. Images and masks may lie in different folders."""

TOTALSEGMENTATOR = """\
Make a slice-selection set of TotalSegmentator's data set (doi 10.5281/zenodo.10047292): series with
offsets from their vertebrae. It has no body composition: that is what a licensed model gives.

DIR holds meta.csv and case folders with ct.nii.gz and segmentations/vertebrae_L3.nii.gz etc."""

VERSE = """\
Make a slice-selection set of VerSe (doi 10.1016/j.media.2021.102166): series with offsets from
their vertebrae, transitional ones (L6, T13) among them.

DIR holds training, validation and test, or folders named after them, each with rawdata and
derivatives: the data set restructured by subject, not the files of the challenge."""

NNUNET = """\
Make a set of data in the raw layout of nnU-Net: segmentation where dataset.json names tissues,
slice selection where it names vertebrae.

DIR holds dataset.json, imagesTr, labelsTr and perhaps imagesTs with labelsTs, which become test. A
label called ignore is not annotated. Cases count as 'case 1' and so on, in the order of their
names, and patients get pseudonyms, since names of such files may be those of patients."""


TAG = """\
Make a segmentation set of outlines drawn with Slice-O-Matic: its TAG files and the DICOM slices
that they lie beside.

DIR holds A01.dcm with A01.tag or A01.dcm.tag, and so on, at any depth. Each slice is a case. Files
that ABACS+ encrypted are refused. Cases count as 'case 1' and so on; patients get pseudonyms."""


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
    "totalsegmentator": _source(
        "prepare_totalsegmentator", TotalsegmentatorOptions, TOTALSEGMENTATOR
    ),
    "verse": _source("prepare_verse", VerseOptions, VERSE),
    "nnunet": _source("prepare_nnunet", NnunetOptions, NNUNET),
    "tag": _source("prepare_tag", TagOptions, TAG),
}
"""Name of the command -> its line in the list, and the command."""
