"""The compiled kernels against the same network written with PyTorch's modules."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from bodycomp.native import library
from bodycomp.networks.densenet import DenseNet, DenseNetConfig
from bodycomp.networks.losses import segmentation_loss, slice_selection_loss
from bodycomp.networks.unet import UNet, UNetConfig

pytestmark = pytest.mark.skipif(library() is None, reason="no compiler for the kernels here")

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
    """Gradients by the kernels, by modules, and by modules in float64."""
    torch.manual_seed(seed)
    network, images, truth = case(config)
    for layer in network.modules():  # as in the middle of a training, not at its start
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.8, 1.2)
        if isinstance(layer, nn.LeakyReLU) and slope is not None:
            layer.negative_slope = slope
    fused, plain, exact = network, copy.deepcopy(network), copy.deepcopy(network).double()
    plain.fused = exact.fused = False
    found = {}
    for name, net, x in (
        ("fused", fused, images),
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


@pytest.mark.parametrize(("case", "config", "loss"), CASES)
@pytest.mark.parametrize("slope", [1.0, 0.9])
def test_gradients_are_those_of_the_plain_formulation(case, config, loss, slope):
    """1e-4 relative to float64.

    Where rounding moves a feature across the kink of its activation the gradient jumps, in both
    formulations: a slope of 1 has no kink, and one of 0.9 jumps little.
    """
    found = three_ways(case, replace(config, activation="leaky_relu"), loss, slope=slope)
    assert distance(found["fused"], found["exact"]) < (1e-4 if slope == 1 else 1e-2)


def test_the_kink_is_that_of_relu():
    """In one of a few draws no feature comes near it, and the gradient is that of float64."""
    errors = []
    for seed in range(6):
        found = three_ways(unet_case, UNetConfig(), segmentation_loss(), seed=seed)
        errors.append(distance(found["fused"], found["exact"]))
    assert min(errors) < 1e-4, errors


@pytest.mark.parametrize(("case", "config", "loss"), CASES)
def test_in_bfloat16_they_are_as_near_to_float32_as_the_plain_formulation(case, config, loss):
    found = three_ways(case, config, loss, torch.bfloat16)
    fused, plain = (distance(found[name], found["exact"]) for name in ("fused", "plain"))
    assert fused < 1.3 * plain


@pytest.mark.parametrize(("case", "config", "loss"), CASES)
def test_running_statistics_are_those_of_the_plain_formulation(case, config, loss):
    """Also where convolutions have a bias, which the kernels leave out."""
    torch.manual_seed(0)
    network, images, _ = case(config)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.bias)
    plain = copy.deepcopy(network)
    plain.fused = False
    for net in (network, plain):
        net(images)
    for (name, found), expected in zip(network.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(("case", "config", "loss"), CASES)
def test_same_numbers_each_time(case, config, loss):
    first = three_ways(case, config, loss, torch.bfloat16)
    second = three_ways(case, config, loss, torch.bfloat16)
    for name, gradient in first["fused"].items():
        assert torch.equal(gradient, second["fused"][name]), name


def test_biases_under_a_norm_have_no_gradient():
    """Batch norm takes them away again; plain rounding noise would move them under Adam."""
    network, images, truth = unet_case(UNetConfig())
    found = gradients(network, segmentation_loss()(network(images), truth))
    biases = [name for name in found if name.endswith("conv.bias")]
    assert len(biases) == 11
    assert not any(bool(found[name].any()) for name in biases)


@pytest.mark.parametrize("change", ["evaluation", "no gradient", "other activation", "switch"])
def test_the_modules_do_the_work_where_the_kernels_cannot(change, monkeypatch):
    network = UNet(UNetConfig(activation="elu" if change == "other activation" else "relu"))
    monkeypatch.setattr(UNet, "_forward_fused", lambda *_: pytest.fail("kernels were used"))
    if change == "evaluation":
        network.eval()
    elif change == "switch":
        network.fused = False
    with torch.set_grad_enabled(change != "no gradient"):
        assert network(torch.rand(1, 1, 64, 64)).shape == (1, 4, 64, 64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("classes", [2, 3, 4, 8])
@pytest.mark.parametrize("name", ["dice_cross_entropy", "negative_dice_sum"])
def test_losses_are_those_of_the_operators(name, classes, dtype):
    """17 x 23 pixels fill no vector; the layout is channels-last or not."""
    torch.manual_seed(0)
    truth = torch.randint(0, classes, (2, 17, 23), dtype=torch.uint8)
    values = (4 * torch.randn(2, classes, 17, 23)).to(dtype)
    for layout in (torch.contiguous_format, torch.channels_last):
        logits = values.clone(memory_format=layout).requires_grad_()
        exact = values.double().requires_grad_()
        loss, expected = (
            segmentation_loss(name)(logits, truth),
            segmentation_loss(name)(exact, truth.long()),
        )
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
        loss.backward()
        expected.backward()
        error = (logits.grad.double() - exact.grad).norm() / exact.grad.norm()
        assert float(error) < (1e-5 if dtype == torch.float32 else 4e-3)
