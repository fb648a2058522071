"""A trial step tells time and memory, and leaves no trace in the network."""

from __future__ import annotations

import json

import pytest
import torch

from bodycomp.networks.unet import UNet, UNetConfig
from bodycomp.training.machine.memory import available_bytes, is_out_of_memory
from bodycomp.training.steps.trials import measure_step

PEAKS = """
import json
import torch
from torch import nn
from bodycomp.networks.losses import masked_absolute_error
from bodycomp.training.steps.trials import measure_step

class Hungry(nn.Module):
    def __init__(self, megabytes):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.copies = megabytes

    def forward(self, images):
        rows = images.reshape(len(images), 1, -1).expand(-1, self.copies, -1)
        return (rows * self.weight).sin().mean(dim=(1, 2), keepdim=False)[:, None]

def peak(n):
    batch = (torch.rand(n, 1, 512, 512), torch.rand(n, 1))
    return measure_step(Hungry(20), masked_absolute_error, batch).peak_bytes

print(json.dumps([peak(5), peak(1)]))
"""
"""A network that keeps 20 MB per image twice, and a large step before a small one."""


def test_peak_follows_what_a_step_holds(run_python):
    """Per image 20 MB each for the product and its sine, and two more on the way back.

    The large step does not spoil the small one's peak. In a process of its own: others may have
    told the allocator to keep what was freed.
    """
    done = run_python(PEAKS)
    assert done.returncode == 0, done.stderr
    large, small = json.loads(done.stdout)
    assert large - small == pytest.approx(4 * 20 * 2**20 * 3.5, rel=0.4), done.stderr


def test_a_trial_leaves_the_network_as_it_was():
    network = UNet(UNetConfig(compression_channels=(2, 4), decompression_channels=(2,))).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    cost = measure_step(
        network,
        lambda logits, truth: (logits.mean() - truth).square().mean(),
        (torch.rand(2, 1, 32, 32), torch.rand(2)),
    )
    assert cost.seconds > 0
    assert not network.training
    assert all(weight.grad is None for weight in network.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_running_out_of_memory_is_told_from_other_errors():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("could not create a primitive"))  # oneDNN
    assert not is_out_of_memory(RuntimeError("could not create a primitive descriptor iterator"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert 2**20 < available_bytes() < 2**50
