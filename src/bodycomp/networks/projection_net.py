"""A network that sees a whole series from the front and the side: ``--arch projection``.

Convolutions look at both projections, every row's features then become one vector, and dilated
convolutions along the body count from what is far away: ribs, pelvis, both ends of the scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses
from torch import Tensor, nn

from bodycomp.errors import UsageError
from bodycomp.networks.layers import (
    check_activation,
    check_initializer,
    initialize,
    make_activation,
    make_norm,
)
from bodycomp.networks.resnet import ResNetUnit

VIEWS: Final = 2
VIEW_CHANNELS: Final = 1
"""Bone."""

COLUMNS: Final = 128
"""Columns that the network works on; inputs of others are averaged to them."""

MARGIN_ROWS: Final = 16
"""Empty rows beyond both ends, an even number: what a series does not show."""

GAIN: Final = 20.0
"""Bone is a small share of a ray: ``log(1 + GAIN * share)`` spreads small shares."""


@dataclass(frozen=True, slots=True)
class ProjectionConfig:
    """Size of a network on projections.

    Attributes:
        num_outputs: One per vertebral level.
        channels: Features of the stages that halve the columns; the third halves the rows, too.
        features: Features of a row from then on.
        rounds: How often rows look farther and farther, up to 32 rows of 6 mm.

    Raises:
        UsageError: A value is out of range or a name unknown.
    """

    num_outputs: int = 1
    channels: tuple[int, ...] = (24, 32, 48, 64)
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
        check_activation(self.activation)
        check_initializer(self.initializer)


ROW_STAGE: Final = 2
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
        widths, activation = (VIEW_CHANNELS, *config.channels), config.activation
        self.views = nn.ModuleList(
            nn.Sequential(
                *(
                    ResNetUnit(
                        pair, activation, kernel=3, stride=(2 if stage == ROW_STAGE else 1, 2)
                    )
                    for stage, pair in enumerate(pairwise(widths))
                )
            )
            for _ in range(VIEWS)
        )
        columns = COLUMNS // 2 ** len(config.channels)
        self.join = nn.Conv2d(VIEWS * config.channels[-1] * columns, config.features, 1, bias=False)
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
        self.head = nn.Conv2d(config.features, config.num_outputs, 1)
        initialize(self, config.initializer)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, R, num_outputs); their sigmoid is the target of ``targets``.

        ``x`` is (B, 2, R, side): ``imaging.projection.project`` of each series.
        """
        rows = x.shape[2]
        x = F.adaptive_avg_pool2d(x, (rows, COLUMNS)) if x.shape[3] != COLUMNS else x
        x = torch.log1p(GAIN * F.pad(x, (0, 0, MARGIN_ROWS, MARGIN_ROWS + rows % 2)))
        seen = [view(part) for view, part in zip(self.views, x.chunk(VIEWS, 1), strict=True)]
        x = torch.cat([part.transpose(2, 3).flatten(1, 2) for part in seen], 1)[..., None]
        x = self.dropout(self.activation(self.join_norm(self.join(x))))  # (B, features, R / 2, 1)
        x = self.head(self.rows(x))[..., 0]  # (B, num_outputs, R / 2)
        logits = F.interpolate(x, scale_factor=2.0, mode="linear")
        return logits[..., MARGIN_ROWS : MARGIN_ROWS + rows].transpose(1, 2)
