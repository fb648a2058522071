"""How files of levels are to be read, as far as they cannot say it themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bodycomp.errors import UsageError
from bodycomp.level_names import check_levels
from bodycomp.options import check_options, declare, option


def vertebra_labels(terms: Sequence[str]) -> dict[str, int]:
    """Read terms such as ``L3=22``."""
    labels: dict[str, int] = {}
    for term in terms:
        level, equals, number = (part.strip() for part in term.partition("="))
        if not (equals and number.isdigit()):
            raise UsageError(f"expected LEVEL=LABEL such as L3=22, found {term!r}")
        labels[level] = int(number)
    if labels:
        check_levels(list(labels))
    return labels


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelOptions:
    """What a file of levels cannot say by itself.

    Attributes:
        case: The rows of a table that count: its case or patient column has this text.
        vertebra_labels: Level -> label number in a vertebra map; empty for TotalSegmentator's.
    """

    case: str = field(default="", repr=False)
    first_slice: int = option(
        0,
        "--levels-first-slice",
        group="how levels are read",
        metavar="N",
        choices=(0, 1),
        help="number of the first slice where a table gives slice indices: 0 (default) or 1, as "
        "ITK-SNAP counts",
    )
    from_end: Literal["feet", "head"] = option(
        "feet",
        "--levels-from",
        choices=("feet", "head"),
        help="the end of the body at which slice indices begin (default {default})",
    )
    vertebra_labels: Mapping[str, int] = field(
        default_factory=dict,
        metadata=declare(
            "--vertebra-labels",
            metavar="LEVEL=LABEL",
            several=True,
            convert=vertebra_labels,
            help="numbers in a vertebra label map, for instance L3=22 L4=23 as VerSe has them "
            "(default: those of TotalSegmentator)",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)
