"""Which samples of a training set a person should look at: random ones, and suspicious ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

import numpy as np
from numpy.typing import NDArray

FEWEST_OF_A_SPLIT: Final = 4
UNUSUAL_DEVIATIONS: Final = 6.0
"""Robust standard deviations from the set's median beyond which a number is worth a look."""

MAD_TO_SD: Final = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""

SampleKey = tuple[str, int]
"""Split and index."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a sample should be looked at: a rule with its severity, or what is unusual, ``plain``."""

    sample: SampleKey
    code: str
    severity: str


@dataclass(frozen=True, eq=False)
class Choice:
    """Samples to show, each with its reasons; random ones have none."""

    samples: tuple[SampleKey, ...]
    reasons: Mapping[SampleKey, tuple[Suspicion, ...]] = field(default_factory=dict)


def choose_random(
    sizes: Mapping[str, int], patients: Mapping[str, Sequence[str]], count: int, seed: int = 0
) -> Choice:
    """Draw ``count`` samples of as many patients as possible, of every split at least four.

    ``patients`` has the patient of each sample of the splits that know them.
    """
    total = sum(sizes.values())
    chosen: list[SampleKey] = []
    for split, size in sizes.items():
        wanted = min(size, max(FEWEST_OF_A_SPLIT, round(count * size / max(total, 1))))
        order = np.random.default_rng(seed).permutation(size).tolist()
        names = patients.get(split, ())
        chosen += [(split, index) for index in sorted(_spread(order, names)[:wanted])]
    return Choice(tuple(chosen))


def _spread(order: list[int], patients: Sequence[str]) -> list[int]:
    """Bring the first sample of each patient to the front, then the second, and so on."""
    if not patients:
        return order
    seen: dict[str, int] = {}
    rank = {}
    for index in order:
        rank[index] = seen.get(patients[index], 0)
        seen[patients[index]] = rank[index] + 1
    return sorted(order, key=rank.__getitem__)


def choose_suspicious(suspicions: Iterable[Suspicion], count: int) -> Choice:
    """Choose samples so that every rule is seen: the first of each, then the second of each.

    Errors go before warnings, and these before what is unusual only.
    """
    by_rule: dict[tuple[int, str], list[Suspicion]] = {}
    reasons: dict[SampleKey, dict[str, Suspicion]] = {}
    order = {"error": 0, "warning": 1}
    for suspicion in suspicions:
        rule = (order.get(suspicion.severity, 2), suspicion.code)
        by_rule.setdefault(rule, []).append(suspicion)
        reasons.setdefault(suspicion.sample, {})[suspicion.code] = suspicion
    chosen: dict[SampleKey, tuple[Suspicion, ...]] = {}
    for rank in (0, 1, 2):
        rules = [found for rule, found in sorted(by_rule.items()) if rule[0] == rank]
        for turn in zip_longest(*rules):
            for suspicion in filter(None, turn):
                if len(chosen) < count:
                    found = tuple(reasons[suspicion.sample].values())
                    chosen.setdefault(suspicion.sample, found)
    return Choice(tuple(chosen), chosen)


def unusual(
    what: str, values: Mapping[str, NDArray[np.floating]], limit: float = UNUSUAL_DEVIATIONS
) -> list[Suspicion]:
    """Return the samples whose number lies far from the median of the whole set, farthest first.

    NaN takes no part; ``limit`` is in robust standard deviations.
    """
    everything = np.concatenate([*values.values(), np.empty(0)])
    everything = everything[np.isfinite(everything)]
    if not everything.size:
        return []
    middle = float(np.median(everything))
    spread = MAD_TO_SD * float(np.median(np.abs(everything - middle)))
    if spread == 0:
        return []
    found = [
        (abs(float(value) - middle) / spread, (split, index))
        for split, numbers in values.items()
        for index, value in enumerate(numbers)
        if abs(float(value) - middle) > limit * spread
    ]
    return [
        Suspicion(sample, f"unusual {what}", "plain")
        for _, sample in sorted(found, key=lambda item: (-item[0], item[1]))
    ]
