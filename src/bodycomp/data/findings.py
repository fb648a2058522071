"""What is wrong with a training set, as values: collected, counted, and raised in one go."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from bodycomp.errors import BodycompError, InputNotFoundError, TrainingSetError

_logger = logging.getLogger(__name__)

Severity = Literal["error", "warning"]
AFTER: Final = "after "
"""Begins the place of a line that stands for findings that were only counted."""

MISSING_FILE: Final = "missing-file"
REPEATS_SHOWN: Final = 5
"""Findings of a rule and split that people are shown; then how many more there are."""

REPEATS_KEPT: Final = 1000
"""Findings of a rule and split that are kept at all, so that memory stays small."""


@dataclass(frozen=True, slots=True)
class Finding:
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

    def broken(self, place: Place, message: str, value: float | str | None = None) -> Finding:
        """Return the finding that this rule is broken somewhere."""
        return Finding(
            *(self.severity, place.where, message, self.hint, self.code),
            *(place.split, place.index, value),
        )


class FindingList:
    """Collects findings; of each rule and split up to ``REPEATS_KEPT``, then their number.

    Args:
        split: The split that findings are about unless they say otherwise.
    """

    def __init__(self, split: str | None = None) -> None:
        self._split = split
        self._findings: list[Finding] = []
        self._seen: Counter[tuple[str, str | None]] = Counter()

    def error(self, code: str, where: str | Place, message: str, hint: str = "") -> None:
        """Add an error."""
        self._add("error", code, where, message, hint)

    def warning(self, code: str, where: str | Place, message: str, hint: str = "") -> None:
        """Add a warning."""
        self._add("warning", code, where, message, hint)

    def add(self, finding: Finding) -> None:
        """Add a finding, or only count it if its rule was reported often enough."""
        split = finding.split if finding.split is not None else self._split
        self._seen[finding.code, split] += 1
        if self._seen[finding.code, split] <= REPEATS_KEPT:
            told = finding if finding.split is not None else replace(finding, split=self._split)
            self._findings.append(told)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Add findings one after another."""
        for finding in findings:
            self.add(finding)

    def all(self) -> tuple[Finding, ...]:
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


def shortened(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the first few findings of each rule in each split, then how many more there are."""
    groups: dict[tuple[str, str | None], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.split), []).append(finding)
    shown: list[Finding] = []
    for group in groups.values():
        shown += group[:REPEATS_SHOWN]
        if len(group) > REPEATS_SHOWN:
            total = sum(_stands_for(finding) for finding in group)
            shown.append(_count(group[REPEATS_SHOWN - 1], total - REPEATS_SHOWN, total))
    return tuple(shown)


def count_findings(findings: Iterable[Finding], severity: Severity) -> int:
    """Return how many findings of a severity there are, also those that were only counted."""
    return sum(_stands_for(each) for each in findings if each.severity == severity)


def _count(last: Finding, more: int, total: int) -> Finding:
    """Return the line that stands for ``more`` findings after the last one that is told."""
    message = f"{more} more of this kind ({last.code}), {total} in all"
    return Finding(
        *(last.severity, f"{AFTER}{last.where}", message, "", last.code, last.split, None, more)
    )


def _stands_for(finding: Finding) -> int:
    """Return for how many findings this one stands: itself, or those that were only counted."""
    counted = finding.where.startswith(AFTER) and isinstance(finding.value, int)
    return int(finding.value or 0) if counted else 1


def as_error(finding: Finding, where: object = None) -> BodycompError:
    """Return the exception that tells one finding, with a fuller ``where`` if given."""
    kind = InputNotFoundError if finding.code == MISSING_FILE else TrainingSetError
    place = finding.where if where is None else where
    return kind(f"{place}: {finding.message}", hint=finding.hint)


def raise_for_errors(findings: Iterable[Finding]) -> None:
    """Log every warning and raise if there is an error.

    Raises:
        TrainingSetError: Lists all errors, each with what to do.
    """
    errors = []
    for finding in shortened(findings):
        if finding.severity == "error":
            errors.append(finding)
        else:
            _logger.warning("%s", finding)
    if errors:
        noun = "error" if len(errors) == 1 else "errors"
        listing = "\n".join(f"- {finding}" for finding in errors)
        raise TrainingSetError(f"the training set cannot be used, {len(errors)} {noun}:\n{listing}")
