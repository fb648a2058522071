"""People's words in cells of a table, so that no spreadsheet takes them for a formula."""

from __future__ import annotations

from typing import Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that spreadsheets calculate (OWASP, CSV injection)."""
_GUARD: Final = "'"


def guarded(text: str) -> str:
    """Return a text as a cell that every spreadsheet shows and none calculates.

    >>> guarded("=1+1"), guarded("fine")
    ("'=1+1", 'fine')
    """
    return _GUARD + text if text.startswith(_FORMULA_STARTS) else text


def unguarded(cell: str) -> str:
    """Return the text of a cell that ``guarded`` made.

    >>> unguarded("'=1+1"), unguarded("'quoted'")
    ('=1+1', "'quoted'")
    """
    is_guarded = cell.startswith(_GUARD) and cell[1:].startswith(_FORMULA_STARTS)
    return cell[1:] if is_guarded else cell
