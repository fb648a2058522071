"""One case of a report: what was found at one level of one series, with pictures to review it by.

A case is made while the volume is in memory, so that pages can be written later without the scans.
It is kept as a small JSON file beside the results of its series, ``case-L3.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import OutputError
from bodycomp.imaging.volume import Volume
from bodycomp.report.case_pictures import Framing, SliceImage, ViewImage, slice_image, view_images
from bodycomp.report.reference_view import reference_views
from bodycomp.report.result_rows import SeriesKey, result_rows
from bodycomp.report.volume_views import Reformat, coronal_and_sagittal
from bodycomp.results import CutOffOutcome, LevelResult, Quantity, SeriesResult
from bodycomp.scan import Scan
from bodycomp.storage import atomic_file
from bodycomp.tables import Cell, rounded_cells

CASE_SCHEMA: Final = "bodycomp.case"
CASE_SCHEMA_VERSION: Final = 1

NEIGHBORS_MM: Final = (5.0, 10.0, 15.0, 20.0, 30.0)
"""Heights above and below the level whose slices are shown; a vertebra and a disc take 30 to 40."""

MOST_MEASURED: Final = 12
"""Of a level that was measured on more slices, those at the heights above are shown alone."""

SPREAD_SLICES: Final = 9
"""Slices, evenly over the scan, of a level that was not found: one of them may show it."""


@dataclass(frozen=True, eq=False)
class CaseTruth:
    """What a person says of the level: labels by slice on the source grid, and where it lies."""

    masks: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    z_mm: float | None = None


class ScoreCurve(TypedDict):
    """The estimated offset of every slice above the level, in whole tenths of a mm.

    Places are first and step where they are even to 0.01 mm; ``offset`` is as scored, None for
    slices that were not, and ``smoothed`` the curve that decides.
    """

    z_mm: list[float] | dict[str, float]
    offset: list[int | None]
    smoothed: list[int]


class LaterKeys(TypedDict, total=False):
    """What cases of earlier versions lack.

    Keys:
        references: As ``reference_views`` makes them.
        labels: Digest of the file with the masks, by which corrections made in the page name it.
    """

    references: dict[str, Any]
    labels: str


class CaseView(LaterKeys):
    """One case, ready for JSON. Holds nothing identifying unless the facts do.

    Keys:
        cells: Its row of ``results.csv``; an evaluation adds its own columns.
        shown: Position in ``slices``, which ascend in z, of the one to begin with.
        reasons: Column -> why it is empty.
        other_levels: Level -> z in mm of what else was found in the series.
    """

    schema: str
    schema_version: int
    cells: Mapping[str, Cell]
    curve: ScoreCurve
    shown: int
    slices: list[SliceImage]
    coronal: ViewImage
    sagittal: ViewImage
    tissues: list[str]
    reasons: dict[str, str]
    flags: list[dict[str, Any]]
    other_levels: dict[str, float]
    truth_z_mm: float | None


def case_name(level: str) -> str:
    """Return the file name of a level's case.

    >>> case_name("L3")
    'case-L3.json'
    """
    return f"case-{level}.json"


def write_case_view(path: Path, case: CaseView) -> None:
    """Write a case; it appears whole or not at all."""
    document = {**case, "cells": rounded_cells(case["cells"])}
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_case_view(path: Path) -> CaseView:
    """Read what ``write_case_view`` wrote.

    Raises:
        OutputError: It is not there, damaged, or of another version.
    """
    try:
        return _checked(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise OutputError(
            f"{path.name}: expected a case of a report ({CASE_SCHEMA} {CASE_SCHEMA_VERSION}), "
            f"found none that can be read ({type(error).__name__})",
            hint="Remove the file to list the case without pictures, or analyse again.",
        ) from error


def _checked(case: dict[str, Any]) -> CaseView:
    is_known = (case["schema"], case["schema_version"]) == (CASE_SCHEMA, CASE_SCHEMA_VERSION)
    if not is_known or CaseView.__required_keys__ - case.keys():
        raise ValueError("another schema, or keys are missing")
    for image in (case["slices"][case["shown"]], *case["slices"]):
        _ = image["picture"], image["z_mm"]
    return cast("CaseView", case)


def make_case_view(
    scan: Scan,
    result: SeriesResult,
    level: LevelResult,
    key: SeriesKey,
    truth: CaseTruth | None = None,
    views: tuple[Reformat, Reformat] | None = None,
) -> CaseView:
    """Make the case of one level, found or not.

    Tables call the scan by its key. ``views`` are those of ``coronal_and_sagittal``, if they are
    there already.
    """
    truth, volume = truth or CaseTruth(), scan.volume
    place = next(index for index, one in enumerate(result.levels) if one is level)
    first = level.choice.slice_index
    shown = len(volume) // 2 if first is None else first
    framing = Framing.around_body(volume, shown, level.masks.get(shown))
    indices = _indices(volume, level, truth)
    coronal, sagittal = view_images(views or coronal_and_sagittal(volume))
    derived: dict[str, Quantity | CutOffOutcome] = {**level.quantities, **level.cut_offs}
    reasons = {key: found.reason for key, found in derived.items() if found.reason}
    return CaseView(
        schema=CASE_SCHEMA,
        schema_version=CASE_SCHEMA_VERSION,
        cells=result_rows(key, scan, result)[place],
        curve=_curve(volume, level),
        shown=indices.index(shown),
        slices=[
            slice_image(
                *(volume, index, framing, level.masks.get(index), truth.masks.get(index)),
                large=index == shown,
            )
            for index in indices
        ],
        coronal=coronal,
        sagittal=sagittal,
        tissues=[tissue.key for tissue in result.tissues],
        reasons=reasons,
        flags=[asdict(flag) | {"affects": list(flag.affects)} for flag in level.flags],
        other_levels={
            other.choice.level: other.choice.z_mm
            for other in result.levels
            if other is not level and other.choice.z_mm is not None
        },
        truth_z_mm=truth.z_mm,
        references=reference_views(result, level),
    )


def _indices(volume: Volume, level: LevelResult, truth: CaseTruth) -> list[int]:
    """Return the slices to show, in ascending order."""
    chosen = level.choice.slice_index
    if chosen is None:
        spread = np.linspace(0, len(volume) - 1, SPREAD_SLICES).round().astype(int)
        return sorted({len(volume) // 2, *spread.tolist(), *truth.masks})
    z_mm = float(volume.slice_z_mm[chosen])
    offsets = [sign * offset for offset in NEIGHBORS_MM for sign in (1, -1)]
    near = {
        volume.nearest_slice(z_mm + offset)
        for offset in offsets
        if volume.slice_z_mm[0] <= z_mm + offset <= volume.slice_z_mm[-1]
    }
    measured = level.masks if len(level.masks) <= MOST_MEASURED else ()
    return sorted({chosen, *near, *measured, *truth.masks})


def _curve(volume: Volume, level: LevelResult) -> ScoreCurve:
    choice = level.choice
    scored = np.ones(len(volume), bool) if choice.scored is None else choice.scored
    tenths = [round(10 * float(offset)) for offset in choice.offset_mm]
    return ScoreCurve(
        z_mm=_places(tuple(float(z) for z in volume.slice_z_mm)),
        offset=[one if seen else None for one, seen in zip(tenths, scored, strict=True)],
        smoothed=[round(10 * float(offset)) for offset in choice.smoothed_offset_mm],
    )


def _places(z_mm: tuple[float, ...]) -> list[float] | dict[str, float]:
    step = (z_mm[-1] - z_mm[0]) / max(len(z_mm) - 1, 1)
    if all(abs(z_mm[0] + step * number - z) < 0.01 for number, z in enumerate(z_mm)):
        return {"first": z_mm[0], "step": step}
    return [round(z, 2) for z in z_mm]
