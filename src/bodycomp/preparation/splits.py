"""Which split a case is in: by patient, from a seed, whatever the order of the rows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bodycomp.data.layout import SPLITS
from bodycomp.errors import UsageError
from bodycomp.preparation.cases import Case, CasesTable
from bodycomp.preparation.options import DEFAULT_FRACTIONS, FACTS, Fractions, PrepareOptions
from bodycomp.preparation.shards import Shard


@dataclass(frozen=True, slots=True)
class PatientTraits:
    """The split that the user gave, if any, and what is alike in patients of a stratum."""

    split: str = ""
    stratum: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AssignedCase:
    """A finished case, its split and the name of its patient in the set."""

    shard: Shard
    split: str
    patient: str


def assign_cases(
    options: PrepareOptions,
    table: CasesTable,
    shards: Sequence[Shard],
    names: dict[str, str],
) -> list[AssignedCase]:
    """Give every finished case its split.

    All patients of the table are shared out, also those whose cases this set leaves out, so that a
    patient is in the same split of both training sets.
    """
    facts: dict[str, Mapping[str, str]] = {}  # of the first scan, where the table lacks a column
    if not set(options.split.stratify) <= set(table.free_columns):
        for shard in shards:
            facts.setdefault(shard.case.patient, shard.record().facts)
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
    return [AssignedCase(s, splits[s.case.patient], shown[s.case.patient]) for s in shards]


def _stratum(
    cases: Sequence[Case], facts: Mapping[str, str], columns: Mapping[str, bool]
) -> tuple[str, ...]:
    """Return what a patient is alike in with others; first of all, what was annotated.

    ``facts`` are those of the first scan; ``columns`` says of names whether they are the table's.
    """
    annotated = (str(any(c.masks for c in cases)), str(any(c.levels for c in cases)))
    values = [
        next((c.further[name] for c in cases if c.further.get(name)), "")
        if in_table
        else facts.get(name, "")
        for name, in_table in columns.items()
    ]
    return (*annotated, *(value.casefold() for value in values))


def check_columns(names: Sequence[str], table: CasesTable, what_for: str) -> None:
    """Check that patients can be compared by these names.

    Raises:
        UsageError: A name is neither a column of the table nor one of ``FACTS``.
    """
    unknown = [name for name in names if name not in (*table.free_columns, *FACTS)]
    if unknown:
        columns = ", ".join(table.free_columns) or "none"
        raise UsageError(
            f"expected columns to {what_for}, found no {', '.join(unknown)}",
            hint=f"The table's own columns are {columns}; scans may state {', '.join(FACTS)}.",
        )


def assign_splits(
    patients: Mapping[str, PatientTraits], fractions: Fractions, seed: int
) -> dict[str, str]:
    """Return patient -> split.

    Patients with a split keep it; the shares hold for the others. Within every stratum the shares
    are met as nearly as whole patients allow. The result depends on the codes, the strata and the
    seed alone. No split with a share stays empty where there are patients enough.
    """
    assigned = {code: traits.split for code, traits in patients.items() if traits.split}
    rest = [code for code in patients if code not in assigned]
    # Patients of a stratum follow one another, so that each stretch of the line is shared fairly.
    line = sorted(shuffled(rest, seed, "split"), key=lambda code: patients[code].stratum)
    counts = split_counts(len(line), fractions)
    taken = [0] * len(SPLITS)
    for place, code in enumerate(line, start=1):
        lag = [
            count * place / len(line) - has if has < count else -math.inf
            for count, has in zip(counts, taken, strict=True)
        ]
        chosen = lag.index(max(lag))
        taken[chosen] += 1
        assigned[code] = SPLITS[chosen]
    return {code: assigned[code] for code in patients}


def split_counts(patients: int, fractions: Fractions) -> tuple[int, ...]:
    """Return how many patients each split gets, by largest remainders.

    >>> split_counts(10, (0.7, 0.15, 0.15)), split_counts(3, (0.7, 0.15, 0.15))
    ((7, 2, 1), (1, 1, 1))
    """
    counts = [math.floor(patients * share + 1e-9) for share in fractions]
    rest = [patients * share - count for share, count in zip(fractions, counts, strict=True)]
    for index in sorted(range(len(counts)), key=lambda i: -rest[i])[: patients - sum(counts)]:
        counts[index] += 1
    for index, share in enumerate(fractions):
        if share > 0 and counts[index] == 0 and max(counts) > 1:
            counts[counts.index(max(counts))] -= 1
            counts[index] = 1
    return tuple(counts)


def pseudonyms(patients: Iterable[str], seed: int) -> dict[str, str]:
    """Return patient -> pseudonym, numbered in an order that reveals nothing of the codes.

    >>> sorted(pseudonyms(["Smith", "Jones"], seed=0).values())
    ['patient-0001', 'patient-0002']
    """
    order = shuffled(patients, seed, "pseudonym")
    return {code: f"patient-{number:04d}" for number, code in enumerate(order, start=1)}


def shuffled(codes: Iterable[str], seed: int, purpose: str) -> list[str]:
    """Return codes in an order of the seed's and the purpose's, whatever order they came in."""
    key = f"{seed} {purpose}".encode()[:64]
    return sorted(codes, key=lambda code: hashlib.blake2b(code.encode(), key=key).digest())
