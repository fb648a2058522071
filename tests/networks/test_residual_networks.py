"""The two networks beside the default ones: ``residual_unet`` and ``resnet``."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses

from bodycomp.errors import ImageError, UsageError
from bodycomp.networks.names import ACTIVATIONS
from bodycomp.networks.residual_unet import ResidualUNet, ResidualUNetConfig
from bodycomp.networks.resnet import ResNet, ResNetConfig

SEGMENTER = ResidualUNetConfig(num_classes=3, channels=(4, 6, 8))
SCORER = ResNetConfig(num_outputs=2, channels=(4, 6), blocks=(1, 2))


@pytest.mark.parametrize("size", [(32, 32), (32, 64)])
def test_residual_unet_gives_a_logit_per_class_and_pixel(size):
    network = ResidualUNet(SEGMENTER)
    assert network(torch.rand(2, 1, *size)).shape == (2, 3, *size)
    assert network.config.stride == 8


def test_resnet_gives_a_logit_per_level():
    network = ResNet(SCORER)
    assert network(torch.rand(3, 1, 32, 48)).shape == (3, 2)
    assert network.config.stride == 8


@pytest.mark.parametrize("network", [ResidualUNet, ResNet])
def test_default_size_fits_the_default_input(network):
    assert 512 % network().config.stride == 0
    assert 256 % network().config.stride == 0


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "network",
    [
        lambda activation: ResidualUNet(ResidualUNetConfig(3, (4, 6), activation)),
        lambda activation: ResNet(ResNetConfig(2, (4, 6), (1, 1), activation)),
    ],
    ids=["residual_unet", "resnet"],
)
def test_gradient_reaches_every_weight(network, activation):
    """From the second step on: a new block passes its input on, and a new head says nothing."""
    torch.manual_seed(0)
    net, x = network(activation), torch.rand(4, 1, 32, 32)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (net(x) - 1).square().mean().backward()
        optimizer.step()
    for name, parameter in net.named_parameters():
        assert bool(parameter.grad.isfinite().all()), name
        assert bool(parameter.grad.any()), name


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_do_not_overwrite_what_is_added(activation):
    """A block's input is read twice."""
    torch.manual_seed(0)
    net = ResidualUNet(ResidualUNetConfig(2, (4, 6), activation)).double().eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.rand(1, 1, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        by_inference = net(x)
    torch.testing.assert_close(net(x), by_inference)


def test_residual_unet_sees_every_pixel():
    """Nothing is lost where 2x2 pixels become one: each pixel can have its own label."""
    torch.manual_seed(0)
    net = ResidualUNet(ResidualUNetConfig(num_classes=2, channels=(8, 8)))
    x = (torch.rand(1, 1, 16, 16) > 0.5).float()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(net(x), x[:, 0].long()).backward()
        optimizer.step()
    assert torch.equal(net(x).argmax(dim=1), x[:, 0].long())


@pytest.mark.parametrize("network", [ResidualUNet(SEGMENTER), ResNet(SCORER)])
def test_sizes_that_cannot_be_halved_are_refused(network):
    with pytest.raises(ImageError, match="in multiples of 8, found 12 x 16"):
        network(torch.zeros(1, 1, 12, 16))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ResidualUNetConfig(channels=()), "positive numbers of channels"),
        (lambda: ResidualUNetConfig(channels=(4, 0)), "positive numbers of channels"),
        (lambda: ResidualUNetConfig(num_classes=1), "at least 2 classes, found 1"),
        (lambda: ResidualUNetConfig(activation="relu7"), "unknown activation"),
        (lambda: ResNetConfig(channels=(), blocks=()), "positive numbers of channels"),
        (lambda: ResNetConfig(blocks=(1, 2)), "blocks for 4 stages, found 2"),
        (lambda: ResNetConfig(num_outputs=0), "positive numbers of channels"),
        (lambda: ResNetConfig(initializer="zeros"), "unknown initializer"),
    ],
)
def test_configs_that_make_no_network(make, match):
    with pytest.raises(UsageError, match=match):
        make()
