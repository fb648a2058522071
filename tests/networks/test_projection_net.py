"""The network on projections: every row is scored, and its levels share the body."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from bodycomp.errors import UsageError
from bodycomp.imaging.preprocessing import SLICE_SELECTION_PREPROCESSING
from bodycomp.imaging.projection import COLUMNS, VIEWS
from bodycomp.networks.card import ModelCard
from bodycomp.networks.chosen_levels import choose_levels
from bodycomp.networks.losses import ordered_cross_entropy
from bodycomp.networks.model import build_network, network_config
from bodycomp.networks.projection_net import ProjectionConfig, ProjectionNet

SMALL = ProjectionConfig(num_outputs=4, channels=(2, 2, 3, 4), features=6, rounds=1)
LEVELS = ("T12", "L1", "L2", "L3")


@pytest.fixture(scope="module")
def network() -> ProjectionNet:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = ProjectionNet(SMALL).eval()
        torch.nn.init.normal_(made.head.weight)
    return made


def views_of(rows: int, count: int = 1) -> torch.Tensor:
    return torch.rand(
        count, len(VIEWS), rows, COLUMNS, generator=torch.Generator().manual_seed(rows)
    )


@pytest.mark.parametrize("rows", [1, 2, 15, 40])
@torch.no_grad()
def test_each_row_has_a_logit_per_level(network: ProjectionNet, rows: int) -> None:
    assert network(views_of(rows, 3)).shape == (3, rows, 4)


@torch.no_grad()
def test_a_row_is_the_more_surely_above_a_level_the_lower_that_lies(network: ProjectionNet) -> None:
    assert (network(views_of(60)).diff(dim=-1) >= 0).all()


@torch.no_grad()
def test_a_row_sees_what_lies_400_mm_away(network: ProjectionNet) -> None:
    plain = torch.zeros(1, len(VIEWS), 200, COLUMNS)
    changed = plain.clone()
    changed[:, :, 140:150] = 1.0
    difference = (network(changed) - network(plain)).abs()[0, :, 0]
    assert difference[20] > 0


@torch.no_grad()
def test_a_model_of_some_of_its_levels_scores_them_as_before(network: ProjectionNet) -> None:
    card = ModelCard(
        task="slice_selection",
        architecture="projection",
        config=network_config("projection", asdict(SMALL)),
        preprocessing=SLICE_SELECTION_PREPROCESSING,
        levels=LEVELS,
        target_scale_mm=4.0,
    )
    scores, weights, chosen = network(views_of(40)), network.state_dict(), card
    for levels in (("T12", "L1", "L3"), ("L1", "L3")):  # the second is chosen of the first
        chosen, weights = choose_levels(chosen, weights, levels)
        some = build_network(chosen).eval()
        some.load_state_dict(weights)
        expected = scores[..., [LEVELS.index(level) for level in levels]]
        torch.testing.assert_close(some(views_of(40)), expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channels": (8,)}, "at least 2 stages"),
        ({"dropout": 1.0}, "dropout below 1"),
        ({"num_outputs": 2, "parts": 5, "borders": (1, 4)}, "borders between 5 parts"),
        ({"num_outputs": 2, "parts": 5, "borders": (2, 1)}, "2 ascending borders"),
    ],
)
def test_sizes_that_make_no_network_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ProjectionConfig(**values)  # type: ignore[arg-type]


def test_the_loss_is_the_cross_entropy_of_parts_between_annotated_levels() -> None:
    generator = torch.Generator().manual_seed(3)
    parts = 3 * torch.randn(50, 5, generator=generator)
    above = parts.softmax(dim=1).cumsum(dim=1)[:, :4]
    true = torch.randint(5, (50,), generator=generator)
    targets = (true[:, None] <= torch.arange(4)).float()
    torch.testing.assert_close(
        ordered_cross_entropy(above.logit()[None], targets[None]),
        torch.nn.functional.cross_entropy(parts, true),
    )
    few = targets.clone()
    few[:, [0, 2]] = torch.nan  # of parts 0 and 1 nobody said which, nor of 2 and 3
    joined = parts.exp() @ torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]])
    torch.testing.assert_close(
        ordered_cross_entropy(above.logit(), few),
        torch.nn.functional.cross_entropy(joined.log(), torch.tensor([0, 0, 1, 1, 2])[true]),
    )
    nothing = torch.full_like(targets, torch.nan)
    assert ordered_cross_entropy(above.logit(), nothing) == 0


def test_the_loss_of_levels_far_away_stays_finite() -> None:
    above = torch.tensor([[-80.0, -80.0, 80.0]], requires_grad=True)
    loss = ordered_cross_entropy(above, torch.tensor([[0.0, 1.0, 1.0]]))
    loss.backward()
    assert loss.isfinite()
    assert above.grad is not None
    assert above.grad.isfinite().all()
