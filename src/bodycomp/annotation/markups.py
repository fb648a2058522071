"""Landmarks in markups of 3D Slicer (``.mrk.json``) -> levels.

The schema: https://raw.githubusercontent.com/Slicer/Slicer/main/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.annotation.grid import pixel_positions
from bodycomp.annotation.level_marks import level_in, z_of_heights
from bodycomp.errors import InputNotFoundError, SeriesError
from bodycomp.scan import Scan

_AUTOMATIC_LABEL: Final = re.compile(r".*[-_][0-9]+")
"""How Slicer labels a point that nobody named: its list's name and a number, such as ``F-1``."""

_TO_LPS: Final = {"LPS": (1.0, 1.0, 1.0), "RAS": (-1.0, -1.0, 1.0)}


def read_markups(path: Path, scan: Scan) -> dict[str, float]:
    """Return level -> z in mm of the control points, each labelled with the name of its level.

    Raises:
        InputNotFoundError: The file is not there.
        SeriesError: Not markups or damaged; another unit or coordinate system; a label that names
            no level, or one level twice; a point far outside the scan's slices.
    """
    z_mm: dict[str, float] = {}
    for label, position in _points(_read(path), path.name):
        level = _level(label, path.name)
        if level in z_mm:
            raise SeriesError(f"{path.name}: expected one point for {level}, found two")
        rows, columns, heights = pixel_positions(position[None], scan.volume)
        limits = scan.volume.slice_shape
        if not (-1 <= rows[0] <= limits[0] and -1 <= columns[0] <= limits[1]):
            raise SeriesError(
                f"{path.name}: expected points inside the scan's slices, found {label!r} at "
                f"{', '.join(f'{x:.1f}' for x in position)} mm (LPS)",
                hint="Was it placed on another scan, or its coordinate system changed?",
            )
        z_mm[level] = z_of_heights(float(heights[0]), scan.volume)
    return z_mm


def _level(label: str, where: str) -> str:
    """Return the level that a point is labelled with."""
    level = level_in(label, where)
    if _AUTOMATIC_LABEL.fullmatch(level):
        raise SeriesError(
            f"{where}: expected points labelled with a level such as L3, found {label!r}, as "
            "Slicer labels points that nobody named",
            hint="Rename the point in Slicer after its level, or remove it.",
        )
    return level


def _read(path: Path) -> list[Any]:
    if not path.is_file():
        raise InputNotFoundError(f"expected Slicer markups, found nothing at {path}")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise SeriesError(f"{path.name}: expected JSON of Slicer markups, found {error}") from error
    found = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(found, list):
        raise SeriesError(f"{path.name}: expected JSON with a list of markups, found none")
    return found


def _points(markups: list[Any], where: str) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield label and LPS position of every point that was placed."""
    for markup in markups:
        try:
            system = markup.get("coordinateSystem", "LPS")
            units = markup.get("coordinateUnits", "mm")
            sign = np.array(_TO_LPS[system])
            if units != "mm":
                raise SeriesError(f"{where}: expected positions in mm, found {units!r}")
            for point in markup["controlPoints"]:
                if point.get("positionStatus", "defined") == "defined":
                    position = np.array(point["position"], np.float64).reshape(3) * sign
                    if not np.isfinite(position).all():
                        raise ValueError("position")  # noqa: TRY301  # reported like other damage
                    yield str(point["label"]), position
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SeriesError(
                f"{where}: expected labelled points in LPS or RAS, found no usable {error}",
                hint="Save the point list from 3D Slicer again.",
            ) from error
