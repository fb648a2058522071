"""VerSe: CTs of spines with every vertebra, among them many with transitional ones.

    training/rawdata/sub-verse000/sub-verse000_dir-ax_ct.nii.gz
    training/derivatives/sub-verse000/sub-verse000_dir-ax_seg-vert_msk.nii.gz
                                      sub-verse000_dir-ax_seg-subreg_ctd.json

Folders are called ``dataset-verse19training`` and the like in the archives of the authors. Patients
with several scans have ``sub-verse401_split-verse253_ct.nii.gz``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bodycomp.annotation.centroids import VERSE_LABELS
from bodycomp.errors import InputNotFoundError
from bodycomp.preparation.source_record import DataSource, SourceCase
from bodycomp.preparation.sources.found import FoundCase, FoundSet
from bodycomp.preparation.sources.options import VerseOptions
from bodycomp.preparation.sources.tree import SourceFile, SourceTree, on_disk

LICENSE: Final = "CC BY-SA 4.0"
SOURCE: Final = DataSource(
    name="VerSe",
    version="2019 and 2020, restructured by subject",
    doi="10.1016/j.media.2021.102166",
    license=LICENSE,
    page="https://github.com/anjany/verse",
    citation="Sekuboyina A, Husseini ME, Bayat A, et al. VerSe: a vertebrae labelling and "
    "segmentation benchmark for multi-detector CT images. Med Image Anal 73, 102166 (2021)",
    notes=(
        "Share alike: what is made of it and passed on keeps its license.",
        "161 vertebrae are transitional; L6 and T13 are levels of their own, as annotated.",
        "Levels are the mid-height of the vertebral body in the masks, else its centroid.",
    ),
)
_SCAN: Final = re.compile(r"(?P<case>(?P<patient>sub-[a-z0-9]+).*)_ct\.nii(\.gz)?", re.IGNORECASE)
_MASK: Final = re.compile(r"(?P<case>sub-.+)_seg-vert_msk\.nii(\.gz)?", re.IGNORECASE)
_CENTROIDS: Final = re.compile(r"(?P<case>sub-.+)_seg-(subreg|vb)_ctd\.json", re.IGNORECASE)
_SPLITS: Final = {"training": "train", "validation": "val", "test": "test"}
_SPLIT: Final = re.compile(rf".*({'|'.join(_SPLITS)})", re.IGNORECASE)
_CHALLENGE: Final = re.compile(r"(verse|gl)\d+(_seg)?\.nii(\.gz)?", re.IGNORECASE)


def find_verse(tree: SourceTree, options: VerseOptions, _work: Path) -> FoundSet:
    """Return the scans with the split of their folder.

    Raises:
        InputNotFoundError: There is no scan of the restructured data set.
    """
    scans = dict(_by_case(tree, _SCAN))
    masks = dict(_by_case(tree, _MASK))
    if not scans:
        has_old = any(_CHALLENGE.fullmatch(file.path.name) for file in tree.files)
        raise InputNotFoundError(
            f"expected scans such as rawdata/sub-verse000/sub-verse000_ct.nii.gz in {tree.root}, "
            f"found {'the files of the challenge' if has_old else 'none'}",
            hint="Get the data set restructured by subject, which its authors recommend.",
        )
    centroids = dict(_by_case(tree, _CENTROIDS))
    cases = [
        _case(key, files, masks.get(key) or centroids.get(key, []))
        for key, files in sorted(scans.items())
    ]
    cases += [
        FoundCase(SourceCase(case, license=LICENSE, split=split)).without("no scan was found")
        for case, split in sorted(masks.keys() - scans.keys())
    ]
    return FoundSet(SOURCE, tuple(cases), options.task(VERSE_LABELS))


Key = tuple[str, str]
"""The scan's name, and the data set's word for the split."""


def _by_case(tree: SourceTree, form: re.Pattern[str]) -> Mapping[Key, list[SourceFile]]:
    found: dict[Key, list[SourceFile]] = {}
    for file in tree.files:
        named = form.fullmatch(file.path.name)
        if named:
            found.setdefault((named["case"].casefold(), _stated_split(file)), []).append(file)
    return {key: on_disk(files) for key, files in found.items()}


def _stated_split(file: SourceFile) -> str:
    """Return the split that a folder's name ends with or holds, empty if none does."""
    names = (_SPLIT.match(part) for part in reversed(file.path.parts[:-1]))
    return next((found[1].casefold() for found in names if found), "")


def _case(key: Key, scans: list[SourceFile], levels: list[SourceFile]) -> FoundCase:
    name, stated = key
    named = _SCAN.fullmatch(scans[0].path.name)
    patient = named["patient"].casefold() if named else name
    known = SourceCase(name, patient, "VerSe", LICENSE, stated)
    case = FoundCase(known, _SPLITS.get(stated, ""), scans[0], (), tuple(levels))
    for reason in _faults(stated, scans, levels):
        case = case.without(reason)
    return case


def _faults(stated: str, scans: list[SourceFile], levels: list[SourceFile]) -> Iterator[str]:
    if not stated:
        yield f"no folder above it is called {', '.join(_SPLITS)}"
    if not levels:
        yield "neither a mask of vertebrae nor centroids were found"
    if len(scans) > 1 or len(levels) > 1:
        yield f"it was found {max(len(scans), len(levels))} times"
