"""What commands share: lines on standard output, and how PyTorch's threads wait."""

from __future__ import annotations

import os
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


def share_cores() -> None:
    """Let PyTorch's threads sleep while they wait, unless the user says otherwise.

    By default they spin, so that two threads on two busy cores took 2.3 s for a training step
    that one thread did in 1.1 s; asleep, they took 1.0 to 1.3 s. Scoring the 300 slices of a
    series took 83 s spinning and 25 s asleep while others used the same two cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
