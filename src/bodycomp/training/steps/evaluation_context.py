"""How networks are run on a split: device, precision, this process's part of the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from bodycomp.data.datasets import SampleSet, network_input
from bodycomp.training.machine.devices import Precision, autocast
from bodycomp.training.machine.ranks import Ranks
from bodycomp.training.steps.batch_loader import make_loader


@dataclass(frozen=True, eq=False)
class EvaluationContext:
    """Where a network runs, and which samples are this process's.

    Attributes:
        ranks: This process's rank, and how results are summed over all.
        progress: Called with the samples done and all samples of this process.
        interrupted: Asked between batches; True ends the run with ``EvaluationStopped``.
    """

    device: torch.device
    precision: Precision
    batch_size: int
    num_workers: int = 0
    ranks: Ranks = Ranks()  # noqa: RUF009 - frozen
    progress: Callable[[int, int], None] = field(default=lambda done, total: None)
    interrupted: Callable[[], bool] = field(default=lambda: False)

    def predictions(
        self, network: nn.Module, dataset: SampleSet, chosen: Sequence[int] | None = None
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield indices, logits (float32) and truth of this process's samples, batch by batch.

        The network is in evaluation mode meanwhile.
        """
        shown = range(len(dataset)) if chosen is None else chosen
        own = list(shown[self.ranks.rank :: self.ranks.world])
        batches = [own[at : at + self.batch_size] for at in range(0, len(own), self.batch_size)]
        loader = make_loader(dataset, batches, num_workers=self.num_workers)
        was_training = network.training
        network.eval()
        done = 0
        try:
            for indices, (images, truth) in zip(batches, loader, strict=True):
                if self.interrupted():
                    raise EvaluationStopped
                raw = images.to(self.device, non_blocking=True)
                with torch.no_grad(), autocast(self.device, self.precision):
                    logits = network(network_input(raw, dataset.preprocessing)).float()
                yield torch.tensor(indices), logits, truth.to(self.device, non_blocking=True)
                done += len(indices)
                self.progress(done, len(own))
        finally:
            network.train(was_training)


class EvaluationStopped(Exception):  # noqa: N818 - not an error, and caught by the training loop
    """An evaluation ended early because a signal asked for it."""
