"""What commands show: lines on standard output."""

from __future__ import annotations

import sys


def say(*lines: str) -> None:
    """Write lines to standard output, as they are."""
    sys.stdout.write("\n".join(lines) + "\n")


def decimal(value: object) -> str:
    """Return a number with one decimal, a dash for what is none."""
    return f"{value:.1f}" if isinstance(value, float) else "-"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "case"), counted(1200, "case")
    ('1 case', '1,200 cases')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
