"""The same metrics for patients who are alike in something."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from bodycomp.agreement.statistics import MIN_PATIENTS
from bodycomp.errors import UsageError
from bodycomp.evaluation.case_run import CaseOutcome, CaseOutcomes
from bodycomp.evaluation.end_to_end import end_to_end_section
from bodycomp.evaluation.options import BootstrapOptions
from bodycomp.evaluation.slice_selection import levels_section

MANY_VALUES: Final = 6
"""A column of numbers with more different values than this is divided into thirds."""

NOT_STATED: Final = "not stated"


@dataclass(frozen=True, slots=True)
class SubgroupColumn:
    """A column to make subgroups by.

    Attributes:
        column: Its name, or the name of a fact that scans state.
        edges: Where numbers are divided; a value at an edge belongs to the group above it. None
            for one group per value, or thirds of many numbers.
    """

    column: str
    edges: tuple[float, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``sex`` or ``bmi:25,30``.

        Raises:
            UsageError: Edges that are no ascending numbers.

        >>> SubgroupColumn.parse("bmi:25,30").edges
        (25.0, 30.0)
        """
        column, colon, listed = (part.strip() for part in text.partition(":"))
        try:
            edges = tuple(float(edge) for edge in listed.split(",")) if colon else None
        except ValueError:
            edges = ()
        if not column or (edges is not None and not _ascend(edges)):
            raise UsageError(
                f"expected a column with or without ascending edges, found {text!r}",
                hint="For instance --by sex bmi:25,30.",
            )
        return cls(column.casefold(), edges)

    def groups(self, values: Sequence[str]) -> list[str]:
        """Return the group of each value, given those of all cases.

        Raises:
            UsageError: Edges for a column that has text.
        """
        numbers = [_number(value) for value in values]
        stated = [n for n, value in zip(numbers, values, strict=True) if value.strip()]
        are_numbers = bool(stated) and None not in stated
        if self.edges is not None and not are_numbers:
            found = next((v for v, n in zip(values, numbers, strict=True) if n is None), "nothing")
            raise UsageError(
                f"expected numbers in the column {self.column}, which is divided at "
                f"{', '.join(f'{edge:g}' for edge in self.edges)}, found {found!r}"
            )
        edges = self.edges
        if edges is None and are_numbers and len(set(stated)) > MANY_VALUES:
            known = np.array(stated, np.float64)
            edges = tuple(float(edge) for edge in np.unique(np.quantile(known, (1 / 3, 2 / 3))))
        if edges is None:
            return [value.strip() or NOT_STATED for value in values]
        return [NOT_STATED if n is None else _bin(n, edges) for n in numbers]


def subgroups_section(
    outcomes: CaseOutcomes, columns: Sequence[SubgroupColumn], options: BootstrapOptions
) -> list[dict[str, Any]]:
    """Return one entry per column and group: counts, a warning where few, and sections."""
    return [
        {
            "column": column.column,
            "group": group,
            **_counts(own),
            "slice_selection": levels_section(own.levels(), options),
            "end_to_end": end_to_end_section(own.tissues(), own.without_mask(), options),
        }
        for column in columns
        for group, own in _split_by(outcomes, column).items()
    ]


def groups_of(outcomes: CaseOutcomes, column: SubgroupColumn) -> list[str]:
    """Return the group of every case."""
    return column.groups(_values(outcomes, column))


def _values(outcomes: CaseOutcomes, column: SubgroupColumn) -> list[str]:
    return [case.facts.get(column.column, "") for case in outcomes.cases]


def _split_by(outcomes: CaseOutcomes, column: SubgroupColumn) -> Mapping[str, CaseOutcomes]:
    """Return group -> its cases, numbers in ascending order and what is not stated last."""
    cases: dict[str, list[CaseOutcome]] = {}
    lowest: dict[str, tuple[bool, float, str]] = {}
    values, groups = _values(outcomes, column), groups_of(outcomes, column)
    for case, value, group in zip(outcomes.cases, values, groups, strict=True):
        number = _number(value)
        place = (group == NOT_STATED, np.inf if number is None else number, group)
        lowest[group] = min(lowest.get(group, place), place)
        cases.setdefault(group, []).append(case)
    return {
        group: CaseOutcomes(tuple(cases[group]), ())
        for group in sorted(lowest, key=lowest.__getitem__)
    }


def _counts(outcomes: CaseOutcomes) -> dict[str, Any]:
    patients = len({case.names.patient for case in outcomes.cases})
    counts: dict[str, Any] = {"cases": len(outcomes.cases), "patients": patients}
    if patients < MIN_PATIENTS:
        counts["warning"] = (
            f"{patients} patients, fewer than {MIN_PATIENTS}: too few to say anything"
        )
    return counts


def _bin(number: float, edges: tuple[float, ...]) -> str:
    place = int(np.searchsorted(edges, number, side="right"))
    if place == 0:
        return f"below {edges[0]:.4g}"
    if place == len(edges):
        return f"{edges[-1]:.4g} or more"
    return f"{edges[place - 1]:.4g} to {edges[place]:.4g}"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _ascend(edges: Sequence[float]) -> bool:
    finite = bool(edges) and all(np.isfinite(edge) for edge in edges)
    return finite and all(a < b for a, b in itertools.pairwise(edges))
