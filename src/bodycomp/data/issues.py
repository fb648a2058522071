"""What is wrong with a training set, as values: collected, counted, and raised in one go."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
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

    Attributes:
        severity: An error keeps the set from being trained on, a warning does not.
        where: File relative to the training set, with sample, row or column.
        message: What was expected and what was found.
        hint: What to do.
        code: Name of the rule, as listed in ``docs/validation.md``.
        split: One of ``SPLITS``, None if it is about the whole set.
        index: Sample or slice of the split, None if it is about no single one.
        value: What was found, for machines; the message says what it is and its unit.
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


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of one severity and one piece of advice; ``code`` is its name."""

    code: str
    severity: Severity
    hint: str

    def broken(self, place: Place, message: str, value: float | str | None = None) -> Issue:
        """Return the issue that this rule is broken somewhere."""
        return Issue(
            *(self.severity, place.where, message, self.hint, self.code),
            *(place.split, place.index, value),
        )


class IssueList:
    """Collects issues; of each rule and split up to ``REPEATS_KEPT``, then their number.

    Args:
        split: The split that issues are about unless they say otherwise.
    """

    def __init__(self, split: str | None = None) -> None:
        self._split = split
        self._findings: list[Issue] = []
        self._seen: Counter[tuple[str, str | None]] = Counter()

    def error(self, code: str, where: str | Place, message: str, hint: str = "") -> None:
        """Add an error."""
        self._add("error", code, where, message, hint)

    def warning(self, code: str, where: str | Place, message: str, hint: str = "") -> None:
        """Add a warning."""
        self._add("warning", code, where, message, hint)

    def add(self, issue: Issue) -> None:
        """Add an issue, or only count it if its rule was reported often enough."""
        split = issue.split if issue.split is not None else self._split
        self._seen[issue.code, split] += 1
        if self._seen[issue.code, split] <= REPEATS_KEPT:
            told = issue if issue.split is not None else replace(issue, split=self._split)
            self._findings.append(told)

    def extend(self, issues: Iterable[Issue]) -> None:
        """Add issues one after another."""
        for issue in issues:
            self.add(issue)

    def all(self) -> tuple[Issue, ...]:
        """Return what was collected, each rule that was cut short followed by a count."""
        rest = []
        for key, count in self._seen.items():
            if count > REPEATS_KEPT:
                last = [each for each in self._findings if (each.code, each.split) == key][-1]
                rest.append(_count(last, count - REPEATS_KEPT, count))
        return (*self._findings, *rest)

    def _add(
        self, severity: Severity, code: str, where: str | Place, message: str, hint: str
    ) -> None:
        place = Place(where) if isinstance(where, str) else where
        self.add(Rule(code, severity, hint).broken(place, message))


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
    """Return the line that stands for ``more`` issues after the last one that is told."""
    message = f"{more} more of this kind ({last.code}), {total} in all"
    return Issue(
        *(last.severity, f"{AFTER}{last.where}", message, "", last.code, last.split, None, more)
    )


def _stands_for(issue: Issue) -> int:
    """Return for how many issues this one stands: itself, or those that were only counted."""
    counted = issue.where.startswith(AFTER) and isinstance(issue.value, int)
    return int(issue.value or 0) if counted else 1


def as_error(issue: Issue, where: object = None) -> BodycompError:
    """Return the exception that tells one issue, with a fuller ``where`` if given."""
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


def sample_place(split: str, index: int, what: str = "images") -> Place:
    """Return the place of a segmentation sample; ``what`` is ``images`` or ``masks``."""
    return Place(f"{split}_{what}.npy, sample {index}", split, index)


def slice_place(split: str, index: int) -> Place:
    """Return the place of a PNG slice."""
    return Place(f"images/{split}/{png_name(index)}", split, index)


def row_place(split: str, row: int, column: str = "") -> Place:
    """Return the place of a row of the table, or of a cell if a column is named."""
    cell = f", column {column}" if column else ""
    return Place(f"{table_name(split)}, row {row} (slice {row:06d}){cell}", split, row)


def table_place(split: str) -> Place:
    """Return the place of a whole table."""
    return Place(table_name(split), split)


def images_place(split: str) -> Place:
    """Return the place of a segmentation split's images as a whole."""
    return Place(f"{split}_images.npy", split)


def table_name(split: str) -> str:
    """Return the name of a split's table relative to the training set."""
    return f"meta/{split}.csv"
