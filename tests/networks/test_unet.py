import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses

from bodycomp.errors import ImageError, UsageError
from bodycomp.networks.densenet import DenseNet, DenseNetConfig
from bodycomp.networks.fast import speed_up
from bodycomp.networks.layers import NormedConv2d
from bodycomp.networks.names import ACTIVATIONS
from bodycomp.networks.unet import UNet, UNetConfig

SMALL = UNetConfig(
    num_classes=3, compression_channels=(4, 5, 7), decompression_channels=(6, 3), num_convs=2
)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("num_convs", [1, 2, 3])
def test_the_fast_form_gives_the_same_numbers_and_gradients(training, num_convs):
    torch.manual_seed(0)
    plain = UNet(UNetConfig(3, (4, 5, 7), (6, 3), num_convs)).double().train(training)
    x = torch.randn(2, 1, 16, 24).double()
    weigh = torch.randn(2, 3, 16, 24)
    found = []
    for net in (speed_up(copy.deepcopy(plain)), plain):
        output = net(x)
        (output * weigh).sum().backward()
        found.append([output, *(p.grad.clone() for p in net.parameters())])
    for fast, expected in zip(*found, strict=True):
        torch.testing.assert_close(fast, expected, rtol=1e-9, atol=1e-9)


def test_default_size():
    net = UNet()
    assert net.config == UNetConfig()
    assert net.config.stride == 32
    assert sum(p.numel() for p in net.parameters()) == 3_933_044
    assert net.eval()(torch.zeros(1, 1, 64, 96)).shape == (1, 4, 64, 96)


def test_shape_and_classes():
    assert UNet(SMALL)(torch.zeros(2, 1, 8, 12)).shape == (2, 3, 8, 12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_reaches_every_weight(activation):
    torch.manual_seed(0)
    net = UNet(UNetConfig(3, (4, 5, 7), (6, 3), 2, activation))
    net(torch.rand(2, 1, 16, 16)).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert bool(parameter.grad.isfinite().all()), name
        # Batch norm takes a convolution's bias out again, so that its gradient is but rounding.
        assert bool(parameter.grad.any()) or name.endswith("conv.bias"), name


@pytest.mark.parametrize("form", [lambda network: network, speed_up], ids=["plain", "fast"])
@pytest.mark.parametrize(
    "make", [lambda: UNet(SMALL), lambda: DenseNet(DenseNetConfig(2))], ids=["U", "Dense"]
)
def test_biases_under_a_norm_have_no_gradient(form, make):
    """Batch norm takes them away again; rounding noise would move them under Adam."""
    network = form(make())
    network(torch.rand(2, 1, 64, 64)).square().mean().backward()
    convolutions = [part for part in network.modules() if isinstance(part, NormedConv2d)]
    assert len(convolutions) >= 10
    assert all(part.bias.grad is not None and not part.bias.grad.any() for part in convolutions)


def test_a_step_lowers_the_loss():
    torch.manual_seed(0)
    net, x = UNet(SMALL), torch.rand(2, 1, 16, 16)
    masks = (x[:, 0] > 0.5).long()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), masks)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_batch_norm_keeps_99_percent_of_its_statistics():
    """Keras momentum 0.99: mean' = 0.99 mean + 0.01 batch mean; epsilon 1e-3."""
    net = UNet(SMALL)
    unit = net.down[0][0]
    x = torch.rand(3, 1, 8, 8)
    net(x)
    features = unit.conv(x).detach()
    torch.testing.assert_close(unit.norm.running_mean, 0.01 * features.mean((0, 2, 3)))
    expected = 0.99 + 0.01 * features.transpose(0, 1).flatten(1).var(dim=1)
    torch.testing.assert_close(unit.norm.running_var, expected)
    assert unit.norm.eps == 1e-3


def test_same_seed_same_network():
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(UNet(SMALL).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_a_size_that_cannot_be_halved_is_refused():
    with pytest.raises(ImageError, match="in multiples of 4, found 8 x 10"):
        UNet(SMALL)(torch.zeros(1, 1, 8, 10))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"decompression_channels": (6,)}, "one decompression stage fewer, found 3 and 1"),
        ({"compression_channels": (4,), "decompression_channels": ()}, "at least 2 compression"),
        ({"compression_channels": (4, 0, 7)}, "expected positive numbers of channels"),
        ({"num_classes": 1}, "expected at least 2 classes, found 1"),
        ({"num_convs": 0}, "expected at least 1 convolution a stage, found 0"),
        ({"activation": "relu7"}, "unknown activation 'relu7'"),
    ],
    ids=str,
)
def test_config_that_makes_no_network(change, match):
    given = {"compression_channels": (4, 5, 7), "decompression_channels": (6, 3)} | change
    with pytest.raises(UsageError, match=match):
        UNetConfig(**given)
