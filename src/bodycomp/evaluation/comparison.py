"""Two pairs of models on the same cases."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from bodycomp.errors import ModelError

Row = TypeVar("Row")


def paired(
    models: Sequence[Sequence[Row]], key: Callable[[Row], Hashable], what: str
) -> list[tuple[Row, Row]]:
    """Return the rows that both models have.

    Raises:
        ModelError: There are none, as the models do not know the same levels or tissues.
    """
    first, second = models
    others = {key(row): row for row in second}
    pairs = [(row, other) for row in first if (other := others.get(key(row))) is not None]
    if first and not pairs:
        raise ModelError(
            f"expected models that have {what} in common, found none",
            hint="Two models can be compared where they do the same.",
        )
    return pairs


def verdicts(comparison: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Return every comparison of one metric in a section, with where it stands.

    >>> verdicts({"L3": {"found": {"difference": {}, "better": "undecided"}}})[0][0]
    ('L3', 'found')
    """
    if not isinstance(comparison, dict):
        return []
    if "better" in comparison and "difference" in comparison:
        return [(path, comparison)]
    return [found for key, value in comparison.items() for found in verdicts(value, (*path, key))]
