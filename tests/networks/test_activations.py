import math

import numpy as np
import pytest
import torch

from bodycomp.errors import UsageError
from bodycomp.networks.layers import make_activation
from bodycomp.networks.names import ACTIVATIONS

X = np.linspace(-4, 4, 33)
ERF = np.vectorize(math.erf)

KERAS_FORMULAS = {
    "relu": np.maximum(X, 0),
    "elu": np.where(X > 0, X, np.expm1(X)),
    "selu": 1.05070098 * np.where(X > 0, X, 1.67326324 * np.expm1(X)),
    "tanh": np.tanh(X),
    "sigmoid": 1 / (1 + np.exp(-X)),
    "leaky_relu": np.where(X > 0, X, 0.2 * X),
    "gelu": 0.5 * X * (1 + ERF(X / np.sqrt(2))),
    "swish": X / (1 + np.exp(-X)),
}


def test_every_name_has_a_formula():
    assert set(KERAS_FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_gradients(name, inplace):
    x = torch.tensor(X, requires_grad=True)
    y = make_activation(name, inplace=inplace)(x * 1.0)
    np.testing.assert_allclose(y.detach(), KERAS_FORMULAS[name], atol=1e-7)
    y.sum().backward()
    assert bool(x.grad.isfinite().all())
    assert float(x.grad[-1]) > 0


def test_inplace_never_changes_the_input_unless_asked():
    for name in ACTIVATIONS:
        x = torch.tensor(X)
        make_activation(name)(x)
        np.testing.assert_array_equal(x, X)


def test_unknown_name():
    with pytest.raises(UsageError, match="unknown activation 'softsign'") as caught:
        make_activation("softsign")
    assert "leaky_relu" in caught.value.hint
