"""Which slices of a scan become samples of a training set."""

from __future__ import annotations

from dataclasses import dataclass

from bodycomp.level_names import check_levels
from bodycomp.options import check_options, option


def spacing_option(why: str = "") -> float | None:
    """Declare the thinning of thin series."""
    return option(
        None,
        "--spacing-mm",
        metavar="MM",
        positive=True,
        help=f"thin out thin series to about this distance{why} (default: every slice)",
    )


def max_per_scan_option() -> int | None:
    """Declare the largest number of slices of a scan."""
    return option(
        None,
        "--max-per-scan",
        metavar="N",
        at_least=1,
        help="take at most so many slices of a scan, evenly spread",
    )


@dataclass(frozen=True, slots=True)
class MaskSampling:
    """Which slices become samples for segmentation."""

    annotated_only: bool = option(
        True,
        "--slices",
        choices=("annotated", "all"),
        convert=lambda slices: slices == "annotated",
        help="slices with at least one labelled pixel (annotated, the default), or all; slices "
        "without labels then teach that there is no tissue (never those that are marked as not "
        "annotated)",
    )
    spacing_mm: float | None = spacing_option("; neighbouring slices teach the same")
    around: str = option(
        "", "--around", metavar="LEVEL", help="take slices about this level alone, e.g. L3"
    )
    reach_mm: float = option(
        30.0,
        "--reach-mm",
        metavar="MM",
        positive=True,
        help="with --around: how far above and below the level (default {default})",
    )
    max_per_scan: int | None = max_per_scan_option()

    def __post_init__(self) -> None:
        check_options(self)
        if self.around:
            check_levels([self.around])


@dataclass(frozen=True, slots=True)
class LevelSampling:
    """Which slices become samples for slice selection; ``near`` levels training needs every one.

    Thinning is for training alone, as slices far from a level are easily distinguished; validation
    and test take all slices, because they locate the level in whole series.
    """

    spacing_mm: float | None = spacing_option()
    near: tuple[str, ...] = ()
    near_mm: float = option(
        70.0,
        "--near-mm",
        metavar="MM",
        positive=True,
        help="with --far-stride: how near to one of --levels (else to L3) every slice is kept "
        "(default {default}, about two vertebrae)",
    )
    far_stride: int = option(
        1,
        "--far-stride",
        metavar="N",
        at_least=1,
        help="of the slices far from the levels keep every n-th for training; val and test keep "
        "whole series (default {default}: all)",
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.near:
            check_levels(self.near)
