"""``results.json``: everything about one series but its masks; docs/formats.md has the schema."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from bodycomp import __version__
from bodycomp.json_file import write_json
from bodycomp.quantities import CUT_OFFS
from bodycomp.reference.table import ReferenceTable
from bodycomp.report.result_rows import SUBJECT_COLUMNS, SeriesKey, scan_cells
from bodycomp.results import Correction, LevelResult, SeriesResult, SliceChoice
from bodycomp.scan import Scan
from bodycomp.tables import DECIMALS

RESULT_SCHEMA: Final = "bodycomp.series-result"
RESULT_SCHEMA_VERSION: Final = 1


def write_result_json(path: Path, key: SeriesKey, scan: Scan, result: SeriesResult) -> None:
    """Write everything about one series but its masks."""
    document = {
        "schema": RESULT_SCHEMA,
        "schema_version": RESULT_SCHEMA_VERSION,
        "software": {"name": "bodycomp", "version": __version__},
        "series": scan_cells(key, scan),
        "models": dict(result.models),
        "tissues": [{"label": tissue.label, "key": tissue.key} for tissue in result.tissues],
        "subject": {name: getattr(result.subject, name) for name in SUBJECT_COLUMNS},
        "references": [_reference_document(table) for table in result.references],
        "levels": [_level_document(level) for level in result.levels],
    }
    write_json(path, document)


_CHOICE: Final = (
    *("level", "status", "reason", "z_mm", "slice_index", "crossings", "confidence"),
    *("confidence_basis", "slope_ratio", "height_mm"),
)


def _level_document(level: LevelResult) -> dict[str, Any]:
    choice = level.choice
    return {
        **{name: _rounded(getattr(choice, name)) for name in _CHOICE},
        "offset_mm": _scored_offsets(choice),
        "smoothed_offset_mm": [_rounded(float(value)) for value in choice.smoothed_offset_mm],
        "members_z_mm": [_rounded(z_mm) for z_mm in choice.members_z_mm],
        "slice_indices": list(level.slice_indices),
        "measurements": {key: _fields(found) for key, found in level.measurements.items()},
        **_derived_document(level),
        "correction": _correction_document(level.correction),
    }


def _correction_document(correction: Correction | None) -> dict[str, Any] | None:
    if correction is None:
        return None
    areas = {key: _rounded(area) for key, area in correction.areas_before_cm2.items()}
    dice = {key: _fields(each) for key, each in correction.dice.items()}
    own = {"what": list(correction.what), "areas_before_cm2": areas, "dice": dice}
    return _fields(correction) | own


def _scored_offsets(choice: SliceChoice) -> list[float | None]:
    offsets = [_rounded(float(value)) for value in choice.offset_mm]
    if choice.scored is None:
        return offsets
    return [value if seen else None for value, seen in zip(offsets, choice.scored, strict=True)]


def _derived_document(level: LevelResult) -> dict[str, Any]:
    sources = {cut_off.key: cut_off.source for cut_off in CUT_OFFS}
    return {
        "quantities": {key: _fields(found) for key, found in level.quantities.items()},
        "cut_offs": {
            key: asdict(outcome) | {"source": sources.get(key, "")}
            for key, outcome in level.cut_offs.items()
        },
        "references": [_fields(found) for found in level.references],
        "flags": [_fields(flag) | {"affects": list(flag.affects)} for flag in level.flags],
    }


def _reference_document(table: ReferenceTable) -> dict[str, Any]:
    """Return whose values a reference has, and from where; the values stand in its own file."""
    named = {f.name: getattr(table, f.name) for f in fields(table) if f.name != "strata"}
    return {name: value for name, value in named.items() if value not in (None, "")}


def _fields(found: Any) -> dict[str, Any]:
    return {name: _rounded(getattr(found, name)) for name in found.__dataclass_fields__}


def _rounded(value: Any) -> Any:
    return round(value, DECIMALS) if isinstance(value, float) else value
