"""How a training set is to be validated."""

from __future__ import annotations

from dataclasses import dataclass

from bodycomp.options import option


@dataclass(frozen=True, slots=True)
class ValidationOptions:
    """How a training set is to be validated."""

    levels: tuple[str, ...] | None = option(
        None,
        "--levels -L",
        metavar="LEVEL",
        help="levels of a slice-selection set (default: those with offsets in every split)",
    )
    thoracic: bool = option(False, "--thoracic -t", help="a segmentation set without visceral fat")
    allow_scaled: bool = option(
        False,
        "--allow-scaled-images",
        help="images that look windowed or scaled, and other issues that are based on HU, are "
        "warnings, not errors",
    )
