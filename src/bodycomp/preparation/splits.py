"""Who is in which split: by patient, from a seed, whatever the order of the rows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bodycomp.data.layout import SPLITS
from bodycomp.errors import UsageError
from bodycomp.preparation.cases import Fractions

DEFAULT_FRACTIONS: Final[Fractions] = (0.7, 0.15, 0.15)


@dataclass(frozen=True, slots=True)
class PatientTraits:
    """What decides about a patient's split.

    Attributes:
        split: The split that the user gave; empty where it shall be drawn.
        stratum: Patients alike in this are spread over the splits like all patients.
    """

    split: str = ""
    stratum: tuple[str, ...] = ()


def check_fractions(fractions: Fractions) -> Fractions:
    """Return shares of train, val and test if they can be used.

    Raises:
        UsageError: A share is negative, or they do not add up to 1.
    """
    if not all(f >= 0 for f in fractions) or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise UsageError(
            f"expected shares of train, val and test that add up to 1, found {fractions}",
            hint="For instance 0.7 0.15 0.15, or 0.8 0.2 0 without a test split.",
        )
    return fractions


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
    # Patients of a stratum follow one another, so that each piece of the line is shared fairly.
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
    """Return patient -> pseudonym, numbered in an order that tells nothing of the codes.

    >>> sorted(pseudonyms(["Smith", "Jones"], seed=0).values())
    ['patient-0001', 'patient-0002']
    """
    order = shuffled(patients, seed, "pseudonym")
    return {code: f"patient-{number:04d}" for number, code in enumerate(order, start=1)}


def shuffled(codes: Iterable[str], seed: int, purpose: str) -> list[str]:
    """Return codes in an order of the seed's and the purpose's, whatever order they came in."""
    key = f"{seed} {purpose}".encode()[:64]
    return sorted(codes, key=lambda code: hashlib.blake2b(code.encode(), key=key).digest())
