"""What is wrong with a training set, as values: collected, counted, and raised in one go."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from bodycomp.data.layout import png_name
from bodycomp.errors import BodycompError, InputNotFoundError, TrainingSetError

_logger = logging.getLogger(__name__)

Severity = Literal["error", "warning"]
AFTER: Final = "after "
"""Begins the place of a line that stands for issues that were only counted."""

MISSING_FILE: Final = "missing-file"
REPEATS_SHOWN: Final = 5
"""Issues of a rule and split that people are shown; then how many more there are."""

REPEATS_KEPT: Final = 1000
"""Issues of a rule and split that are kept at all, so that memory stays small."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong, or looks wrong, with a training set.

    An error keeps the set from being trained on, a warning does not. ``where`` is the file relative
    to the set, with sample, row or column; ``split`` and ``index`` are None if it is about no
    single one. ``value`` is what was found, for machines; ``code`` the rule as
    ``docs/validation.md`` lists it.
    """

    severity: Severity
    where: str
    message: str
    hint: str = ""
    code: str = ""
    split: str | None = None
    index: int | None = None
    value: float | int | str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f"\n  {self.hint}" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found: in words, and as split and sample for machines."""

    where: str
    split: str | None = None
    index: int | None = None


PlaceOf = Callable[[str, int], Place]
"""Returns how a sample of a split is called."""


def sample_place(split: str, index: int, what: str = "images") -> Place:
    """Return the place of a segmentation sample; ``what`` is ``images`` or ``masks``."""
    return Place(f"{split}_{what}.npy, sample {index}", split, index)


def images_place(split: str) -> Place:
    """Return the place of a segmentation split's images as a whole."""
    return Place(f"{split}_images.npy", split)


def slice_place(split: str, index: int) -> Place:
    """Return the place of a PNG slice."""
    return Place(f"images/{split}/{png_name(index)}", split, index)


def table_place(split: str, level: str = "") -> Place:
    """Return the place of a whole table, or of a level in it."""
    return Place(f"meta/{split}.csv" + (f", level {level}" if level else ""), split)


def row_place(split: str, row: int, column: str = "") -> Place:
    """Return the place of a row of the table, or of a cell if a column is named."""
    cell = f", column {column}" if column else ""
    return Place(f"meta/{split}.csv, row {row} (slice {row:06d}){cell}", split, row)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of one severity and one piece of advice; ``code`` is its name."""

    code: str
    severity: Severity
    hint: str = ""

    def broken(self, place: Place | str, message: str, value: float | str | None = None) -> Issue:
        """Return the issue that this rule is broken somewhere."""
        at = Place(place) if isinstance(place, str) else place
        return Issue(
            *(self.severity, at.where, message, self.hint, self.code),
            *(at.split, at.index, value),
        )


def error(code: str, place: Place | str, message: str, hint: str = "") -> Issue:
    """Return an error."""
    return Rule(code, "error", hint).broken(place, message)


def warning(code: str, place: Place | str, message: str, hint: str = "") -> Issue:
    """Return a warning."""
    return Rule(code, "warning", hint).broken(place, message)


def collect(issues: Iterable[Issue], split: str | None = None) -> tuple[Issue, ...]:
    """Return issues, of each rule and split up to ``REPEATS_KEPT``, then their number.

    ``split`` is what they are about unless they say otherwise.
    """
    kept: list[Issue] = []
    seen: Counter[tuple[str, str | None]] = Counter()
    for issue in issues:
        owned = issue if issue.split is not None else replace(issue, split=split)
        seen[owned.code, owned.split] += 1
        if seen[owned.code, owned.split] <= REPEATS_KEPT:
            kept.append(owned)
    rest = []
    for key, count in seen.items():
        if count > REPEATS_KEPT:
            last = [each for each in kept if (each.code, each.split) == key][-1]
            rest.append(_count(last, count - REPEATS_KEPT, count))
    return (*kept, *rest)


def shortened(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """Return the first few issues of each rule in each split, then how many more there are."""
    groups: dict[tuple[str, str | None], list[Issue]] = {}
    for issue in issues:
        groups.setdefault((issue.code, issue.split), []).append(issue)
    shown: list[Issue] = []
    for group in groups.values():
        shown += group[:REPEATS_SHOWN]
        if len(group) > REPEATS_SHOWN:
            total = sum(_stands_for(issue) for issue in group)
            shown.append(_count(group[REPEATS_SHOWN - 1], total - REPEATS_SHOWN, total))
    return tuple(shown)


def count_issues(issues: Iterable[Issue], severity: Severity) -> int:
    """Return how many issues of a severity there are, also those that were only counted."""
    return sum(_stands_for(each) for each in issues if each.severity == severity)


def _count(last: Issue, more: int, total: int) -> Issue:
    """Return the line that stands for ``more`` issues after the last one that is reported."""
    message = f"{more} more of this kind ({last.code}), {total} in all"
    place = Place(f"{AFTER}{last.where}", last.split)
    return Rule(last.code, last.severity).broken(place, message, more)


def _stands_for(issue: Issue) -> int:
    """Return for how many issues this one stands: itself, or those that were only counted."""
    counted = issue.where.startswith(AFTER) and isinstance(issue.value, int)
    return int(issue.value or 0) if counted else 1


def as_error(issue: Issue, where: object = None) -> BodycompError:
    """Return the exception that reports one issue, with a fuller ``where`` if given."""
    kind = InputNotFoundError if issue.code == MISSING_FILE else TrainingSetError
    place = issue.where if where is None else where
    return kind(f"{place}: {issue.message}", hint=issue.hint)


def raise_for_errors(issues: Iterable[Issue]) -> None:
    """Log every warning and raise if there is an error.

    Raises:
        TrainingSetError: Lists all errors, each with what to do.
    """
    errors = []
    for issue in shortened(issues):
        if issue.severity == "error":
            errors.append(issue)
        else:
            _logger.warning("%s", issue)
    if errors:
        noun = "error" if len(errors) == 1 else "errors"
        listing = "\n".join(f"- {issue}" for issue in errors)
        raise TrainingSetError(f"the training set cannot be used, {len(errors)} {noun}:\n{listing}")
