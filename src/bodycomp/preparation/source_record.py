"""What a set says of the published data set that it was made of: licenses, what is missing."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bodycomp.json_file import from_plain

PREPARED_NAME: Final = "prepared.json"
NOT_STATED: Final = "not stated"
CARD_NAME: Final = "data-card.md"

_COMMERCIAL: Final = re.compile(
    r"(cc[ -]?0|cc[ -]?by([ -]sa)?|public domain|mit|apache|bsd)([ -]?v?\d(\.\d)?)?( license)?",
    re.IGNORECASE,
)


def allows_commercial(license_name: str) -> bool:
    """Return whether a license is known to allow commercial use.

    >>> [allows_commercial(name) for name in ("CC BY 4.0", "CC BY-SA 4.0", "CC BY-NC 3.0", "")]
    [True, True, False, False]
    """
    return _COMMERCIAL.fullmatch(" ".join(license_name.split())) is not None


@dataclass(frozen=True, slots=True)
class DataSource:
    """A published data set.

    Attributes:
        name, version, doi, license, page: Of the annotations; empty where there is none.
        citation: How its authors ask to be cited.
        notes: What users must know of it.
        is_public: Whether its codes of patients and cases are published, so that they are no
            secrets.
    """

    name: str
    version: str = ""
    doi: str = ""
    license: str = ""
    page: str = ""
    citation: str = ""
    notes: tuple[str, ...] = ()
    is_public: bool = True


@dataclass(frozen=True, slots=True)
class SourceCase:
    """A case as the data set has it.

    Attributes:
        name: What it is called in the data set, or a number where that may name a patient.
        split: The data set's own word, such as ``fold-3``.
        license: Of its image; empty where it is not known.
        left_out: Why it is not in the set; empty if it is.
    """

    name: str
    patient: str = ""
    collection: str = ""
    license: str = ""
    split: str = ""
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A data set and all of its cases, those that are left out too."""

    source: DataSource
    cases: tuple[SourceCase, ...]

    def summary(self, refused: Collection[str]) -> dict[str, Any]:
        """Return the data set and the licenses of its images as JSON, without ``refused`` cases."""
        members = (c for c in self.cases if not c.left_out and c.name not in refused)
        licenses = Counter(case.license or NOT_STATED for case in members)
        return asdict(self.source) | {"image_licenses": dict(sorted(licenses.items()))}


def source_words(data_dir: Path) -> str:
    """Return in words of which published data set a training set was made, empty if of none.

    What cannot be read says nothing: it is for readers alone.
    """
    try:
        found = json.loads((data_dir / PREPARED_NAME).read_text(encoding="utf-8"))["source"]
        source = from_plain(DataSource, found)
        licenses = {str(name): int(count) for name, count in found["image_licenses"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return ""
    if not source.is_public:
        return ""
    doi = f", doi {source.doi}" if source.doi else ""
    images = ", ".join(f"{name} ({count} cases)" for name, count in licenses.items())
    license_name = source.license or NOT_STATED
    return f"{source.name} {source.version}{doi}. License: {license_name}. Images: {images}."
