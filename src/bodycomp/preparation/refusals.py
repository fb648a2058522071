"""Why a case is refused, in words that reveal nothing of the patient."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.errors import BodycompError
from bodycomp.preparation.cases import Case

_LOG: Final = logging.getLogger(__name__)

REFUSED_NAME: Final = "refused.csv"
_UID: Final = re.compile(r"\b\d+(?:\.\d+){4,}\b")
_PATH: Final = re.compile(r"(?:/[^\s/:'\",]+){2,}")
_SHORT: Final = 3
"""Codes shorter than this occur in words and numbers by chance."""


@dataclass(frozen=True, slots=True)
class RefusedCase:
    """A case that was left out, and why, in words without names, codes, paths and UIDs."""

    where: str
    patient: str
    kind: str
    reason: str


def refusal(case: Case, error: Exception) -> RefusedCase:
    """Return why a case is refused, whatever library raised the error."""
    kind = type(error).__name__
    if isinstance(error, BodycompError):
        reason = without_names(str(error), case)
    elif isinstance(error, OSError):
        kind, reason = "file", f"a file cannot be read: {error.strerror}"
    elif isinstance(error, MemoryError):
        kind, reason = "memory", "expected a scan that fits into memory; try fewer --jobs"
    else:
        _LOG.debug("unexpected fault", exc_info=error)
        reason = without_names(f"cannot be read ({error})", case)
    return RefusedCase(case.where, case.patient, kind, reason)


def without_names(message: str, case: Case) -> str:
    """Return a message with words for the case's paths, file names, code and UIDs.

    >>> case = Case("row 2", "Miller", Path("/ct/Miller 1970"), (Path("/seg/Miller.nii.gz"),))
    >>> without_names("Miller.nii.gz: expected the frame of /ct/Miller 1970", case)
    '<mask 1>: expected the frame of <scan>'
    """
    named = {case.scan: "<scan>"}
    named |= {path: f"<mask {number}>" for number, path in enumerate(case.masks, start=1)}
    if case.levels is not None:
        named[case.levels] = "<levels>"
    words = {str(path): word for path, word in named.items()}
    words |= {path.name: word for path, word in named.items()}
    if len(case.patient) >= _SHORT:
        words[case.patient] = "<patient>"
    for text in sorted(filter(None, words), key=len, reverse=True):
        whole = rf"(?<!\w){re.escape(text)}(?!\w)"  # a folder "ct" is not in "expected"
        message = re.sub(whole, words[text], message)
    return _PATH.sub("<path>", _UID.sub("<UID>", message))


def write_refused(folder: Path, refused: Sequence[RefusedCase]) -> None:
    """Write ``refused.csv``: row of the cases table, patient, and why."""
    with (folder / REFUSED_NAME).open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(("row", "patient", "kind", "reason"))
        rows.writerows((r.where, r.patient, r.kind, " ".join(r.reason.split())) for r in refused)
