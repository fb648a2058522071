"""Attributes of a dataset as plain values; what is missing or malformed is None or empty."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any, Final

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset

_SHORT: Final = 64
"""Bytes of what is worth remembering."""


def _value(dataset: Dataset, name: str) -> Any:
    try:
        raw: object = dataset.get_item(tag_for_keyword(name) or 0)  # typed as converted
        if not isinstance(raw, RawDataElement) or len(raw.value or b"") > _SHORT:
            return dataset.get(name)
        charset = dataset.original_character_set
        charsets = (charset,) if isinstance(charset, str) else tuple(charset)
        known = _converted(raw._replace(value_tell=0), charsets)
        return dataset.get(name) if known is None else known
    except Exception:  # a malformed value is a missing one, and pydicom raises any type
        return None


@lru_cache(maxsize=4096)
def _converted(raw: RawDataElement, charsets: tuple[str, ...]) -> Any:
    """Return what bytes mean; most are the same in all files of a series. None if it depends."""
    element = convert_raw_data_element(raw, encoding=list(charsets))
    return None if " or " in element.VR or element.VR == "SQ" else element.value


def text(dataset: Dataset, name: str) -> str:
    """Return an attribute as text, several values joined by a backslash."""
    value = _value(dataset, name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip(" \0")
    values = value if hasattr(value, "__iter__") else [value]
    return "\\".join(str(item).strip(" \0") for item in values)


def numbers(dataset: Dataset, name: str, count: int) -> tuple[float, ...] | None:
    """Return exactly ``count`` finite numbers, else None."""
    value = _value(dataset, name)
    values = [value] if count == 1 else value
    try:
        found = tuple(float(item) for item in values)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def number(dataset: Dataset, name: str) -> float | None:
    """Return one finite number, else None."""
    values = numbers(dataset, name, 1)
    return values[0] if values else None


_AGE: Final = re.compile(r"(\d{1,3})\s*([DWMY])")
_YEARS: Final = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def age_years(dataset: Dataset, name: str) -> float | None:
    """Return an age string (PS3.5 section 6.2, such as ``045Y``) in years.

    Without one it is the completed years from date of birth to the study; None if these are
    missing, too.
    """
    if found := _AGE.fullmatch(text(dataset, name).upper()):
        return int(found[1]) * _YEARS[found[2]]
    born, scanned = (text(dataset, each) for each in ("PatientBirthDate", "StudyDate"))
    if not all(re.fullmatch(r"\d{8}", date) for date in (born, scanned)) or scanned < born:
        return None
    return float((int(scanned) - int(born)) // 10_000)  # as YYYYMMDD, so months and days count


def integer(dataset: Dataset, name: str) -> int | None:
    """Return one whole number, else None; a fraction is cut off."""
    value = number(dataset, name)
    return None if value is None else int(value)


def positive(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """Return the numbers if all are positive, else None."""
    return values if values is not None and min(values) > 0 else None


def unit_vectors(cosines: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """Return the cosines if they are two perpendicular unit vectors within rounding, else None."""
    if cosines is None:
        return None
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    perpendicular = abs(float(row @ column)) < 1e-2
    return cosines if perpendicular and np.allclose(lengths, 1.0, atol=1e-2) else None
