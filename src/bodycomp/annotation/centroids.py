"""Centroids of vertebral bodies as VerSe states them (``..._ctd.json``) -> levels.

A list of the directions in which the axes of the image run, and a centroid for each vertebra in
voxels of the image: ``[{"direction": ["P", "I", "R"]}, {"label": 22, "X": 46.5, "Y": 202, ...}]``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from bodycomp.annotation.level_options import LevelOptions
from bodycomp.errors import SeriesError
from bodycomp.scan import Scan

VERSE_LABELS: Final = {
    **{f"C{i}": i for i in range(1, 8)},
    **{f"T{i}": 7 + i for i in range(1, 13)},
    **{f"L{i}": 19 + i for i in range(1, 7)},
    "T13": 28,
}
"""VerSe's numbers of vertebrae: 20 to 24 are L1 to L5, 25 is L6."""

_AXES: Final = ({"L", "R"}, {"A", "P"}, {"S", "I"})
_COORDINATES: Final = ("X", "Y", "Z")
_HINT: Final = (
    "Centroids of the data set restructured by subject count voxels of its images; those of the "
    "challenge do not."
)


def read_centroids(path: Path, scan: Scan, options: LevelOptions) -> dict[str, float]:
    """Return level -> z in mm; numbers mean what the options say, else what VerSe means by them.

    Raises:
        SeriesError: No such list or damaged; no vertebra, or one twice; a centroid outside the
            slices of the scan.
    """
    levels = {number: name for name, number in (options.vertebra_labels or VERSE_LABELS).items()}
    z_mm: dict[str, float] = {}
    slices = len(scan.volume)
    for label, place in _places(_read(path), slices, path.name):
        level = levels.get(label)
        if level is None:
            continue
        if level in z_mm:
            raise SeriesError(f"{path.name}: expected {level} once, found it twice")
        if not -0.5 <= place <= slices - 0.5:
            raise SeriesError(
                f"{path.name}: expected {level} in the {slices} slices of the scan, found it at "
                f"slice {place:.1f}",
                hint=_HINT,
            )
        z_mm[level] = float(np.interp(place, np.arange(slices), scan.volume.slice_z_mm))
    if not z_mm:
        raise SeriesError(f"{path.name}: expected centroids of vertebrae, found none")
    return z_mm


def _read(path: Path) -> list[Mapping[str, Any]]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SeriesError(f"{path.name}: expected JSON of centroids, found {error}") from error
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        raise SeriesError(f"{path.name}: expected a list of directions and centroids, found none")
    return content


def _places(
    content: list[Mapping[str, Any]], slices: int, where: str
) -> Iterator[tuple[int, float]]:
    """Yield label and slice from the feet of every centroid that is known."""
    directions = [entry["direction"] for entry in content if "direction" in entry]
    codes = [str(code) for code in directions[0]] if len(directions) == 1 else []
    if len(codes) != 3 or not all(axis & set(codes) for axis in _AXES):
        raise SeriesError(
            f"{where}: expected one direction such as P, I, R, found {directions or 'none'}",
            hint=_HINT,
        )
    axis = next(n for n, code in enumerate(codes) if code in _AXES[2])
    for entry in content:
        if "direction" in entry:
            continue
        try:
            label, place = int(entry["label"]), float(entry[_COORDINATES[axis]])
        except (KeyError, TypeError, ValueError) as error:
            raise SeriesError(
                f"{where}: expected label, X, Y and Z of every centroid, found no usable {error}"
            ) from error
        if math.isfinite(place):  # a vertebra without a centroid has NaN
            yield label, place if codes[axis] == "S" else slices - 1 - place
