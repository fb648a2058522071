"""Messages about a case without anything that tells who the patient is."""

from __future__ import annotations

import re
from typing import Final

from bodycomp.preparation.cases import Case

_UID: Final = re.compile(r"\b\d+(?:\.\d+){4,}\b")
_PATH: Final = re.compile(r"(?:/[^\s/:'\",]+){2,}")
_SHORT: Final = 3
"""Codes shorter than this occur in words and numbers by chance."""


def without_names(message: str, case: Case) -> str:
    """Return a message with words for the case's paths, file names, code and UIDs.

    >>> from pathlib import Path
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
