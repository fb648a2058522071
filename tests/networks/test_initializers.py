import math

import pytest
import torch
from torch import nn

from bodycomp.errors import UsageError
from bodycomp.networks.layers import initialize
from bodycomp.networks.names import INITIALIZERS

FAN_IN, FAN_OUT = 3 * 3 * 40, 3 * 3 * 60  # of the convolution below
VARIANCES = {"glorot": 2 / (FAN_IN + FAN_OUT), "he": 2 / FAN_IN, "lecun": 1 / FAN_IN}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_weights_have_the_variance_and_range_of_keras(name):
    torch.manual_seed(0)
    conv = nn.Conv2d(40, 60, 3)
    initialize(conv, name)
    family, shape = name.split("_")
    std = math.sqrt(VARIANCES[family])
    assert float(conv.weight.detach().std()) == pytest.approx(std, rel=0.02)
    assert abs(float(conv.weight.detach().mean())) < 0.05 * std
    edge = math.sqrt(3) if shape == "uniform" else 2 / 0.8796  # cut at 2 of the wider deviation
    assert 0.98 * edge < float(conv.weight.detach().abs().max()) / std <= 1.001 * edge
    assert not conv.bias.detach().any()


def test_dense_layers_too():
    dense = nn.Linear(200, 100)
    initialize(dense, "he_uniform")
    assert float(dense.weight.detach().abs().max()) == pytest.approx(math.sqrt(6 / 200), rel=0.02)
    assert not dense.bias.detach().any()


def test_batch_norm_stays_as_it_is():
    norm = nn.BatchNorm2d(4)
    initialize(norm, "he_normal")
    assert bool((norm.weight == 1).all())


def test_same_seed_same_weights():
    first, second = nn.Conv2d(2, 3, 3), nn.Conv2d(2, 3, 3)
    for layer in (first, second):
        torch.manual_seed(5)
        initialize(layer, "lecun_normal")
    assert torch.equal(first.weight, second.weight)


def test_unknown_name():
    with pytest.raises(UsageError, match="unknown initializer 'zeros'"):
        initialize(nn.Conv2d(1, 1, 1), "zeros")
