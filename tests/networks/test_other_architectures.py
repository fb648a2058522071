"""The two networks beside the default ones: ``patch_unet`` and ``resnet``."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses

from bodycomp.errors import ImageError, UsageError
from bodycomp.networks.names import ACTIVATIONS
from bodycomp.networks.patch_unet import PatchUNet, PatchUNetConfig
from bodycomp.networks.resnet import ResNet, ResNetConfig

SEGMENTER = PatchUNetConfig(
    num_classes=3, compression_channels=(4, 6, 8), decompression_channels=(6, 4)
)
SCORER = ResNetConfig(num_outputs=2, channels=(4, 6), blocks=(1, 2))


@pytest.mark.parametrize("size", [(32, 32), (32, 64)])
def test_patch_unet_gives_a_logit_per_class_and_pixel(size):
    network = PatchUNet(SEGMENTER)
    assert network(torch.rand(2, 1, *size)).shape == (2, 3, *size)
    assert network.config.stride == 8


def test_resnet_gives_a_logit_per_level():
    network = ResNet(SCORER)
    assert network(torch.rand(3, 1, 32, 48)).shape == (3, 2)
    assert network.config.stride == 8


@pytest.mark.parametrize("network", [PatchUNet, ResNet])
def test_default_size_fits_the_default_input(network):
    assert 512 % network().config.stride == 0
    assert 256 % network().config.stride == 0


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "network",
    [
        lambda activation: PatchUNet(PatchUNetConfig(3, 2, (4, 6), (4,), 2, activation)),
        lambda activation: ResNet(ResNetConfig(2, (4, 6), (1, 1), activation)),
    ],
    ids=["patch_unet", "resnet"],
)
def test_gradient_reaches_every_weight(network, activation):
    """After a step or two: a new residual block passes its input on, a new head says nothing."""
    torch.manual_seed(0)
    net, x = network(activation), torch.rand(4, 1, 32, 32)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (net(x) - 1).square().mean().backward()
        optimizer.step()
    for name, parameter in net.named_parameters():
        assert bool(parameter.grad.isfinite().all()), name
        # Batch norm takes a convolution's bias out again, so that its gradient is but rounding.
        assert bool(parameter.grad.any()) or name.endswith("conv.bias"), name


def test_patch_unet_sees_every_pixel():
    """Nothing is lost where 2x2 pixels become one: each pixel can have its own label."""
    torch.manual_seed(0)
    net = PatchUNet(PatchUNetConfig(2, 2, (8, 8), (8,)))
    x = (torch.rand(1, 1, 16, 16) > 0.5).float()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(net(x), x[:, 0].long()).backward()
        optimizer.step()
    assert torch.equal(net(x).argmax(dim=1), x[:, 0].long())


@pytest.mark.parametrize("network", [PatchUNet(SEGMENTER), ResNet(SCORER)])
def test_sizes_that_cannot_be_halved_are_refused(network):
    with pytest.raises(ImageError, match="in multiples of 8, found 12 x 16"):
        network(torch.zeros(1, 1, 12, 16))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: PatchUNetConfig(patch=0), "patch of at least 1 pixel, found 0"),
        (lambda: PatchUNetConfig(compression_channels=(4,)), "at least 2 compression stages"),
        (lambda: PatchUNetConfig(num_classes=1), "at least 2 classes, found 1"),
        (lambda: PatchUNetConfig(activation="relu7"), "unknown activation"),
        (lambda: ResNetConfig(channels=(), blocks=()), "positive numbers of channels"),
        (lambda: ResNetConfig(blocks=(1, 2)), "blocks for 4 stages, found 2"),
        (lambda: ResNetConfig(num_outputs=0), "positive numbers of channels"),
        (lambda: ResNetConfig(initializer="zeros"), "unknown initializer"),
    ],
)
def test_configs_that_make_no_network(make, match):
    with pytest.raises(UsageError, match=match):
        make()
