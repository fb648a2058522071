"""Batch norms that keep the statistics of the model that a training starts from."""

import torch
from torch import nn

from bodycomp.networks.frozen_norm import FrozenNorm, freeze_norms


def network():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()))
    norm = made[1][0]
    norm.running_mean.copy_(torch.tensor([1.0, -1.0, 0.5]))
    norm.running_var.copy_(torch.tensor([4.0, 1.0, 0.25]))
    return made


def test_training_gives_what_use_gives_and_leaves_the_statistics():
    plain, frozen = network().eval(), network()
    freeze_norms(frozen)
    frozen.train()
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(frozen(images), plain(images))
    for (name, ours), (_, theirs) in zip(
        frozen.state_dict().items(), plain.state_dict().items(), strict=True
    ):
        assert torch.equal(ours, theirs), name


def test_scale_and_shift_are_learnt_still():
    frozen = network()
    freeze_norms(frozen)
    frozen(torch.ones(1, 1, 8, 8)).sum().backward()
    assert isinstance(frozen[1][0], FrozenNorm)
    assert all(weight.grad is not None for weight in frozen.parameters())
