"""A case as a small JSON file beside the results of its series: ``case-L3.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bodycomp.errors import OutputError
from bodycomp.report.case_pictures import SliceImage, ViewImage
from bodycomp.report.case_view import CaseView, ScoreCurve
from bodycomp.results import QualityFlag
from bodycomp.storage import atomic_file

CASE_SCHEMA: Final = "bodycomp.case"
CASE_SCHEMA_VERSION: Final = 1
_TENTHS: Final = 10
"""Offsets are kept as whole tenths of a mm, places of even slices as the first and a step."""


def case_name(level: str) -> str:
    """Return the file name of a level's case.

    >>> case_name("L3")
    'case-L3.json'
    """
    return f"case-{level}.json"


def write_case_view(path: Path, case: CaseView) -> None:
    """Write a case; it appears whole or not at all."""
    text = json.dumps(case_document(case), separators=(",", ":"), allow_nan=False)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_case_view(path: Path) -> CaseView:
    """Read what ``write_case_view`` wrote.

    Raises:
        OutputError: It is not there, damaged, or of another version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return _case(document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(
            f"{path.name}: expected a case of a report ({CASE_SCHEMA} {CASE_SCHEMA_VERSION}), "
            f"found none that can be read ({type(error).__name__})",
            hint="Remove the file to list the case without pictures, or analyse again.",
        ) from error


def case_document(case: CaseView) -> dict[str, Any]:
    """Return a case as JSON-ready values."""
    curve = case.curve
    return {
        "schema": CASE_SCHEMA,
        "schema_version": CASE_SCHEMA_VERSION,
        "cells": {key: _rounded(value) for key, value in case.cells.items()},
        "curve": {
            "z_mm": _places(curve.z_mm),
            "offset": [_tenths(value) for value in curve.offset_mm],
            "smoothed": [_tenths(value) for value in curve.smoothed_offset_mm],
        },
        "shown": case.shown,
        "slices": [_without_empty(asdict(image)) for image in case.slices],
        "coronal": asdict(case.coronal),
        "sagittal": asdict(case.sagittal),
        "tissues": list(case.tissues),
        "reasons": dict(case.reasons),
        "flags": [asdict(flag) | {"affects": list(flag.affects)} for flag in case.flags],
        "other_levels": dict(case.other_levels),
        "truth_z_mm": case.truth_z_mm,
    }


def _case(document: Mapping[str, Any]) -> CaseView:
    if (document["schema"], document["schema_version"]) != (CASE_SCHEMA, CASE_SCHEMA_VERSION):
        raise ValueError("another schema")
    curve = document["curve"]
    offsets = tuple(None if tenth is None else tenth / _TENTHS for tenth in curve["offset"])
    return CaseView(
        cells=document["cells"],
        curve=ScoreCurve(
            z_mm=_z_mm(curve["z_mm"], len(offsets)),
            offset_mm=offsets,
            smoothed_offset_mm=tuple(tenth / _TENTHS for tenth in curve["smoothed"]),
        ),
        shown=document["shown"],
        slices=tuple(SliceImage(**image) for image in document["slices"]),
        coronal=ViewImage(**document["coronal"]),
        sagittal=ViewImage(**document["sagittal"]),
        tissues=tuple(document["tissues"]),
        reasons=document["reasons"],
        flags=tuple(
            QualityFlag(**flag | {"affects": tuple(flag["affects"])}) for flag in document["flags"]
        ),
        other_levels=document["other_levels"],
        truth_z_mm=document["truth_z_mm"],
    )


def _places(z_mm: tuple[float, ...]) -> list[float] | dict[str, float]:
    """Return places as first and step where the slices are even to 0.01 mm, else one by one."""
    step = (z_mm[-1] - z_mm[0]) / max(len(z_mm) - 1, 1)
    if all(abs(z_mm[0] + step * number - z) < 0.01 for number, z in enumerate(z_mm)):
        return {"first": z_mm[0], "step": step}
    return [round(z, 2) for z in z_mm]


def _z_mm(places: list[float] | dict[str, float], count: int) -> tuple[float, ...]:
    if isinstance(places, list):
        return tuple(places)
    return tuple(places["first"] + places["step"] * number for number in range(count))


def _tenths(value: float | None) -> int | None:
    return None if value is None else round(value * _TENTHS)


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _without_empty(image: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in image.items() if value != ""}
