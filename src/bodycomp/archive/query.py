"""What an archive is asked for: keys of studies and series, and what matches (PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, Self

from bodycomp.errors import UsageError

Answer = Mapping[str, Sequence[str]]
"""Keyword -> the values that an archive has of one study or series."""


class Level(StrEnum):
    """Levels of the study root model that are asked."""

    STUDY = "STUDY"
    SERIES = "SERIES"


_TEXT, _DATE, _UID, _NUMBER = "text", "date", "uid", "number"
_KEYS: Final[Mapping[Level, Mapping[str, str]]] = {
    Level.STUDY: {
        "AccessionNumber": _TEXT,
        "PatientID": _TEXT,
        "StudyInstanceUID": _UID,
        "StudyDate": _DATE,
        "StudyDescription": _TEXT,
        "StudyID": _TEXT,
        "ModalitiesInStudy": _TEXT,
        "PatientName": _TEXT,
        "PatientBirthDate": _DATE,
        "PatientSex": _TEXT,
    },
    Level.SERIES: {
        "Modality": _TEXT,
        "SeriesInstanceUID": _UID,
        "SeriesDescription": _TEXT,
        "SeriesNumber": _NUMBER,
        "BodyPartExamined": _TEXT,
        "ProtocolName": _TEXT,
    },
}
"""Level -> keyword -> how its values match."""

_KINDS: Final = {name: kind for keys in _KEYS.values() for name, kind in keys.items()}
_WRITTEN: Final = {
    _TEXT: (r"[^\\]+", "text, in which * and ? stand for anything"),
    _DATE: (r"\d{8}|\d{8}-(\d{8})?|-\d{8}", "a date such as 20260131 or a range 20260101-20260131"),
    _UID: (r"[\d.]+", "a UID"),
    _NUMBER: (r"-?\d+", "a whole number"),
}
_ISO_DATE: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


@dataclass(frozen=True, slots=True)
class Query:
    """Keys of studies and series; all have to match.

    Raises:
        UsageError: A key is unknown, a value cannot be one of its key, or none is of a study.
    """

    keys: Mapping[str, str] = field(repr=False)

    def __post_init__(self) -> None:
        for name, value in self.keys.items():
            if name not in _KINDS:
                close = get_close_matches(name, _KINDS, 1)
                raise UsageError(
                    f"expected a key of a study or a series, found {name!r}",
                    hint=f"Did you mean {close[0]}?" if close else f"Known: {', '.join(_KINDS)}.",
                )
            pattern, words = _WRITTEN[_KINDS[name]]
            if not re.fullmatch(pattern, value):
                raise UsageError(f"expected {words} as {name}, found something else")
        if not any(set(value) - {"*", "?"} for value in self.of(Level.STUDY).values()):
            raise UsageError(
                f"expected a key of a study to ask by, such as {', '.join(_KEYS[Level.STUDY])}; "
                "found none",
                hint="Without one the archive would be asked for all that it has.",
            )

    @classmethod
    def parse(cls, words: Iterable[str], more: Mapping[str, str] | None = None) -> Self:
        """Return the query of words such as ``StudyDate=20260131`` and of further keys.

        Raises:
            UsageError: As the class, or a word is none.
        """
        keys = {"Modality": "CT"}
        for word in words:
            name, sign, value = word.partition("=")
            if not sign:
                raise UsageError(
                    f"expected KEY=VALUE, such as StudyDate=20260101-20260131, found {name!r}"
                )
            keys[name] = value
        return cls({name: _plain(value) for name, value in (keys | dict(more or {})).items()})

    def of(self, level: Level) -> dict[str, str]:
        """Return the keys of a level."""
        return {name: value for name, value in self.keys.items() if name in _KEYS[level]}

    def matches(self, level: Level, answer: Answer) -> bool:
        """Whether an answer is what was asked for; archives may ignore keys (PS3.4 C.2.2.1.3)."""
        return all(
            any(_matches(_KINDS[name], wanted, value) for value in answer.get(name, ()))
            for name, wanted in self.of(level).items()
        )

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in sorted(self.keys.items()))


def column_key(column: str) -> str:
    """Return the key of a study that a table's column holds; empty if it holds none.

    >>> column_key("accession_number"), column_key("Accession"), column_key("study_uid")
    ('AccessionNumber', 'AccessionNumber', 'StudyInstanceUID')
    """
    plain = re.sub(r"[\s_]", "", column).lower()
    plain = {"accession": "accessionnumber", "studyuid": "studyinstanceuid"}.get(plain, plain)
    return next((name for name in _KEYS[Level.STUDY] if name.lower() == plain), "")


def _plain(value: str) -> str:
    r"""Return a value as archives have it.

    >>> _plain(" 2026-01-31 ")
    '20260131'
    """
    return _ISO_DATE.sub(r"\1\2\3", value.strip())


def _matches(kind: str, wanted: str, value: str) -> bool:
    if kind == _DATE:
        low, dash, high = wanted.partition("-")
        return low <= value <= (high or ("9" * 8 if dash else low))
    if kind == _TEXT:
        pattern = re.escape(wanted).replace(r"\*", ".*").replace(r"\?", ".")
        return re.fullmatch(pattern, value, re.IGNORECASE | re.DOTALL) is not None
    return wanted == value
