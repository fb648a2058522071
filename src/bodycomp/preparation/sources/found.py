"""Cases as readers find them in a data set, and which of them are left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.annotation.labels import LabelMapping
from bodycomp.errors import CasesError
from bodycomp.preparation.cases import Case
from bodycomp.preparation.options import PrepareTask
from bodycomp.preparation.source_duplicates import COUNTING
from bodycomp.preparation.source_record import DataSource, SourceCase, allows_commercial
from bodycomp.preparation.sources.tree import SourceFile, SourceTree
from bodycomp.user_table import read_user_table


@dataclass(frozen=True, slots=True)
class FoundCase:
    """A case of a data set: what is known of it, its files, and the split it comes into.

    ``levels`` are files of one folder, or a single one; ``labeled`` is as for ``Case``.
    """

    known: SourceCase
    split: str = ""
    scan: SourceFile | None = None
    masks: tuple[SourceFile, ...] = ()
    levels: tuple[SourceFile, ...] = ()
    labeled: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """All files that are needed of it."""
        return (*((self.scan,) if self.scan else ()), *self.masks, *self.levels)

    def without(self, reason: str) -> FoundCase:
        """Return the case as one that is left out, unless it is already."""
        if self.known.left_out:
            return self
        return replace(self, known=replace(self.known, left_out=reason))


@dataclass(frozen=True, slots=True)
class FoundSet:
    """What a reader found, and what is made of it."""

    source: DataSource
    cases: tuple[FoundCase, ...]
    task: PrepareTask


def leave_out(found: FoundSet, *, commercial: bool) -> FoundSet:
    """Leave out cases by license, and those of patients that are in several splits."""
    cases = found.cases
    if commercial:
        cases = tuple(map(_commercial_alone, cases))
    return replace(found, cases=tuple(_without_leaks(cases)))


def _commercial_alone(case: FoundCase) -> FoundCase:
    name = case.known.license
    if not name:
        return case.without("its license is not known: state it with --license-table")
    if not allows_commercial(name):
        return case.without(f"its license, {name}, is not known to allow commercial use")
    return case


def _without_leaks(cases: Sequence[FoundCase]) -> Iterable[FoundCase]:
    of_patient: dict[str, str] = {}
    for case in cases:
        if not case.known.left_out:
            best = of_patient.get(case.known.patient, "")
            of_patient[case.known.patient] = max(best, case.split, key=COUNTING.index)
    for case in cases:
        kept = of_patient.get(case.known.patient, "")
        yield (case.without(f"its patient is in {kept} as well") if kept != case.split else case)


def case_of(found: FoundCase, tree: SourceTree, work: Path) -> Case:
    """Return the case that is prepared, its files on the disk."""
    scan, *others = tree.local(found.files, work)
    masks, levels = others[: len(found.masks)], others[len(found.masks) :]
    known = found.known
    return Case(
        where=known.name,
        patient=known.patient,
        scan=scan,
        masks=tuple(masks),
        levels=levels[0].parent if len(levels) > 1 else levels[0] if levels else None,
        split=found.split,
        labeled=found.labeled,
        source_case=known.name,
        source_split=known.split,
    )


def rows_of(tree: SourceTree, file: SourceFile, work: Path) -> list[dict[str, str]]:
    """Return the rows of a table in a data set, by names of columns such as ``image_id``.

    Raises:
        CasesError: It is no table that can be read.
    """
    (path,) = tree.local([file], work)
    return rows_of_file(path)


def rows_of_file(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table; case, blanks and hyphens of column names do not count."""
    table = read_user_table(path, "cases", CasesError)
    return [{_plain(name): value for name, value in row.cells.items()} for row in table.rows]


def _plain(column: str) -> str:
    return "_".join(column.casefold().replace("-", " ").replace("_", " ").split())


def cell(row: Mapping[str, str], *names: str) -> str:
    """Return the cell of the first of some columns that has a value."""
    return next((row[name] for name in names if row.get(name)), "")


def patients_of_cases(path: Path | None) -> Mapping[str, str]:
    """Return case -> patient of a user's table; none without one."""
    found: dict[str, str] = {}
    for row in rows_of_file(path) if path else []:
        case, patient = cell(row, "case", "case_id"), cell(row, "patient", "patient_id")
        if not case or not patient:
            raise CasesError("patients: expected columns case and patient with a value in each row")
        found[case] = patient
    return found


def labeled_by(mapping: LabelMapping) -> tuple[str, ...]:
    """Return the tissues that labels tell apart, none if all are, as for ``Case``."""
    meant = set(mapping.labels.values())
    found = tuple(tissue.key for tissue in ABDOMINAL_TISSUES if tissue.label in meant)
    return found if len(found) < len(ABDOMINAL_TISSUES) else ()
