"""SHA-256 digests of texts and files, whole or their first digits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

SHORT: Final = 12
"""Digits that tell apart what one run or one page holds."""


def text_digest(text: str, digits: int | None = None) -> str:
    """Return the hexadecimal SHA-256 of a text, or its first digits.

    >>> text_digest("L3", SHORT)
    '842983de8fb1'
    """
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def key_of(*parts: str) -> str:
    r"""Return a short key of several texts in their order.

    >>> key_of("study", "series") == text_digest("study\nseries", SHORT)
    True
    """
    return text_digest("\n".join(parts), SHORT)


def file_digest(path: Path, digits: int | None = None) -> str:
    """Return the hexadecimal SHA-256 of a file, or its first digits.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:digits]
