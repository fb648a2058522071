"""A network that sees a whole series and its straightened spine: ``--arch projection``.

Convolutions look at each view, every row's features then become one vector, and dilated
convolutions along the body count from what is far away: ribs, pelvis, both ends of the scan. Levels
share the body into ordered parts, and each row belongs to one of them: what speaks for one level
speaks against its neighbors, and scores rise from head to feet in the order of levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from bodycomp.errors import UsageError
from bodycomp.imaging.projection import COLUMNS, VIEWS, WHOLE
from bodycomp.networks.layers import (
    check_activation,
    check_initializer,
    initialize,
    make_activation,
    make_norm,
)
from bodycomp.networks.resnet import ResNetUnit

MARGIN_ROWS: Final = 16
"""Empty rows beyond both ends, an even number: what a series does not show."""

GAINS: Final = (20.0, 4.0)
"""Bone is a small share of a ray through the body, and a larger one of a slab: ``log(1 + gain *
share)`` spreads small shares."""


@dataclass(frozen=True, slots=True)
class ProjectionConfig:
    """Size of a network on projections.

    Attributes:
        num_outputs: One per vertebral level, from head to feet.
        parts: Into so many the levels that it learned share the body; 0 if they are its outputs.
        borders: Of a network that learned more levels than it finds, between which parts its
            outputs are: 0 is that of the first two.
        channels: Features of the stages that halve the columns; the second halves the rows, too.
        features: Features of a row from then on.
        rounds: How often rows look farther and farther, up to 32 rows of 6 mm.

    Raises:
        UsageError: A value is out of range or a name unknown.
    """

    num_outputs: int = 1
    parts: int = 0
    borders: tuple[int, ...] = ()
    channels: tuple[int, ...] = (16, 24, 40, 64)
    features: int = 160
    rounds: int = 2
    dropout: float = 0.1
    activation: str = "relu"
    initializer: str = "he_normal"

    def __post_init__(self) -> None:
        numbers = (*self.channels, self.features, self.rounds, self.num_outputs)
        if len(self.channels) < ROW_STAGE + 1 or min(numbers) < 1 or not 0 <= self.dropout < 1:
            raise UsageError(
                f"expected at least {ROW_STAGE + 1} stages, positive numbers and a dropout below "
                f"1, found {self}"
            )
        if self.borders and (
            len(self.borders) != self.num_outputs
            or list(self.borders) != sorted(set(self.borders))
            or not 0 <= self.borders[0] <= self.borders[-1] < self.parts - 1
        ):
            raise UsageError(
                f"expected {self.num_outputs} ascending borders between {self.parts} parts, found "
                f"{list(self.borders)}"
            )
        check_activation(self.activation)
        check_initializer(self.initializer)


ROW_STAGE: Final = 1
"""The stage that halves the rows."""

DILATIONS: Final = (1, 2, 4, 8, 16, 32)


class RowBlock(nn.Module):
    """Looks at rows ``dilation`` away and adds what it sees: (B, C, R, 1) -> the same shape."""

    def __init__(self, channels: int, dilation: int, activation: str) -> None:
        super().__init__()
        reach = {"padding": (dilation, 0), "dilation": (dilation, 1), "bias": False}
        self.conv1 = nn.Conv2d(channels, channels, (3, 1), **reach)  # type: ignore[arg-type]
        self.norm1 = make_norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm2 = make_norm(channels)
        self.activation = make_activation(activation, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        new = self.norm2(self.conv2(self.activation(self.norm1(self.conv1(x)))))
        features: Tensor = self.activation(new + x)
        return features


class ProjectionNet(nn.Module):
    """Scores all rows of a series."""

    def __init__(self, config: ProjectionConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ProjectionConfig()
        widths, activation = (1, *config.channels), config.activation
        self.views = nn.ModuleList(
            nn.Sequential(
                *(
                    ResNetUnit(
                        pair, activation, kernel=3, stride=(2 if stage == ROW_STAGE else 1, 2)
                    )
                    for stage, pair in enumerate(pairwise(widths))
                )
            )
            for _ in VIEWS
        )
        columns = COLUMNS // 2 ** len(config.channels)
        joined = len(VIEWS) * config.channels[-1] * columns
        self.join = nn.Conv2d(joined, config.features, 1, bias=False)
        self.join_norm = make_norm(config.features)
        self.activation = make_activation(activation, inplace=True)
        self.dropout = nn.Dropout(config.dropout)
        self.rows = nn.Sequential(
            *(
                RowBlock(config.features, dilation, activation)
                for _ in range(config.rounds)
                for dilation in DILATIONS
            )
        )
        self.head = nn.Conv2d(config.features, config.parts or config.num_outputs + 1, 1)
        initialize(self, config.initializer)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, R, num_outputs); their sigmoid is the target of ``targets``.

        ``x`` is (B, view, R, ``COLUMNS``): ``imaging.projection.project`` of each series.
        """
        rows = x.shape[2]
        x = F.pad(x, (0, 0, MARGIN_ROWS, MARGIN_ROWS + rows % 2))
        seen = [
            view(torch.log1p(GAINS[place >= WHOLE] * part))
            for place, (view, part) in enumerate(
                zip(self.views, x.chunk(len(VIEWS), 1), strict=True)
            )
        ]
        x = torch.cat([part.transpose(2, 3).flatten(1, 2) for part in seen], 1)[..., None]
        x = self.dropout(self.activation(self.join_norm(self.join(x))))  # (B, features, R / 2, 1)
        x = self.head(self.rows(x))[..., 0]  # (B, part, R / 2)
        parts = F.interpolate(x, scale_factor=2.0, mode="linear")
        above = _above_each(parts[..., MARGIN_ROWS : MARGIN_ROWS + rows].transpose(1, 2))
        return above[..., list(self.config.borders)] if self.config.borders else above


def _above_each(parts: Tensor) -> Tensor:
    """Return the logit that a row lies above each level, (..., level).

    ``parts`` are (..., level + 1): the logits that it lies between the level above and the next;
    the first is above all levels, the last below.
    """
    shares = parts.log_softmax(dim=-1)
    above = shares.logcumsumexp(dim=-1)[..., :-1]
    below = shares.flip(-1).logcumsumexp(dim=-1).flip(-1)[..., 1:]
    return above - below
