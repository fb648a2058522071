import numpy as np
import pytest
import torch
from torch import nn

from bodycomp.errors import UsageError
from bodycomp.networks.checkpoint import load_model
from bodycomp.training.fit import train_segmentation
from bodycomp.training.steps.averaging import WeightAverage, average_weight


def tiny_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def wander(network: nn.Module) -> None:
    """A step in some direction, and other batch-norm statistics."""
    network(torch.randn(2, 1, 5, 5))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter))


def test_average_is_the_weighted_sum_of_all_weights_so_far():
    """Step s counts w(s) x the product of (1 - w) over all later steps."""
    network, share, steps = tiny_network(), 0.25, 30
    average, seen = WeightAverage(network, share), []
    for step in range(1, steps + 1):
        wander(network)
        average.update(network, step)
        seen.append({name: t.clone() for name, t in network.state_dict().items()})
    weights = np.array([average_weight(step, share) for step in range(1, steps + 1)])
    later = np.append(np.cumprod((1 - weights)[::-1])[::-1][1:], 1.0)
    counts = weights * later
    assert counts.sum() == pytest.approx(1)
    for name, found in average.state_dict().items():
        if found.is_floating_point():  # weights, biases, running means and variances
            expected = sum(c * state[name].double() for c, state in zip(counts, seen, strict=True))
            torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5, msg=name)
    assert int(average.state_dict()["1.num_batches_tracked"]) == steps


def test_average_spans_a_share_of_the_steps_however_many():
    """The mean age of what is in the average grows with the steps."""
    for steps in (200, 2000):
        weights = np.array([average_weight(step, 0.1) for step in range(1, steps + 1)])
        counts = weights * np.append(np.cumprod((1 - weights)[::-1])[::-1][1:], 1.0)
        age = (counts * np.arange(steps)[::-1]).sum()
        assert age == pytest.approx(steps / 11, rel=0.06)


def test_first_steps_are_taken_as_they_are():
    """What a network was at its start is soon forgotten."""
    network = tiny_network()
    average = WeightAverage(network, 0.1)
    for step in range(1, 11):
        wander(network)
        average.update(network, step)
    assert torch.equal(average.network[0].weight, network[0].weight)


def test_average_is_what_is_judged_and_exported(tiny_unet):
    run = train_segmentation(tiny_unet(average=1.0, epochs=1))
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    exported = load_model(run).network.state_dict()
    last = checkpoint["state_dict"]
    for name, average in checkpoint["bodycomp_average"].items():
        assert torch.equal(exported[name], average), name
    assert not torch.equal(exported["head.weight"], last["network.head.weight"])


def test_without_average_the_weights_themselves_are_exported(tiny_unet):
    run = train_segmentation(tiny_unet(average=0.0, epochs=1))
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert "bodycomp_average" not in checkpoint
    exported = load_model(run).network.state_dict()
    for name, weight in exported.items():
        assert torch.equal(weight, checkpoint["state_dict"][f"network.{name}"]), name


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_shares_that_make_no_average(tiny_unet, share):
    with pytest.raises(UsageError, match="expected --average from 0 to 1, found"):
        tiny_unet(average=share)
