"""The network on projections: every row is scored, however many there are."""

from __future__ import annotations

import pytest
import torch

from bodycomp.errors import UsageError
from bodycomp.networks.projection_net import ProjectionConfig, ProjectionNet

SMALL = ProjectionConfig(num_outputs=2, channels=(2, 2, 3, 4), features=6, rounds=1)


@pytest.fixture(scope="module")
def network() -> ProjectionNet:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = ProjectionNet(SMALL).eval()
        torch.nn.init.normal_(made.head.weight)
    return made


@pytest.mark.parametrize("rows", [1, 2, 15, 40])
@torch.no_grad()
def test_each_row_has_a_logit_per_level(network: ProjectionNet, rows: int) -> None:
    assert network(torch.rand(3, 2, rows, 128)).shape == (3, rows, 2)


@torch.no_grad()
def test_wider_images_are_averaged_to_128_columns(network: ProjectionNet) -> None:
    narrow = torch.rand(1, 2, 20, 128)
    torch.testing.assert_close(network(narrow.repeat_interleave(2, dim=3)), network(narrow))


@torch.no_grad()
def test_a_row_sees_what_lies_400_mm_away(network: ProjectionNet) -> None:
    plain = torch.zeros(1, 2, 200, 128)
    changed = plain.clone()
    changed[:, :, 140:150] = 1.0
    difference = (network(changed) - network(plain)).abs()[0, :, 0]
    assert difference[20] > 0


def test_sizes_that_make_no_network_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 3 stages"):
        ProjectionConfig(channels=(8, 8))
    with pytest.raises(UsageError, match="dropout below 1"):
        ProjectionConfig(dropout=1.0)
