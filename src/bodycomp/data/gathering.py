"""Facts and details of every sample of a set, gathered while its files are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bodycomp.data.details import DetailStore


@dataclass(frozen=True, eq=False)
class Gathered:
    """What was seen of every sample; threads may write different samples at once.

    Attributes:
        facts: Split -> facts of its samples.
        store: Details of all samples, splits one after another.
        starts: Split -> place of its first sample in the store.
    """

    facts: dict[str, NDArray[np.void]]
    store: DetailStore
    starts: dict[str, int]

    def put(self, split: str, index: int, seen: tuple[np.void, np.void]) -> None:
        """Keep the facts and the details of a sample."""
        self.facts[split][index], detail = seen
        self.store.write(self.starts[split] + index, detail)

    def together(self, name: str) -> NDArray[np.generic]:
        """Return one fact of all samples, splits one after another."""
        columns = [facts[name] for facts in self.facts.values()]
        return np.concatenate(columns) if columns else np.zeros(0)

    def sample(self, position: int) -> tuple[str, int]:
        """Return split and index of a place in the store."""
        split = [name for name, start in self.starts.items() if start <= position][-1]
        return split, position - self.starts[split]


def gather_into(counts: Mapping[str, int], kind: DTypeLike) -> Gathered:
    """Return room for so many samples of each split."""
    used = {split: count for split, count in counts.items() if count}
    facts = {split: np.zeros(count, kind) for split, count in used.items()}
    ends = np.cumsum([0, *used.values()]).tolist()
    return Gathered(facts, DetailStore(ends[-1]), dict(zip(used, ends, strict=False)))


def evenly(count: int, most: int) -> list[int]:
    """Return up to ``most`` of the numbers 0..count-1, evenly spread, with the first and the last.

    >>> evenly(10, 4), evenly(3, 4), evenly(0, 4)
    ([0, 3, 6, 9], [0, 1, 2], [])
    """
    if count <= most:
        return list(range(count))
    return [place * (count - 1) // (most - 1) for place in range(most)]
