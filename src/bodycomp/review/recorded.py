"""What a run recorded of a case: its level, the subject, the masks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodycomp.annotation.grid import place_label_map
from bodycomp.errors import InputNotFoundError, OutputError, SeriesError
from bodycomp.imaging.volume import Volume
from bodycomp.nifti import read_nifti_labels
from bodycomp.results import (
    MODEL_CAUTION_KEY,
    LevelStatus,
    SliceChoice,
)
from bodycomp.subject import Subject
from bodycomp.tables import Cell


def recorded_choice(path: Path, row: Mapping[str, Cell], z_mm: NDArray[np.float64]) -> SliceChoice:
    """Return where a level lies by its row, with the curve that ``results.json`` has.

    The row is that of the networks or corrected; offsets of slices that were not scored are
    interpolated between those that were, by the (slice,) positions.

    Raises:
        OutputError: The file is gone or damaged.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        (level,) = [each for each in document["levels"] if each["level"] == row["level"]]
        scored = np.array([value is not None for value in level["offset_mm"]], np.bool_)
        known = np.array([value for value in level["offset_mm"] if value is not None], np.float64)
        return SliceChoice(
            level=level["level"],
            status=LevelStatus(str(row["status"])),
            reason=str(row["reason"] or ""),
            slice_index=_whole(row["slice_index"]),
            z_mm=_number(row["level_z_mm"]),
            offset_mm=np.interp(z_mm, z_mm[scored], known).astype(np.float32),
            smoothed_offset_mm=np.array(level["smoothed_offset_mm"], np.float32),
            crossings=int(level["crossings"]),
            confidence=_number(row["confidence"]),
            confidence_basis=str(row.get("confidence_basis") or ""),
            slope_ratio=level["slope_ratio"] if row["confidence"] is not None else None,
            scored=None if scored.all() else scored,
            height_mm=level.get("height_mm"),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise OutputError(
            f"expected the results of {row['level']} in {path}, found none that can be read",
            hint="Measure the study again with bodycomp analyze.",
        ) from error


def recorded_caution(path: Path, level: str) -> str:
    """Return what the models' cards asked to say with a level in ``results.json``."""
    levels = json.loads(path.read_text(encoding="utf-8"))["levels"]
    flags = [flag for each in levels if each["level"] == level for flag in each["flags"]]
    return next((flag["message"] for flag in flags if flag["key"] == MODEL_CAUTION_KEY), "")


def recorded_subject(row: Mapping[str, Cell], in_files: Subject) -> Subject:
    """Return the height, weight, sex and age of a row, which a table may have given."""
    height_m = _number(row["height_m"])
    same = height_m == in_files.height_m
    return Subject(
        height_m=height_m,
        weight_kg=_number(row["weight_kg"]),
        sex=str(row["sex"] or ""),
        height_note=in_files.height_note if same or height_m is None else "",
        age_years=_number(row.get("age_years")),
    )


def recorded_masks(path: Path, volume: Volume) -> NDArray[np.uint8] | None:
    """Return (slice, row, column) labels that a run left; None if there are none to be read."""
    try:
        labels = place_label_map(read_nifti_labels(path), volume, path.name, cropped=False)
    except (InputNotFoundError, SeriesError):
        return None
    return labels.astype(np.uint8)


def _number(cell: Any) -> float | None:
    return None if cell is None or cell == "" else float(cell)


def _whole(cell: Any) -> int | None:
    return None if cell is None or cell == "" else int(cell)
