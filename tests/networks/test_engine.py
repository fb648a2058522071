"""Every engine gives what the network as trained gives: to rounding, or where it decides."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bodycomp.errors import ImageError, UsageError
from bodycomp.networks.checkpoint import load_model
from bodycomp.networks.densenet import DenseNet, DenseNetConfig
from bodycomp.networks.engine import make_engine
from bodycomp.networks.fast import cpu_has_bfloat16
from bodycomp.networks.patch_unet import PatchUNet, PatchUNetConfig
from bodycomp.networks.resnet import ResNet
from bodycomp.networks.unet import UNet, UNetConfig

LEGACY = Path(__file__).parents[2] / "../shared/legacy"
CPU = torch.device("cpu")


def trained(network: nn.Module) -> nn.Module:
    """Give weights, biases and statistics values that none of them has by default."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
        elif isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def unet(**config):
    sizes = {"compression_channels": (8, 12, 16), "decompression_channels": (12, 8)}
    return trained(UNet(UNetConfig(**sizes | config)))


def densenet(**config):
    sizes = {"nb_blocks": 3, "nb_layers_per_block": 3, "growth_rate": 8, "num_outputs": 2}
    return trained(DenseNet(DenseNetConfig(**sizes | config)))


NETWORKS = {
    "unet": unet,
    "unet, two convolutions, elu": lambda: unet(num_convs=2, activation="elu"),
    "patch unet": lambda: trained(
        PatchUNet(PatchUNetConfig(compression_channels=(8, 16), decompression_channels=(8,)))
    ),
    "densenet": densenet,
    "densenet, odd widths": lambda: densenet(growth_rate=5, nb_initial_filters=7),
    "densenet, leaky": lambda: densenet(activation="leaky_relu"),
    "densenet, relu then elu": lambda: densenet(
        activation="elu", block_activations=("relu", "relu", "elu")
    ),
    "densenet without norms": lambda: densenet(batch_norm=False, activation="swish"),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(64, 64), (72, 104)])
def test_folding_changes_nothing_but_rounding(name, size):
    network = NETWORKS[name]()
    images = torch.rand(3, 1, *size)
    with torch.inference_mode():
        expected = copy.deepcopy(network).double()(images.double())
        found = make_engine(network, CPU, "folded").run(images)
    assert found.dtype == torch.float32
    spread = float(expected.std())
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=0, atol=1e-4 * spread + 1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_is_near_and_has_an_exact_way_beside_it(name):
    network = NETWORKS[name]()
    images = torch.rand(2, 1, 64, 64)
    engine = make_engine(network, CPU, "bf16")
    with torch.inference_mode():
        expected = network(images)
        found, exact = engine.run(images), engine.run_exactly(images)
    error = float((found - expected).square().mean().sqrt() / expected.std())
    assert error < 0.03 * (1 if found.ndim == 4 else 10)  # two numbers of a DenseNet vary little
    np.testing.assert_allclose(exact.numpy(), expected.numpy(), rtol=0, atol=1e-4)
    assert not engine.is_exact


@pytest.mark.skipif(not LEGACY.is_dir(), reason="the folder of earlier weights is not here")
@pytest.mark.parametrize("path", sorted(LEGACY.glob("*.hdf5")), ids=lambda path: path.name)
def test_earlier_models_keep_their_outputs(path):
    name = path.name.split(".")[0]
    known = np.load(LEGACY / f"{name}.npz")
    levels = ["T5", "T8", "T10", "L3"] if "4levels" in name else None
    network = load_model(path, levels=levels, activation="elu" if "elu" in name else None).network
    images = torch.from_numpy(np.moveaxis(known["x"], -1, 1).copy())
    engine = make_engine(network, CPU, "auto")
    with torch.inference_mode():
        logits, near = engine.run_exactly(images), engine.run(images)
    if logits.ndim == 4:
        outputs = [each.softmax(1).movedim(1, -1).numpy() for each in (logits, near)]
    else:
        outputs = [each.sigmoid().numpy() for each in (logits, near)]
    np.testing.assert_allclose(outputs[0], known["y"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(outputs[1], known["y"], rtol=0, atol=0.05)


def test_auto_takes_the_fastest_that_there_is():
    fastest = "bf16" if cpu_has_bfloat16() else "folded"
    assert make_engine(unet(), CPU).name == fastest
    assert make_engine(densenet(), CPU).name == fastest
    plain = make_engine(ResNet(), CPU)  # has no folded form
    assert (plain.name, plain.is_exact) == ("reference", True)


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="unknown engine 'steam'"):
        make_engine(unet(), CPU, "steam")
    with pytest.raises(UsageError, match="folded does not run ResNet on cpu"):
        make_engine(ResNet(), CPU, "folded")
    with pytest.raises(UsageError, match="does not run UNet on cuda"):
        make_engine(unet(), torch.device("cuda"), "bf16")
    with pytest.raises(ImageError, match="multiples of 4"):
        make_engine(unet(), CPU, "folded").run(torch.rand(1, 1, 10, 10))
