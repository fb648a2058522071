"""What is wrong with a training set, as values: collected, counted, and raised in one go."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from bodycomp.errors import BodycompError, InputNotFoundError, TrainingSetError

_logger = logging.getLogger(__name__)

Severity = Literal["error", "warning"]

MISSING_FILE: Final = "missing-file"
REPEATS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or looks wrong, with a training set.

    Attributes:
        severity: An error keeps the set from being trained on, a warning does not.
        where: File relative to the training set, with sample, row or column.
        message: What was expected and what was found.
        hint: What to do.
        code: Name of the rule, as listed in ``docs/formats.md``.
    """

    severity: Severity
    where: str
    message: str
    hint: str = ""
    code: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f"\n  {self.hint}" if self.hint else "")


class FindingList:
    """Collects findings; of each rule the first few in full, then how many more there are."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._seen: Counter[str] = Counter()

    def error(self, code: str, where: str, message: str, hint: str = "") -> None:
        """Add an error."""
        self.add(Finding("error", where, message, hint, code))

    def warning(self, code: str, where: str, message: str, hint: str = "") -> None:
        """Add a warning."""
        self.add(Finding("warning", where, message, hint, code))

    def add(self, finding: Finding) -> None:
        """Add a finding, or only count it if its rule was reported often enough."""
        self._seen[finding.code] += 1
        if self._seen[finding.code] <= REPEATS_SHOWN:
            self._findings.append(finding)

    def all(self) -> tuple[Finding, ...]:
        """Return what was collected, each rule that was cut short followed by a count."""
        rest = []
        for code, count in self._seen.items():
            if count > REPEATS_SHOWN:
                last = [finding for finding in self._findings if finding.code == code][-1]
                where = f"after {last.where}"
                message = f"{count - REPEATS_SHOWN} more of this kind ({code}), {count} in all"
                rest.append(Finding(last.severity, where, message, "", code))
        return (*self._findings, *rest)


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
    for finding in findings:
        if finding.severity == "error":
            errors.append(finding)
        else:
            _logger.warning("%s", finding)
    if errors:
        noun = "error" if len(errors) == 1 else "errors"
        listing = "\n".join(f"- {finding}" for finding in errors)
        raise TrainingSetError(f"the training set cannot be used, {len(errors)} {noun}:\n{listing}")
