"""Which samples each step sees: a pure function of seed and step, so that a resume needs no state.

A run is one stream of steps over all its epochs. Every epoch sees each sample once, in an order of
its own. Its batches differ in size by one at most: the last one is neither dropped nor tiny.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Share:
    """One process's part of a batch.

    Attributes:
        indices: Samples of this process, at least one.
        weight: What this process's mean loss counts in the mean over processes, so that the
            gradient is that of the whole batch; 0 if the batch had too few samples for all.
    """

    indices: tuple[int, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The batches of a training.

    Attributes:
        batch_size: Largest number of samples per step, all processes together.
    """

    samples: int
    batch_size: int
    seed: int
    rank: int = 0
    world: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every sample is seen once."""
        return -(-self.samples // self.batch_size)

    def epoch_of(self, step: int) -> float:
        """Return epochs done before ``step``, with the fraction of the running one."""
        return step / self.steps_per_epoch

    def batch(self, step: int) -> NDArray[np.int64]:
        """Return the samples of a step, all processes together."""
        epoch, position = divmod(step, self.steps_per_epoch)
        order = _order(self.samples, self.seed, epoch)
        bounds = [self.samples * p // self.steps_per_epoch for p in (position, position + 1)]
        return order[bounds[0] : bounds[1]]

    def share(self, step: int) -> Share:
        """Return this process's part of the batch of a step."""
        batch = self.batch(step)
        own = batch[self.rank :: self.world]
        if own.size == 0:  # every process must take part in each step
            return Share((int(batch[0]),), 0.0)
        return Share(tuple(own.tolist()), own.size * self.world / batch.size)

    def shares(self, start: int, stop: int) -> Iterator[list[int]]:
        """Yield this process's samples of steps ``start`` to ``stop``."""
        for step in range(start, stop):
            yield list(self.share(step).indices)


@lru_cache(maxsize=2)
def _order(samples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    order: NDArray[np.int64] = np.random.default_rng([seed, epoch]).permutation(samples)
    order.setflags(write=False)
    return order


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of everything random within one step of one process (63 bits)."""
    word = np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0]
    return int(word >> np.uint64(1))
