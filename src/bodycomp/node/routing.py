"""Which rule decides on a study, and why: the first that matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bodycomp.dicom.received import SeriesFacts
from bodycomp.node.config import Rule


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules say of a study.

    Attributes:
        rule: The first that matches; None if none does.
        series: The series that fulfil its conditions.
        words: Why, rule by rule; nothing of a header but numbers.
    """

    rule: Rule | None
    series: frozenset[str]
    words: str


def decide(rules: Sequence[Rule], calling: str, series: Mapping[str, SeriesFacts]) -> Decision:
    """Return which rule decides on a study.

    Args:
        rules: In their order.
        calling: AE title of the sender.
        series: Name of a series -> what its header says.
    """
    said = []
    for rule in rules:
        sender = _like(rule.calling, (calling,))
        found = [key for key, facts in series.items() if sender and not _misses(rule, facts)]
        if found:
            conditions = _conditions(rule)
            matched = f"rule {rule.name!r} matches {len(found)} of {len(series)} series"
            said.append(matched + (f" ({', '.join(conditions)})" if conditions else ""))
            return Decision(rule, frozenset(found), "; ".join(said))
        said.append(f"rule {rule.name!r} does not match: {_why(rule, calling, series.values())}")
    return Decision(None, frozenset(), "; ".join(said))


def _misses(rule: Rule, facts: SeriesFacts) -> list[str]:
    """Return the conditions that a series does not fulfil."""
    low, high = rule.thickness_mm or (0.0, 0.0)
    fulfilled = {
        "description": _like(rule.description, facts.descriptions),
        "body part": _like(rule.body_part, (facts.body_part,)),
        "thickness": rule.thickness_mm is None
        or (facts.thickness_mm is not None and low <= facts.thickness_mm <= high),
    }
    return [name for name, yes in fulfilled.items() if not yes]


def _like(patterns: Sequence[str], texts: Sequence[str]) -> bool:
    """Whether a text matches a pattern; without patterns everything does."""
    return not patterns or any(
        fnmatchcase(text.casefold(), pattern.casefold()) for text in texts for pattern in patterns
    )


def _conditions(rule: Rule) -> list[str]:
    texts = {
        "calling AE title": rule.calling,
        "description": rule.description,
        "body part": rule.body_part,
    }
    said = [f"{name} {' or '.join(patterns)}" for name, patterns in texts.items() if patterns]
    if rule.thickness_mm:
        low, high = rule.thickness_mm
        said.append(f"thickness {low:g} to {high:g} mm")
    return said


def _why(rule: Rule, calling: str, series: Iterable[SeriesFacts]) -> str:
    if not _like(rule.calling, (calling,)):
        return f"calling AE title is {calling}"
    nearest = min(series, key=lambda facts: len(_misses(rule, facts)), default=None)
    if nearest is None:
        return "no images"
    misses = _misses(rule, nearest)
    found = "unknown" if nearest.thickness_mm is None else f"{nearest.thickness_mm:g} mm"
    said = [f"{name} is {found}" if name == "thickness" else f"{name} differs" for name in misses]
    return f"the nearest series: {', '.join(said)}"
