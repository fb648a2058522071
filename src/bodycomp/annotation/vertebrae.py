"""Vertebra label maps and masks -> levels.

A level is the mid-height of the vertebral body, and the processes behind it hang lower: by up to a
vertebra in the chest. The body fills the front of a vertebra, about 40 % of its depth from the
front of the body to the tip of the spinous process (Panjabi 1991, 1992), so that the front third
is body alone. The level is the mean height of the voxels of that third, which is finer than the
distance of slices.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bodycomp.annotation.grid import slice_heights_mm
from bodycomp.annotation.labels import Layer, Structure
from bodycomp.annotation.layers import read_layers
from bodycomp.annotation.level_marks import z_of_heights
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.errors import NotAnnotatedError, SeriesError
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.level_names import vertebra_named
from bodycomp.scan import Scan

TOTALSEGMENTATOR_LABELS: Final = {
    "S1": 26,
    **{f"L{6 - i}": 26 + i for i in range(1, 6)},
    **{f"T{13 - i}": 31 + i for i in range(1, 13)},
    **{f"C{8 - i}": 43 + i for i in range(1, 8)},
}
"""Numbers of the task ``total`` of TotalSegmentator 2 (Wasserthal 2023); version 1 had others."""

_TAKEN_AS: Final = "numbers of vertebrae are taken as TotalSegmentator 2 has them"
_FRONT: Final = 1 / 3
_STRAY: Final = 0.01
"""Share of a vertebra's voxels that may lie apart from it, at the front and at the back."""


def read_vertebrae(
    path: Path, scan: Scan, options: LevelOptions
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return level -> z in mm, and notes on vertebrae that the scan's end cuts off.

    Structures that have a name count by it; numbers alone mean what the options say, else what
    TotalSegmentator means by them. Other structures are left out.

    Raises:
        InputNotFoundError: Nothing is there.
        NotAnnotatedError: No vertebra at all.
        SeriesError: As for ``read_layers``; one vertebra twice.
    """
    z_mm: dict[str, float] = {}
    cut: list[str] = []
    notes: dict[str, None] = {}
    for layer in read_layers(path, scan, lambda s: _level(s, options) is not None):
        notes.update(dict.fromkeys(layer.notes))
        if not options.vertebra_labels and not any(s.name for s in layer.structures.values()):
            notes[_TAKEN_AS] = None
        for level, height_mm in _bodies(layer, scan, options):
            if level in z_mm or level in cut:
                raise SeriesError(f"{path.name}: expected {level} once, found it twice")
            if height_mm is None:
                cut.append(level)
            else:
                z_mm[level] = z_of_heights(height_mm, scan.volume)
    if not z_mm and not cut:
        raise NotAnnotatedError(
            f"{path.name}: expected vertebrae, found none among its labels",
            hint="Name structures vertebrae_L3 and so on, or say which number is which level.",
        )
    if cut:
        notes[f"{', '.join(sorted(cut))} cut off by the end of the scan, left out"] = None
    return z_mm, tuple(notes)


def _level(structure: Structure, options: LevelOptions) -> str | None:
    named = vertebra_named(structure.name)
    if named is not None:
        return named
    # A number that has another name, such as liver, means no vertebra unless the options say so.
    numbers = options.vertebra_labels or ({} if structure.name else TOTALSEGMENTATOR_LABELS)
    return next((level for level, value in numbers.items() if value == structure.value), None)


def _bodies(layer: Layer, scan: Scan, options: LevelOptions) -> Iterator[tuple[str, float | None]]:
    """Yield every vertebra's level and the height of its body, None where the scan cuts it off."""
    boxes: list[Any] = ndimage.find_objects(layer.labels)
    for value, structure in layer.structures.items():
        level = _level(structure, options)
        if level is not None:
            box = boxes[value - 1]
            yield level, _body_height_mm(layer.labels[box] == value, box[0], scan)


def _body_height_mm(vertebra: NDArray[np.bool_], slices: slice, scan: Scan) -> float | None:
    """Return the mid-height of the body of a (slice, row, column) mask along the slices' normal.

    None where the vertebra continues above the scan, or its body below it. Processes that go on
    below it do not matter.
    """
    rows = OrientationTransform.from_orientation(scan.volume.orientation).apply(vertebra)
    reach = np.cumsum(rows.sum(axis=(0, 2)))  # voxels from the front up to each row
    front, back = np.searchsorted(reach, reach[-1] * np.array([_STRAY, 1 - _STRAY]))
    depth = round(float(back - front + 1) * _FRONT)
    body = rows[:, front : front + max(depth, 1)].sum(axis=(1, 2))
    lowest = slices.start + int(np.flatnonzero(body)[0])
    if slices.stop == len(scan.volume) or lowest == 0:
        return None
    return float(np.average(slice_heights_mm(scan.volume)[slices], weights=body))
