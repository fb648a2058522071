"""What a file of the earlier Keras implementation may leave open."""

from __future__ import annotations

from dataclasses import dataclass

from bodycomp.level_names import check_levels
from bodycomp.networks.names import ACTIVATIONS
from bodycomp.options import option


@dataclass(frozen=True, slots=True)
class KerasOptions:
    """What a Keras file may leave open.

    Attributes:
        target_scale_mm: Never in the file; None is 10 mm.
    """

    activation: str | None = option(
        None,
        "--activation",
        choices=ACTIVATIONS,
        help="as in its training (default: what the file says; relu for weights alone)",
    )
    levels: tuple[str, ...] | None = option(
        None,
        "--levels -L",
        metavar="LEVEL",
        convert=check_levels,
        help="DenseNet: levels of its outputs, in order (default L3 for a single one)",
    )
    target_scale_mm: float | None = option(
        None,
        "--threshold",
        metavar="MM",
        help="DenseNet: scale of its soft threshold in mm, as in its training (default 10)",
    )
