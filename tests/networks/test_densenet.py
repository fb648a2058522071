import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.errors import ImageError, UsageError
from bodycomp.networks.densenet import DenseNet, DenseNetConfig, legacy_activations, same_pad
from bodycomp.networks.names import ACTIVATIONS, INITIALIZERS

SMALL = {
    "nb_blocks": 2,
    "nb_layers_per_block": 2,
    "nb_initial_filters": 5,
    "growth_rate": 3,
}


def test_default_size():
    net = DenseNet().eval()
    # 16 + 144 = 160 -> 80; 80 + 144 = 224 -> 112; 112 + 144 = 256 -> 128
    assert net.config.block_inputs == (16, 80, 112, 128)
    assert net.transitions[0].conv.weight.shape == (80, 144, 1, 1)
    assert net(torch.zeros(2, 1, 256, 256)).shape == (2, 1)


@given(st.integers(1, 40), st.sampled_from([1, 2, 3]), st.integers(1, 9))
def test_same_padding_gives_as_many_outputs_as_tensorflow(size, stride, kernel):
    padded = same_pad(torch.zeros(1, 1, size, size + 1), kernel=kernel, stride=stride)
    for found, given_size in zip(padded.shape[-2:], (size, size + 1), strict=True):
        if given_size >= stride:
            assert (found - kernel) // stride + 1 == -(-given_size // stride)


@pytest.mark.parametrize(("size", "before", "after"), [(256, 2, 3), (64, 2, 3), (65, 3, 3)])
def test_same_padding_puts_more_at_the_end(size, before, after):
    row = same_pad(torch.ones(1, 1, size, size), kernel=7, stride=2)[0, 0, size // 2]
    assert row.tolist() == [0.0] * before + [1.0] * size + [0.0] * after


def test_a_block_gives_its_new_features_without_its_input():
    block = DenseNet(DenseNetConfig(**SMALL)).blocks[0].eval()
    x = torch.rand(1, 5, 6, 6)
    first = block.layers[0](x)
    second = block.layers[1](torch.cat((x, first), dim=1))
    torch.testing.assert_close(block(x), torch.cat((first, second), dim=1))


def test_transition_is_convolution_then_pooling():
    transition = DenseNet(DenseNetConfig(**SMALL)).transitions[0].eval()
    x = torch.randn(2, 6, 7, 9)
    expected = torch.nn.functional.avg_pool2d(transition.conv(transition.pre(x)), 2)
    torch.testing.assert_close(transition(x), expected)


def test_activation_of_the_earlier_implementation():
    """Relu inside all blocks but the last; the chosen one everywhere else."""
    config = DenseNetConfig(activation="elu", block_activations=legacy_activations("elu", 4))
    assert config.activations == ("relu", "relu", "relu", "elu")
    net = DenseNet(config)
    assert type(net.blocks[2].layers[0].pre1.activation).__name__ == "ReLU"
    assert type(net.transitions[0].pre.activation).__name__ == "ELU"
    assert type(net.pre_head.activation).__name__ == "ELU"
    assert DenseNetConfig(activation="elu").activations == ("elu",) * 4


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_reaches_every_weight(activation, batch_norm):
    torch.manual_seed(0)
    config = DenseNetConfig(2, **SMALL, activation=activation, batch_norm=batch_norm)
    net = DenseNet(config)
    net(torch.rand(4, 1, 33, 40)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert bool(parameter.grad.isfinite().all()), name
        assert bool(parameter.grad.any()) or name.endswith(".bias"), name


def test_without_batch_norm_nothing_is_overwritten():
    net = DenseNet(DenseNetConfig(**SMALL, batch_norm=False))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules())
    x = torch.randn(1, 5, 6, 6)
    before = x.clone()
    net.blocks[0](x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_initializers(initializer):
    net = DenseNet(DenseNetConfig(**SMALL, initializer=initializer))
    assert bool(net.stem.weight.any())
    assert not net.stem.bias.any()


def test_smallest_image():
    net = DenseNet(DenseNetConfig(**SMALL)).eval()
    assert bool(net(torch.rand(1, 1, 9, 9)).isfinite().all())
    with pytest.raises(ImageError, match="at least 9 x 9 pixels for 2 blocks, found 9 x 8"):
        net(torch.rand(1, 1, 9, 8))


@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
def test_smallest_image_has_a_pixel_left_in_every_block(blocks):
    net = DenseNet(DenseNetConfig(nb_blocks=blocks, nb_layers_per_block=1)).eval()
    size = 2 ** (blocks + 1) + 1
    assert bool(net(torch.rand(1, 1, size, size)).isfinite().all())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"num_outputs": 0}, "expected num_outputs of at least 1, found 0"),
        ({"growth_rate": -1}, "expected growth_rate of at least 1, found -1"),
        ({"compression_rate": 0.0}, "expected a compression rate above 0"),
        ({"compression_rate": 1.5}, "at most 1, found 1.5"),
        ({"compression_rate": 0.01}, "leaves a block without channels"),
        ({"block_activations": ("relu",)}, "expected an activation for each of 2 blocks, found 1"),
        ({"activation": "abs"}, "unknown activation 'abs'"),
        ({"initializer": "ones"}, "unknown initializer 'ones'"),
    ],
    ids=str,
)
def test_config_that_makes_no_network(change, match):
    with pytest.raises(UsageError, match=match):
        DenseNetConfig(**(SMALL | change))
