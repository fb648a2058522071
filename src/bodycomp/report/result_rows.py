"""A series' result as flat rows, one per level, and what people made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Final

from bodycomp.anatomy import ALL_TISSUES, Tissue
from bodycomp.quantities import CUT_OFFS, cut_offs_for, quantities_for
from bodycomp.reference.table import COLUMN_PREFIX, reference_columns
from bodycomp.results import Correction, LevelResult, Measurement, SeriesResult
from bodycomp.scan import Scan
from bodycomp.tables import Cell, guarded


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What a series is called in tables: pseudonyms, and identifiers if the user asked for them."""

    study: str
    series: str
    identifiers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return f"{self.study} / {self.series}"


_SCAN_COLUMNS: Final[Mapping[str, Callable[[Scan], Cell]]] = {
    "source": lambda scan: scan.source,
    "slices": lambda scan: len(scan.volume),
    "slice_spacing_mm": lambda scan: scan.volume.slice_spacing_mm,
    "slice_thickness_mm": lambda scan: scan.acquisition.slice_thickness_mm,
    "pixel_spacing_mm": lambda scan: scan.volume.pixel_spacing_mm[0],
    "rows": lambda scan: scan.volume.slice_shape[0],
    "columns": lambda scan: scan.volume.slice_shape[1],
    "manufacturer": lambda scan: scan.acquisition.manufacturer,
    "scanner_model": lambda scan: scan.acquisition.scanner_model,
    "kvp": lambda scan: scan.acquisition.kvp,
    "kernel": lambda scan: scan.acquisition.kernel,
    "exposure_mas": lambda scan: scan.acquisition.exposure_mas,
    "contrast_agent": lambda scan: scan.acquisition.contrast_agent,
    "notes": lambda scan: "; ".join(scan.notes),
}
"""What tables say of a scan beside its result; empty or None where its files do not say."""

KEY_COLUMNS: Final = ("study", "series")
LEVEL_COLUMNS: Final = (
    *("level", "status", "reason", "level_z_mm", "slice_index", "offset_mm", "crossings"),
    *("slices_measured", "confidence", "confidence_basis", "members_spread_mm"),
)
MEASUREMENT_COLUMNS: Final = tuple(f.name for f in fields(Measurement))
FLAG_COLUMNS: Final = ("quality_flags",)
SUBJECT_COLUMNS: Final = ("height_m", "weight_kg", "sex", "age_years")
MODEL_COLUMNS: Final = ("slice_selection_model", "segmentation_model")


TEXT_COLUMNS: Final = frozenset(
    {
        *KEY_COLUMNS,
        *("source", "manufacturer", "scanner_model", "kernel", "contrast_agent", "notes"),
        *("level", "status", "reason", "confidence_basis", "sex"),
        *FLAG_COLUMNS,
        *MODEL_COLUMNS,
        *(cut_off.key for cut_off in CUT_OFFS),
    }
)
"""Columns that hold text, whatever it looks like."""


def cell_from(column: str, text: str) -> Cell:
    """Return a cell of ``results.csv`` as the value that was written.

    >>> cell_from("kernel", "30"), cell_from("kvp", "120"), cell_from("kvp", "")
    ('30', 120.0, None)
    """
    if column in TEXT_COLUMNS:
        return text
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def result_columns(
    tissues: Sequence[Tissue], identifiers: Sequence[str] = (), compared: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the columns of ``results.csv``: who, where, what was measured, how it was made.

    ``compared`` are the columns of comparisons with references.
    """
    return (
        *KEY_COLUMNS,
        *identifiers,
        *LEVEL_COLUMNS,
        *measured_columns(tissues),
        *compared,
        *SUBJECT_COLUMNS,
        *_SCAN_COLUMNS,
        *MODEL_COLUMNS,
    )


def measured_columns(tissues: Sequence[Tissue]) -> tuple[str, ...]:
    """Return the columns of what was measured at a level, and of what follows from it."""
    keys = tuple(tissue.key for tissue in tissues)
    return (
        *(f"{key}_{name}" for key in keys for name in MEASUREMENT_COLUMNS),
        *(kind.key for kind in quantities_for(keys)),
        *(cut_off.key for cut_off in cut_offs_for(keys)),
        *FLAG_COLUMNS,
    )


def scan_cells(key: SeriesKey, scan: Scan) -> dict[str, Cell]:
    """Return what tables say of a scan: column -> value, identifiers last."""
    own = {column: cell_of(scan) for column, cell_of in _SCAN_COLUMNS.items()}
    return {"study": key.study, "series": key.series} | own | dict(key.identifiers)


def result_rows(key: SeriesKey, scan: Scan, result: SeriesResult) -> list[dict[str, Cell]]:
    """Return one row per level; what could not be measured is None."""
    models: dict[str, Cell] = {f"{role}_model": digest for role, digest in result.models.items()}
    subject = result.subject
    person: dict[str, Cell] = {name: getattr(subject, name) for name in SUBJECT_COLUMNS}
    around = person | models
    return [
        scan_cells(key, scan) | _level_cells(result, level) | _derived_cells(result, level) | around
        for level in result.levels
    ]


def _derived_cells(result: SeriesResult, level: LevelResult) -> dict[str, Cell]:
    keys = tuple(tissue.key for tissue in result.tissues)
    cells: dict[str, Cell] = {}
    for kind in quantities_for(keys):
        quantity = level.quantities.get(kind.key)
        cells[kind.key] = quantity.value if quantity else None
    for cut_off in cut_offs_for(keys):
        outcome = level.cut_offs.get(cut_off.key)
        met = outcome.met if outcome else None
        cells[cut_off.key] = None if met is None else "yes" if met else "no"
    cells |= _reference_cells(result, level)
    cells["quality_flags"] = "; ".join(dict.fromkeys(flag.key for flag in level.flags))
    return cells


def _reference_cells(result: SeriesResult, level: LevelResult) -> dict[str, Cell]:
    """Return every column of the comparisons with references; empty where nothing is said."""
    keys = [tissue.key for tissue in result.tissues]
    cells: dict[str, Cell] = dict.fromkeys(reference_columns(result.references, keys))
    tables = {table.key: table for table in result.references}
    for found in level.references:
        if found.reason:
            continue
        columns = tables[found.reference].columns(found.quantity)
        limit: tuple[Cell, ...] = ("yes" if found.below else "no",)
        values = limit if found.below is not None else (found.z_score, found.percentile)
        cells |= dict(zip(columns, values, strict=True))
    return cells


def _compared(row: Mapping[str, Cell]) -> tuple[str, ...]:
    return tuple(name for name in row if name.startswith(COLUMN_PREFIX))


def _level_cells(result: SeriesResult, level: LevelResult) -> dict[str, Cell]:
    choice = level.choice
    index = choice.slice_index
    cells: dict[str, Cell] = {
        "level": choice.level,
        "status": choice.status.value,
        "reason": choice.reason,
        "level_z_mm": choice.z_mm,
        "slice_index": index,
        "offset_mm": None if index is None else float(choice.smoothed_offset_mm[index]),
        "crossings": choice.crossings,
        "slices_measured": len(level.slice_indices),
        "confidence": choice.confidence,
        "confidence_basis": choice.confidence_basis,
        "members_spread_mm": choice.members_spread_mm,
    }
    for tissue in result.tissues:
        measurement = level.measurements.get(tissue.key)
        values = asdict(measurement) if measurement else dict.fromkeys(MEASUREMENT_COLUMNS)
        cells |= {f"{tissue.key}_{name}": value for name, value in values.items()}
    return cells


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
    return (*result_columns(tissues_of(row), kept, _compared(row)), *REVIEW_COLUMNS)


def tissues_of(row: Mapping[str, Cell]) -> tuple[Tissue, ...]:
    """Return the tissues that a row has columns for, by ascending label."""
    return tuple(tissue for tissue in ALL_TISSUES if f"{tissue.key}_area_cm2" in row)


def rejected_row(row: Mapping[str, Cell]) -> dict[str, Cell]:
    """Return a row without what was measured; where the level was said to lie is kept."""
    emptied = dict.fromkeys((*measured_columns(tissues_of(row)), *_compared(row)))
    return {**row, **emptied, "slices_measured": 0, "status": REJECTED, "reason": REJECTED_REASON}


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
