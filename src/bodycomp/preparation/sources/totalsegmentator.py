"""TotalSegmentator's data set: CTs of all parts of the body, with vertebrae in files of their own.

meta.csv                                 separated by semicolons: image_id, split, ...
s0000/ct.nii.gz
s0000/segmentations/vertebrae_L3.nii.gz  one file a class, empty ones included
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from bodycomp.annotation.vertebrae import TOTALSEGMENTATOR_LABELS
from bodycomp.data.layout import SPLITS
from bodycomp.errors import CasesError, InputNotFoundError, UsageError
from bodycomp.level_names import vertebra_named
from bodycomp.preparation.source_record import DataSource, SourceCase
from bodycomp.preparation.sources.found import FoundCase, FoundSet, rows_of
from bodycomp.preparation.sources.options import TotalsegmentatorOptions
from bodycomp.preparation.sources.tree import Folders, SourceFile, SourceTree, on_disk
from bodycomp.reading.kinds import VOLUME_SUFFIXES, structure_name

LICENSE: Final = "CC BY 4.0"
_NOTES: Final = (
    "Transitional vertebrae have no label; others are counted from L5 upwards (issues 88, 373).",
    "A model drew the masks and people corrected them; some vertebrae are mixed up (issue 268).",
)
_CITATION: Final = (
    "Wasserthal J, Breit H-C, Meyer MT, et al. TotalSegmentator: robust segmentation of 104 "
    "anatomic structures in CT images. Radiol Artif Intell 5 (2023). doi:10.1148/ryai.230024"
)
RELEASES: Final = {
    1: ("1", "10.5281/zenodo.6802613"),
    2: ("2", "10.5281/zenodo.10047292"),
}
"""Release -> version and DOI of its record at Zenodo."""

FIRST_LABELS: Final = {
    **{f"L{6 - i}": 17 + i for i in range(1, 6)},
    **{f"T{13 - i}": 22 + i for i in range(1, 13)},
    **{f"C{8 - i}": 34 + i for i in range(1, 8)},
}
"""Numbers of vertebrae in one label map of release 1, whose L5 is a rib of release 2's."""

DOUBTFUL: Final = ("s0071", "s0128", "s0350", "s0513", "s0603", "s0676", "s0941")
"""Cases in which a radiologist found vertebrae mixed together (issue 394 of the authors)."""

_CASE: Final = re.compile(r"s\d{4}", re.IGNORECASE)
_FOLDER: Final = "segmentations"
_ONLY_IN_SECOND: Final = "vertebrae_s1"


def find_totalsegmentator(
    tree: SourceTree, options: TotalsegmentatorOptions, work: Path
) -> FoundSet:
    """Return the cases with their splits.

    Raises:
        InputNotFoundError: There is no ``meta.csv``, or no case.
        CasesError: The table has no column ``image_id`` or ``split``, or a case twice.
        UsageError: Cases have one label map, and ``options.release`` does not say which numbers.
    """
    splits = _splits(tree, work)
    folders = tree.folders()
    found = _case_folders(folders)
    if not found:
        raise InputNotFoundError(
            f"expected folders such as s0000 in {tree.root}, found none",
            hint="Give the folder that holds meta.csv and the case folders.",
        )
    cases = [
        _case(name, splits.get(name, ""), found.get(name), folders, options)
        for name in sorted({*splits, *found})
    ]
    maps = any(len(case.levels) == 1 and not _is_mask(case.levels[0]) for case in cases)
    if maps and options.release is None:
        raise UsageError(
            "expected --release 1 or 2 for cases with one label map, found neither",
            hint="The numbers of vertebrae differ: L3 is 20 in release 1 and 29 in release 2.",
        )
    numbers = FIRST_LABELS if options.release == 1 else TOTALSEGMENTATOR_LABELS
    return FoundSet(_source(cases, options), tuple(cases), options.task(numbers))


def _case_folders(folders: Folders) -> Mapping[str, PurePosixPath]:
    """Return case -> its folder, that on the disk where an archive has it as well."""
    found: dict[str, PurePosixPath] = {}
    archives_first = sorted(folders, key=lambda f: not any(x.member for x in folders[f].values()))
    for folder in archives_first:
        for home in (folder, folder.parent):
            if _CASE.fullmatch(home.name):
                found[home.name.casefold()] = home
    return found


def _source(cases: list[FoundCase], options: TotalsegmentatorOptions) -> DataSource:
    names = {structure_name(Path(file.key)) for case in cases for file in case.levels}
    version, doi = RELEASES[options.release or (2 if _ONLY_IN_SECOND in names else 1)]
    return DataSource(
        name="TotalSegmentator",
        version=version,
        doi=doi,
        license=LICENSE,
        page=f"https://doi.org/{doi}",
        citation=_CITATION,
        notes=_NOTES,
    )


def _splits(tree: SourceTree, work: Path) -> Mapping[str, str]:
    tables = on_disk(file for file in tree.files if file.key == "meta.csv")
    if len(tables) != 1:
        raise InputNotFoundError(
            f"expected one meta.csv in {tree.root}, found {len(tables)}",
            hint="It comes with the data set and says which split a case is in.",
        )
    splits: dict[str, str] = {}
    for row in rows_of(tree, tables[0], work):
        if "image_id" not in row or "split" not in row:
            raise CasesError(
                f"meta.csv: expected columns image_id and split, found {', '.join(row)}"
            )
        name = row["image_id"].casefold()
        if name in splits:
            raise CasesError(f"meta.csv: expected every case once, found {name} twice")
        splits[name] = row["split"].casefold()
    return splits


def _case(
    name: str,
    split: str,
    folder: PurePosixPath | None,
    folders: Folders,
    options: TotalsegmentatorOptions,
) -> FoundCase:
    known = SourceCase(name, name, "TotalSegmentator", LICENSE, split)
    files = folders.get(folder, {}) if folder else {}
    scan = next((files[f"ct{s}"] for s in VOLUME_SUFFIXES if f"ct{s}" in files), None)
    levels = _levels(folder, folders) if folder else ()
    case = FoundCase(known, split if split in SPLITS else "", scan, (), levels)
    for reason in _faults(case, folder, files, options):
        return case.without(reason)
    return case


def _faults(
    case: FoundCase,
    folder: PurePosixPath | None,
    files: Mapping[str, SourceFile],
    options: TotalsegmentatorOptions,
) -> Iterator[str]:
    stated = case.known.split
    if folder is None:
        yield "it was not downloaded"
    elif not case.split:
        found = f"its split is {stated}" if stated else "meta.csv states no split of it"
        yield f"{found}, expected {', '.join(SPLITS)}"
    elif case.scan is None:
        is_mr = any(key.startswith("mri.") for key in files)
        yield "it is an MR image" if is_mr else "no ct.nii.gz was found"
    elif not case.levels:
        yield "no vertebrae were found in its segmentations"
    elif case.known.name in DOUBTFUL and not options.keep_doubtful:
        yield "vertebrae run into one another (issue 394); see --keep-doubtful"


def _levels(folder: PurePosixPath, folders: Folders) -> tuple[SourceFile, ...]:
    """Return masks of vertebrae in files of their own, or the one label map beside the scan."""
    for place, files in folders.items():
        if place.parent == folder and place.name.casefold() == _FOLDER:
            return tuple(file for file in files.values() if _is_mask(file))
    maps = [
        file
        for key, file in folders.get(folder, {}).items()
        if key.endswith(VOLUME_SUFFIXES) and structure_name(Path(key)) not in ("ct", "mri")
    ]
    return tuple(maps) if len(maps) == 1 else ()


def _is_mask(file: SourceFile) -> bool:
    return vertebra_named(structure_name(Path(file.path.name))) is not None
