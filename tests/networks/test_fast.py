"""Fast forms of networks against the plain ones: forward, gradient, statistics, weight names."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import nn

from bodycomp.kernels import build, dense, norm
from bodycomp.networks.densenet import DenseNet, DenseNetConfig
from bodycomp.networks.fast import FastDenseBlock, convolve_upsampled, speed_up
from bodycomp.networks.losses import segmentation_loss, slice_selection_loss
from bodycomp.networks.patch_unet import PatchUNet, PatchUNetConfig
from bodycomp.networks.synchronized_norm import SynchronizedNorm
from bodycomp.networks.unet import UNet, UNetConfig
from bodycomp.storage import user_cache_folder

CHANNELS = [(1, 1, 1), (1, 3, 2), (5, 1, 7), (7, 5, 3), (16, 9, 11), (33, 17, 16)]
SIZES = [(1, 1), (1, 4), (2, 2), (5, 3), (8, 12)]


def plainly_convolved(conv: nn.Conv2d, low: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
    large = F.interpolate(low, scale_factor=2.0, mode="nearest")
    return conv(torch.cat((large, skip), dim=1))


def quickly_convolved(conv: nn.Conv2d, low: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
    return convolve_upsampled(conv.weight, conv.bias, low, skip)


def convolved(function, conv, low, skip):
    conv.zero_grad()
    low, skip = low.clone().requires_grad_(), skip.clone().requires_grad_()
    output = function(conv, low, skip)
    (output * torch.linspace(-1, 1, output.numel()).reshape(output.shape)).sum().backward()
    return output.detach(), low.grad, skip.grad, conv.weight.grad.clone(), conv.bias.grad.clone()


@pytest.mark.parametrize("channels", CHANNELS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_convolving_upsampled_features_gives_the_plain_numbers(channels, size, dtype):
    """Also at the borders, where zero padding meets the upsampled rows."""
    torch.manual_seed(0)
    below, beside, out = channels
    conv = nn.Conv2d(below + beside, out, 3, padding=1).to(dtype)
    low = torch.randn(2, below, *size, dtype=dtype)
    skip = torch.randn(2, beside, 2 * size[0], 2 * size[1], dtype=dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    for expected, found in zip(
        convolved(plainly_convolved, conv, low, skip),
        convolved(quickly_convolved, conv, low, skip),
        strict=True,
    ):
        scale = max(1.0, float(expected.abs().max()))
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * scale)


def test_upsampled_features_may_be_channels_last():
    torch.manual_seed(0)
    conv = nn.Conv2d(12, 6, 3, padding=1)
    low = torch.randn(2, 7, 4, 4).to(memory_format=torch.channels_last)
    skip = torch.randn(2, 5, 8, 8).to(memory_format=torch.channels_last)
    torch.testing.assert_close(
        quickly_convolved(conv, low, skip), plainly_convolved(conv, low, skip), rtol=0, atol=1e-5
    )


UNETS = {
    "default": UNetConfig(),
    "two convolutions, widths that fill no vector": UNetConfig(
        num_classes=3,
        compression_channels=(3, 20, 40),
        decompression_channels=(20, 6),
        num_convs=2,
        activation="leaky_relu",
    ),
}
DENSENETS = {
    "default": DenseNetConfig(),
    "odd widths, two levels": DenseNetConfig(
        num_outputs=2,
        nb_blocks=2,
        nb_layers_per_block=3,
        nb_initial_filters=5,
        growth_rate=3,
        activation="leaky_relu",
    ),
}


@pytest.fixture
def kernels(monkeypatch):
    """Kernels on any processor that compiles them, also where they are slower."""
    compiler = build.find_compiler()
    if compiler is None:
        pytest.skip("no gcc for the kernels")
    loaded = build.load(compiler, user_cache_folder("native"))
    for module in (norm, dense):
        monkeypatch.setattr(module, "library", lambda: loaded)


def unet_case(config: UNetConfig) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    masks = torch.randint(0, config.num_classes, (2, 64, 96), dtype=torch.uint8)
    return UNet(config), torch.rand(2, 1, 64, 96), masks


def densenet_case(config: DenseNetConfig) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    return DenseNet(config), torch.rand(3, 1, 64, 72), torch.rand(3, config.num_outputs)


CASES = [
    pytest.param(unet_case, config, segmentation_loss(), id=f"U-Net, {name}")
    for name, config in UNETS.items()
] + [
    pytest.param(densenet_case, config, slice_selection_loss(), id=f"DenseNet, {name}")
    for name, config in DENSENETS.items()
]


def gradients(network: nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    network.zero_grad()
    loss.backward()
    return {name: p.grad.double() for name, p in network.named_parameters()}


def three_ways(case, config, loss, dtype=None, seed=0, slope=None):
    """Gradients by the fast form, by plain modules, and by plain modules in float64."""
    torch.manual_seed(seed)
    plain, images, truth = case(config)
    for layer in plain.modules():  # as in the middle of a training, not at its start
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.8, 1.2)
        if isinstance(layer, nn.LeakyReLU) and slope is not None:
            layer.negative_slope = slope
    fast, exact = speed_up(copy.deepcopy(plain)), copy.deepcopy(plain).double()
    found = {}
    for name, net, x in (
        ("fast", fast, images),
        ("plain", plain, images),
        ("exact", exact, images.double()),
    ):
        with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            logits = net(x) if name != "exact" else exact(x)
        found[name] = gradients(net, loss(logits, truth))
    return found


def distance(found: dict[str, torch.Tensor], exact: dict[str, torch.Tensor]) -> float:
    """Difference of whole gradients as a share of the exact one."""
    ours, real = (torch.cat([g[name].flatten() for name in sorted(exact)]) for g in (found, exact))
    return float((ours - real).norm() / real.norm())


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("case", "config", "loss"), CASES)
@pytest.mark.parametrize("slope", [1.0, 0.9])
def test_gradients_are_those_of_the_plain_network(case, config, loss, slope):
    """1e-4 relative to float64.

    Where rounding moves a feature across the kink of its activation the gradient jumps, in both
    formulations: a slope of 1 has no kink, and one of 0.9 jumps little.
    """
    found = three_ways(case, replace(config, activation="leaky_relu"), loss, slope=slope)
    assert distance(found["fast"], found["exact"]) < (1e-4 if slope == 1 else 1e-2)


@pytest.mark.usefixtures("kernels")
def test_the_kink_is_that_of_relu():
    """In one of a few draws no feature comes near it, and the gradient is that of float64."""
    config = DENSENETS["odd widths, two levels"]
    relu = replace(config, activation="relu", nb_blocks=1)
    errors = []
    for seed in range(6):
        found = three_ways(densenet_case, relu, slice_selection_loss(), seed=seed)
        errors.append(distance(found["fast"], found["exact"]))
    assert min(errors) < 1e-4, errors


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("case", "config", "loss"), CASES)
def test_in_bfloat16_gradients_are_as_near_as_the_plain_ones(case, config, loss):
    found = three_ways(case, config, loss, torch.bfloat16)
    fast, plain = (distance(found[name], found["exact"]) for name in ("fast", "plain"))
    assert fast < 1.3 * plain


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(("case", "config", "loss"), CASES)
def test_outputs_and_running_statistics_are_the_plain_ones(case, config, loss, training):
    """Also where convolutions have a bias, which the kernels leave out."""
    torch.manual_seed(0)
    plain, images, _ = case(config)
    for layer in plain.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.bias)
    fast = speed_up(copy.deepcopy(plain)).train(training)
    found, expected = fast(images).detach(), plain.train(training)(images).detach()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.std()))
    for (name, found), expected in zip(fast.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("case", "config", "loss"), CASES)
def test_same_numbers_each_time(case, config, loss):
    first = three_ways(case, config, loss, torch.bfloat16)
    second = three_ways(case, config, loss, torch.bfloat16)
    for name, gradient in first["fast"].items():
        assert torch.equal(gradient, second["fast"][name]), name


@pytest.mark.parametrize(
    "network", [UNet(), DenseNet(), PatchUNet(PatchUNetConfig())], ids=["unet", "densenet", "patch"]
)
def test_weights_and_their_names_stay(network):
    before = {name: tensor.data_ptr() for name, tensor in network.state_dict().items()}
    kinds = [type(module).__name__ for module in network.modules()]
    fast = speed_up(network)
    assert {name: tensor.data_ptr() for name, tensor in fast.state_dict().items()} == before
    assert list(fast.state_dict()) == list(before)
    changed = [type(module).__name__ for module in fast.modules()]
    assert [name.removeprefix("Fast") for name in changed] == kinds
    assert changed != kinds


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("change", ["evaluation", "no gradient", "other activation", "other norm"])
def test_plain_modules_do_the_work_where_the_kernels_cannot(change, monkeypatch):
    activation = "elu" if change == "other activation" else "relu"
    network = speed_up(DenseNet(DenseNetConfig(nb_layers_per_block=2, activation=activation)))
    monkeypatch.setattr(
        "bodycomp.networks.fast.dense_block", lambda *_: pytest.fail("kernels were used")
    )
    if change == "evaluation":
        network.eval()
    elif change == "other norm":
        monkeypatch.setattr(SynchronizedNorm, "forward", nn.BatchNorm2d.forward)
        for block in network.modules():
            if isinstance(block, FastDenseBlock):
                block.layers[0].pre1.norm.__class__ = SynchronizedNorm
    with torch.set_grad_enabled(change != "no gradient"):
        assert network(torch.rand(2, 1, 64, 64)).shape == (2, 1)
