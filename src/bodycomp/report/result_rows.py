"""A series' result as flat rows: one per level, every value in a column with its unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Final

from bodycomp.anatomy import Tissue
from bodycomp.quantities import CUT_OFFS, cut_offs_for, quantities_for
from bodycomp.results import LevelResult, Measurement, SeriesResult

Cell = str | int | float | None
"""None is an empty cell: not measured, or not stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFacts:
    """What is known of a series beside its result; the columns of the table, in their order.

    Attributes:
        study, series: Pseudonyms.
        source: "DICOM", "NIfTI" or "NRRD".
        slices: Number of slices.
        contrast_agent: As the files state it; empty means that none is stated.
        notes: What a reader should know, for instance that slices were lost.
        identifiers: Column -> value of identifying fields, only if the user asked for them.
    """

    study: str
    series: str
    source: str = "DICOM"
    slices: int | None = None
    slice_spacing_mm: float | None = None
    slice_thickness_mm: float | None = None
    pixel_spacing_mm: float | None = None
    rows: int | None = None
    columns: int | None = None
    manufacturer: str = ""
    scanner_model: str = ""
    kvp: float | None = None
    kernel: str = ""
    exposure_mas: float | None = None
    contrast_agent: str = ""
    notes: str = ""
    identifiers: Mapping[str, str] = field(default_factory=dict)

    def cells(self) -> dict[str, Cell]:
        """Return column -> value, identifiers last."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "identifiers"}
        return own | dict(self.identifiers)


FACT_COLUMNS: Final = tuple(f.name for f in fields(SeriesFacts) if f.name != "identifiers")
LEVEL_COLUMNS: Final = (
    "level",
    "status",
    "reason",
    "level_z_mm",
    "slice_index",
    "offset_mm",
    "crossings",
    "slices_measured",
    "confidence",
    "confidence_basis",
)
MEASUREMENT_COLUMNS: Final = tuple(f.name for f in fields(Measurement))
FLAG_COLUMNS: Final = ("quality_flags",)
SUBJECT_COLUMNS: Final = ("height_m", "weight_kg", "sex")
MODEL_COLUMNS: Final = ("slice_selection_model", "segmentation_model")


_WORDS: Final = frozenset(
    {
        *(f.name for f in fields(SeriesFacts) if f.type == "str"),
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
    if column in _WORDS:
        return text
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def result_columns(tissues: Sequence[Tissue], identifiers: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the columns of ``results.csv``: who, where, what was measured, how it was made."""
    return (
        *FACT_COLUMNS[:2],
        *identifiers,
        *LEVEL_COLUMNS,
        *measured_columns(tissues),
        *SUBJECT_COLUMNS,
        *FACT_COLUMNS[2:],
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


def result_rows(facts: SeriesFacts, result: SeriesResult) -> list[dict[str, Cell]]:
    """Return one row per level; what could not be measured is None."""
    models: dict[str, Cell] = {f"{role}_model": digest for role, digest in result.models.items()}
    subject = result.subject
    person: dict[str, Cell] = {name: getattr(subject, name) for name in SUBJECT_COLUMNS}
    around = person | models
    return [
        facts.cells() | _level_cells(result, level) | _derived_cells(result, level) | around
        for level in result.levels
    ]


def _derived_cells(result: SeriesResult, level: LevelResult) -> dict[str, Cell]:
    """Return quantities, cut-offs as yes or no, and the keys of the flags."""
    keys = tuple(tissue.key for tissue in result.tissues)
    cells: dict[str, Cell] = {}
    for kind in quantities_for(keys):
        quantity = level.quantities.get(kind.key)
        cells[kind.key] = quantity.value if quantity else None
    for cut_off in cut_offs_for(keys):
        outcome = level.cut_offs.get(cut_off.key)
        met = outcome.met if outcome else None
        cells[cut_off.key] = None if met is None else "yes" if met else "no"
    cells["quality_flags"] = "; ".join(dict.fromkeys(flag.key for flag in level.flags))
    return cells


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
    }
    for tissue in result.tissues:
        measurement = level.measurements.get(tissue.key)
        values = asdict(measurement) if measurement else dict.fromkeys(MEASUREMENT_COLUMNS)
        cells |= {f"{tissue.key}_{name}": value for name, value in values.items()}
    return cells
