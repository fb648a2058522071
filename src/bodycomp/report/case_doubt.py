"""How much a case deserves to be looked at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bodycomp.report.result_rows import Cell
from bodycomp.results import LevelStatus

UNCERTAIN_DOUBT: Final = 100.0
ABSENT_DOUBT: Final = 60.0
"""A scan that ends above a level is no fault, a level that was overlooked is one."""

UNKNOWN_DOUBT: Final = 50.0
FLAG_DOUBT: Final = 8.0


def doubt(cells: Mapping[str, Cell]) -> float:
    """Return 0..100 for a row of the results; a rank, not a probability.

    >>> doubt({"status": "found", "confidence": 0.9, "quality_flags": "noise; metal"})
    26.0
    >>> doubt({"status": "uncertain"})
    100.0
    """
    status = cells.get("status")
    if status == LevelStatus.UNCERTAIN:
        return UNCERTAIN_DOUBT
    if status == LevelStatus.ABSENT:
        return ABSENT_DOUBT
    confidence = cells.get("confidence")
    unsure = 100 * (1 - confidence) if isinstance(confidence, float | int) else UNKNOWN_DOUBT
    flags = [flag for flag in str(cells.get("quality_flags") or "").split(";") if flag.strip()]
    return round(min(unsure + FLAG_DOUBT * len(flags), UNCERTAIN_DOUBT - 1), 1)
