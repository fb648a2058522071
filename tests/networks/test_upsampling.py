import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import nn

from bodycomp.networks.upsampling import convolve_upsampled

CHANNELS = [(1, 1, 1), (1, 3, 2), (5, 1, 7), (7, 5, 3), (16, 9, 11), (33, 17, 16)]
SIZES = [(1, 1), (1, 4), (2, 2), (5, 3), (8, 12)]


def plain(conv: nn.Conv2d, low: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
    large = F.interpolate(low, scale_factor=2.0, mode="nearest")
    return conv(torch.cat((large, skip), dim=1))


def results(function, conv, low, skip):
    conv.zero_grad()
    low, skip = low.clone().requires_grad_(), skip.clone().requires_grad_()
    output = function(conv, low, skip)
    (output * torch.linspace(-1, 1, output.numel()).reshape(output.shape)).sum().backward()
    return output.detach(), low.grad, skip.grad, conv.weight.grad.clone(), conv.bias.grad.clone()


@pytest.mark.parametrize("channels", CHANNELS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_numbers_and_gradients_as_the_plain_formulation(channels, size, dtype):
    """Also at the borders, where zero padding meets the upsampled rows."""
    torch.manual_seed(0)
    below, beside, out = channels
    conv = nn.Conv2d(below + beside, out, 3, padding=1).to(dtype)
    low = torch.randn(2, below, *size, dtype=dtype)
    skip = torch.randn(2, beside, 2 * size[0], 2 * size[1], dtype=dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    for expected, found in zip(
        results(plain, conv, low, skip), results(convolve_upsampled, conv, low, skip), strict=True
    ):
        scale = max(1.0, float(expected.abs().max()))
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * scale)


def test_channels_last_too():
    torch.manual_seed(0)
    conv = nn.Conv2d(12, 6, 3, padding=1)
    low = torch.randn(2, 7, 4, 4).to(memory_format=torch.channels_last)
    skip = torch.randn(2, 5, 8, 8).to(memory_format=torch.channels_last)
    torch.testing.assert_close(
        convolve_upsampled(conv, low, skip), plain(conv, low, skip), rtol=0, atol=1e-5
    )
