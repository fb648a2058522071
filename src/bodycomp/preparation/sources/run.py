"""A published data set -> training set: its reader, then the preparation of the cases it found."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bodycomp.errors import BodycompError, CasesError
from bodycomp.preparation.cases import CasesTable
from bodycomp.preparation.options import MaskTask
from bodycomp.preparation.run import PrepareSummary, check_out, prepare_cases
from bodycomp.preparation.shards import LOCK_NAME, work_folder
from bodycomp.preparation.source_record import SourceRecord
from bodycomp.preparation.sources.found import FoundSet, case_of, leave_out
from bodycomp.preparation.sources.licenses import with_licenses
from bodycomp.preparation.sources.nnunet import find_nnunet
from bodycomp.preparation.sources.options import (
    NnunetOptions,
    SarosOptions,
    SourceOptions,
    TagOptions,
    TotalsegmentatorOptions,
    VerseOptions,
)
from bodycomp.preparation.sources.saros import find_saros
from bodycomp.preparation.sources.tag import find_tag
from bodycomp.preparation.sources.totalsegmentator import find_totalsegmentator
from bodycomp.preparation.sources.tree import SourceTree
from bodycomp.preparation.sources.verse import find_verse
from bodycomp.progress import Progress

UNPACKED_NAME: Final = "unpacked"
"""Folder of what came out of zip files, among the finished cases."""

Reader = Callable[[SourceTree, Any, Path], FoundSet]

READERS: Final[dict[type[SourceOptions], Reader]] = {
    SarosOptions: find_saros,
    TotalsegmentatorOptions: find_totalsegmentator,
    VerseOptions: find_verse,
    NnunetOptions: find_nnunet,
    TagOptions: find_tag,
}


def prepare_source(options: SourceOptions, progress: Progress) -> PrepareSummary:
    """Make a training set of a published data set.

    Raises:
        InputNotFoundError: The data set is not there, or lacks what its layout needs.
        CasesError: Its tables have faults, or no case is left.
        OutputError, RunInterruptedError, UsageError: As ``prepare``.
    """
    preparing = options.preparing(MaskTask())  # what is made, the data set says
    check_out(preparing)
    tree = SourceTree(options.folder)
    try:
        with work_folder(preparing.parts):
            work = preparing.parts / UNPACKED_NAME
            work.mkdir(exist_ok=True, mode=0o700)
            found = _find(options, tree, work)
            table = _table(found, tree, work, progress)
    except BodycompError:
        _remove_if_empty(preparing.parts)
        raise
    return prepare_cases(replace(preparing, task=found.task), table, progress)


def _remove_if_empty(parts: Path) -> None:
    """Remove the folder of finished cases if nothing was finished or unpacked."""
    files = (path for path in parts.rglob("*") if path.is_file())
    if all(path.name == LOCK_NAME for path in files):
        shutil.rmtree(parts, ignore_errors=True)


def _find(options: SourceOptions, tree: SourceTree, work: Path) -> FoundSet:
    """Return the cases of the data set, with reasons where they are left out."""
    found = with_licenses(READERS[type(options)](tree, options, work), options.license_table)
    found = leave_out(found, commercial=options.licenses == "commercial")
    if all(case.known.left_out for case in found.cases):
        reasons = Counter(case.known.left_out for case in found.cases)
        said = "".join(f"\n  {number} of them: {reason}" for reason, number in reasons.items())
        raise CasesError(
            f"expected a case of {found.source.name} that can be used, found none in "
            f"{len(found.cases)}{said}",
            hint="Look at what was downloaded, and at --licenses.",
        )
    return found


def _table(found: FoundSet, tree: SourceTree, work: Path, progress: Progress) -> CasesTable:
    """Return the cases to prepare, unpacked beside the set where they are in zip files."""
    chosen = [case for case in found.cases if not case.known.left_out]
    tree.check_room((file for case in chosen for file in case.files), work)
    cases = []
    for done, case in enumerate(chosen, start=1):
        cases.append(case_of(case, tree, work))
        progress("unpacking", done, len(chosen))
    known = tuple(case.known for case in found.cases)
    return CasesTable(tuple(cases), source=SourceRecord(found.source, known))
