"""The tables of derived quantities and of published cut-offs."""

from bodycomp.quantities.cut_offs import CUT_OFFS, CutOff, Limit, cut_offs_for
from bodycomp.quantities.derived import (
    MUSCLE_KEY,
    QUANTITIES,
    SAT_KEY,
    VAT_KEY,
    QuantityKind,
    quantities_for,
)

__all__ = [
    "CUT_OFFS",
    "MUSCLE_KEY",
    "QUANTITIES",
    "SAT_KEY",
    "VAT_KEY",
    "CutOff",
    "Limit",
    "QuantityKind",
    "cut_offs_for",
    "quantities_for",
]
