"""What cases and patients are called in an evaluation: numbers, unless codes are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bodycomp.evaluation.level_rows import SeriesNames
from bodycomp.preparation.splits import pseudonyms


def name_series(patients: Sequence[str], *, identifiers: bool) -> list[SeriesNames]:
    """Return the names of series, in their order, given whose each one is.

    Patients are numbered in an order that tells nothing of their codes. A case has its patient's
    name, with a number where the patient has several.

    >>> [names.case for names in name_series(["b", "a", "b"], identifiers=True)]
    ['b-1', 'a', 'b-2']
    """
    shown = {p: p for p in patients} if identifiers else pseudonyms(set(patients), seed=0)
    total, seen = Counter(patients), Counter[str]()
    named = []
    for patient in patients:
        seen[patient] += 1
        number = f"-{seen[patient]}" if total[patient] > 1 else ""
        named.append(SeriesNames(f"{shown[patient]}{number}", shown[patient]))
    return named
