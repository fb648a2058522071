"""A published data set -> training set: its reader, then the preparation of the cases it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from bodycomp.errors import CasesError
from bodycomp.preparation.cases import CasesTable
from bodycomp.preparation.options import PrepareTask
from bodycomp.preparation.run import PrepareSummary, prepare
from bodycomp.preparation.shards import work_folder
from bodycomp.preparation.source_record import SourceRecord
from bodycomp.preparation.sources.found import FoundSet, case_of, leave_out
from bodycomp.preparation.sources.licenses import with_licenses
from bodycomp.preparation.sources.options import SarosOptions, SourceOptions
from bodycomp.preparation.sources.saros import find_saros, saros_task
from bodycomp.preparation.sources.tree import SourceTree
from bodycomp.progress import Progress

UNPACKED_NAME: Final = "unpacked"
"""Folder of what came out of zip files, among the finished cases."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How one layout is read: its cases, and what is made of them."""

    find: Callable[[SourceTree, Any, Path], FoundSet]
    task: Callable[[Any], PrepareTask]


READERS: Final[dict[type[SourceOptions], Reader]] = {
    SarosOptions: Reader(find_saros, saros_task),
}


def prepare_source(options: SourceOptions, progress: Progress) -> PrepareSummary:
    """Make a training set of a published data set.

    Raises:
        InputNotFoundError: The data set is not there, or lacks what its layout needs.
        CasesError: Its tables have faults, or no case is left.
        OutputError, RunInterruptedError, UsageError: As ``prepare``.
    """
    reader = READERS[type(options)]
    preparing = options.preparing(reader.task(options))
    return prepare(preparing, progress, partial(_read, options, reader, preparing.parts, progress))


def _read(options: SourceOptions, reader: Reader, parts: Path, progress: Progress) -> CasesTable:
    """Return the cases of the data set; what is in zip files is unpacked beside the set."""
    tree = SourceTree(options.folder)
    with work_folder(parts):
        work = parts / UNPACKED_NAME
        work.mkdir(exist_ok=True, mode=0o700)
        found = with_licenses(reader.find(tree, options, work), options.license_table)
        found = leave_out(found, commercial=options.licenses == "commercial")
        chosen = [case for case in found.cases if not case.known.left_out]
        if not chosen:
            raise CasesError(
                f"expected at least one case of {found.source.name} that can be used, found none"
                f"{_reasons(found)}",
                hint="Look at what was downloaded, and at --licenses.",
            )
        tree.check_room((file for case in chosen for file in case.files), work)
        cases = []
        for done, case in enumerate(chosen, start=1):
            cases.append(case_of(case, tree, work))
            progress("unpacking", done, len(chosen))
    known = tuple(case.known for case in found.cases)
    return CasesTable(tuple(cases), source=SourceRecord(found.source, known))


def _reasons(found: FoundSet) -> str:
    counts: dict[str, int] = {}
    for case in found.cases:
        counts[case.known.left_out] = counts.get(case.known.left_out, 0) + 1
    return "".join(f"\n  {number} cases: {reason}" for reason, number in counts.items())
