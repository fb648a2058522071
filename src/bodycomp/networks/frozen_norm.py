"""Batch norm whose statistics stay those of the model that a training starts from."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn


class FrozenNorm(nn.BatchNorm2d):
    """Batch norm that takes its statistics from earlier training, in training as in use.

    The running statistics follow new ones over hundreds of steps (``NORM_MOMENTUM``); in a training
    of few steps the weights would fit the batches' own, which the model in use does not have.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize, scale and shift (B, C, H, W)."""
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


def freeze_norms(network: nn.Module) -> None:
    """Let the batch norms of a network keep their statistics; weights and names stay."""
    for parent in list(network.modules()):
        for name, norm in list(parent.named_children()):
            if type(norm) is nn.BatchNorm2d:
                frozen = FrozenNorm(norm.num_features, eps=norm.eps, momentum=norm.momentum)
                frozen.load_state_dict(norm.state_dict())
                setattr(parent, name, frozen.train(norm.training))
