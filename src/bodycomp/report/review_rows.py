"""Rows of the reviewed table: what was measured, and what people made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bodycomp.anatomy import ABDOMINAL_TISSUES, Tissue
from bodycomp.report.result_rows import Cell, measured_columns, result_columns
from bodycomp.report.tables import guarded
from bodycomp.results import Correction

VERDICT_COLUMNS: Final = ("verdict", "comment", "reviewer", "reviewed_at")
CORRECTED: Final = "corrected"
"""Column that says what was corrected; empty where nothing was."""
CORRECTION_COLUMNS: Final = (CORRECTED, "corrected_from", "corrected_by", "corrected_at")
REVIEW_COLUMNS: Final = (*VERDICT_COLUMNS, *CORRECTION_COLUMNS)

REJECTED: Final = "rejected"
"""Status of a row whose measurements a reviewer rejected."""
REJECTED_REASON: Final = "rejected by reviewer"
NO_CORRECTION: Final[Mapping[str, Cell]] = dict.fromkeys(CORRECTION_COLUMNS, "")


def reviewed_columns(row: Mapping[str, Cell], identifiers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of ``results.csv`` as any of its rows has them, then the review's."""
    kept = tuple(name for name in identifiers if name in row)
    return (*result_columns(tissues_of(row), kept), *REVIEW_COLUMNS)


def tissues_of(row: Mapping[str, Cell]) -> tuple[Tissue, ...]:
    """Return the tissues that a row has columns for, by ascending label."""
    return tuple(tissue for tissue in ABDOMINAL_TISSUES if f"{tissue.key}_area_cm2" in row)


def rejected_row(row: Mapping[str, Cell]) -> dict[str, Cell]:
    """Return a row without what was measured; where the level was said to lie is kept."""
    emptied = dict.fromkeys(measured_columns(tissues_of(row)))
    return {
        **row,
        **emptied,
        "slices_measured": 0,
        "status": REJECTED,
        "reason": REJECTED_REASON,
    }


def correction_cells(correction: Correction) -> dict[str, Cell]:
    """Return who changed what of a level, when, and what it was before."""
    return {
        CORRECTED: "; ".join(correction.what),
        "corrected_from": _before(correction),
        "corrected_by": guarded(correction.by),
        "corrected_at": correction.at,
    }


def _before(correction: Correction) -> str:
    """Return what the networks had.

    >>> _before(Correction(("level", "mask"), "AB", "", "", 12, 60.0, {}, "0123456789ab"))
    'slice_index 12 (z = 60.0 mm); mask 0123456789ab'
    """
    parts = []
    if "level" in correction.what:
        z_mm, index = correction.z_mm_before, correction.slice_index_before
        found = z_mm is not None and index is not None
        parts.append(f"slice_index {index} (z = {z_mm:.1f} mm)" if found else "not found")
    if "mask" in correction.what:
        parts.append(f"mask {correction.mask_digest_before or 'none'}")
    return "; ".join(parts)
