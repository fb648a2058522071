"""Every finished case gets its split, and its patient the name that the set has for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bodycomp.errors import UsageError
from bodycomp.preparation.assemble import Placed
from bodycomp.preparation.cases import Case, CasesTable
from bodycomp.preparation.conflicts import FinishedCase
from bodycomp.preparation.options import FACTS, PrepareOptions
from bodycomp.preparation.splits import DEFAULT_FRACTIONS, PatientTraits, assign_splits


def place(
    options: PrepareOptions,
    table: CasesTable,
    finished: Sequence[FinishedCase],
    names: dict[str, str],
) -> list[Placed]:
    """Give every finished case its split.

    All patients of the table are shared out, also those whose cases this set leaves out, so that a
    patient is in the same split of both training sets.
    """
    facts = _facts(options, table, finished)
    columns = {n: n in table.free_columns for n in options.split.stratify}
    of_patient: dict[str, list[Case]] = {}
    for case in table.cases:
        of_patient.setdefault(case.patient, []).append(case)
    traits = {
        code: PatientTraits(
            split=next((case.split for case in cases if case.split), ""),
            stratum=_stratum(cases, facts.get(code, {}), columns),
        )
        for code, cases in of_patient.items()
    }
    fractions = options.split.fractions or DEFAULT_FRACTIONS
    splits = assign_splits(traits, fractions, options.split.seed)
    shown = {code: code for code in names} if options.identifiers else names
    return [Placed(item, splits[item.case.patient], shown[item.case.patient]) for item in finished]


def _facts(
    options: PrepareOptions, table: CasesTable, finished: Sequence[FinishedCase]
) -> dict[str, dict[str, str]]:
    """Return patient -> facts of the first scan, if any are asked for that the table lacks."""
    if set(options.split.stratify) <= set(table.free_columns):
        return {}
    facts: dict[str, dict[str, str]] = {}
    for item in finished:
        facts.setdefault(item.case.patient, dict(item.record().facts))
    return facts


def _stratum(
    cases: Sequence[Case], facts: Mapping[str, str], columns: Mapping[str, bool]
) -> tuple[str, ...]:
    """Return what a patient is alike in with others; first of all, what was annotated.

    Args:
        cases: Of one patient.
        facts: What the patient's first scan tells.
        columns: Name to stratify by -> whether it is a column of the table, else a fact.
    """
    annotated = (str(any(c.masks for c in cases)), str(any(c.levels for c in cases)))
    values = [
        next((c.further[name] for c in cases if c.further.get(name)), "")
        if in_table
        else facts.get(name, "")
        for name, in_table in columns.items()
    ]
    return (*annotated, *(value.casefold() for value in values))


def check_strata(names: Sequence[str], table: CasesTable) -> None:
    """Check that patients can be told alike by these names.

    Raises:
        UsageError: A name is neither a column of the table nor one of ``FACTS``.
    """
    unknown = [name for name in names if name not in (*table.free_columns, *FACTS)]
    if unknown:
        columns = ", ".join(table.free_columns) or "none"
        raise UsageError(
            f"expected columns to stratify by, found no {', '.join(unknown)}",
            hint=f"The table's own columns are {columns}; scans may tell {', '.join(FACTS)}.",
        )
