"""Names of metrics and units as people read them."""

from __future__ import annotations

import re
from typing import Final

UNITS: Final = {"1": "", "[hnsf'U]": "HU", "cm2": "cm2"}
"""UCUM -> as people write it; others stay as they are."""

_TRAINING: Final = (
    (r"error_mm", "mean error of a slice"),
    (r"mae_mm_(.+)", r"\1: mean absolute error of near slices"),
    (r"located_error_mm_(.+)", r"\1: median error where it was found"),
    (r"found_(.+)", r"\1: found within 10 mm"),
    (r"dice_mean", "mean Dice of all tissues"),
    (r"dice_(.+)", r"\1: Dice of all pixels"),
    (r"image_dice_(.+)", r"\1: mean Dice of a slice"),
)
"""Metrics that a training writes, and their names."""

_UNIT_AT_END: Final = re.compile(r"_(mm|cm2|hu)$")
_ABBREVIATIONS: Final = {"dice": "Dice", "hu": "HU", "hausdorff95": "95 % Hausdorff"}


def name_for_people(name: str) -> str:
    """Return the name of a metric without underscores, and without the unit that stands beside it.

    >>> name_for_people("image_dice_subcutaneous_fat")
    'subcutaneous fat: mean Dice of a slice'
    >>> name_for_people("L3 / median_absolute_error_mm")
    'L3: median absolute error'
    """
    for pattern, words in _TRAINING:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(words).replace("_", " ")
    *where, what = name.split(" / ")
    if not re.match(r"within_", what):
        what = _UNIT_AT_END.sub("", what)
    what = what.replace("icc_2_1", "ICC(2,1)")
    spoken = " ".join(_ABBREVIATIONS.get(word, word) for word in what.split("_"))
    return f"{', '.join(where).replace('_', ' ')}: {spoken}" if where else spoken


def unit_for_people(unit: str) -> str:
    """Return a unit as it is written behind a number; empty for none."""
    return UNITS.get(unit, unit)
