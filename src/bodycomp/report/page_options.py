"""What the page of a training set shows."""

from __future__ import annotations

from dataclasses import dataclass

from bodycomp.options import check_options, option


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What the page of a training set shows.

    Raises:
        UsageError: A number is negative.
    """

    random: int = option(
        36, "--random", metavar="N", at_least=0, help="random samples (default {default})"
    )
    suspicious: int = option(
        36, "--suspicious", metavar="N", at_least=0, help="suspicious ones (default {default})"
    )
    seed: int = option(
        0, "--seed", at_least=0, help="seed of the random samples (default {default})"
    )

    def __post_init__(self) -> None:
        check_options(self)
