"""What the columns of a result mean, for pages: title, unit and formula, out of their tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from bodycomp.anatomy import ABDOMINAL_TISSUES, tissue_by_key
from bodycomp.quantities import CutOff, Limit, cut_offs_for, quantities_for
from bodycomp.report.overlay import hex_color
from bodycomp.report.page_content import Column

_UNITS: Final = {
    "cm2": "cm²",
    "cm2/m2": "cm²/m²",
    "cm2.[hnsf'U]/m2": "cm²·HU/m²",
    "[hnsf'U]": "HU",
    "1": "",
}
"""UCUM code -> as people read it, where the two differ."""

TISSUE_FIELDS: Final = (
    ("area_cm2", "Area", "cm²", 1),
    ("mean_hu", "Mean", "HU", 0),
    ("median_hu", "Median", "HU", 0),
    ("sd_hu", "SD", "HU", 0),
    ("hu_range_area_cm2", "In HU range", "cm²", 1),
    ("border_fraction", "At edge", "", 2),
)
"""Column without its tissue, heading, unit, decimals: the table of one case."""

SHORT_TITLES: Final = {"subcutaneous_fat": "SAT", "visceral_fat": "VAT"}
"""Where a whole title would make a column wide."""


def vocabulary() -> dict[str, Any]:
    """Return what a page needs to name tissues, quantities and cut-offs."""
    keys = tuple(tissue.key for tissue in ABDOMINAL_TISSUES)
    return {
        "tissues": [
            {
                "label": tissue.label,
                "key": tissue.key,
                "title": tissue.title,
                "color": hex_color(tissue.color),
            }
            for tissue in ABDOMINAL_TISSUES
        ],
        "tissue_fields": [
            {"key": key, "title": title, "unit": unit, "digits": digits}
            for key, title, unit, digits in TISSUE_FIELDS
        ],
        "quantities": [
            {
                "key": kind.key,
                "title": kind.title,
                "unit": _UNITS.get(kind.unit, kind.unit),
                "about": f"{kind.formula} ({kind.source})",
            }
            for kind in quantities_for(keys)
        ],
        "cut_offs": [
            {"key": one.key, "title": _cut_off_title(one), "about": _cut_off_about(one)}
            for one in cut_offs_for(keys)
        ],
    }


def analysis_columns(tissue_keys: Iterable[str]) -> tuple[Column, ...]:
    """Return the table of an analysis: where to look, what was found, what was measured."""
    tissues = [tissue_by_key(key) for key in tissue_keys]
    columns = [
        Column("case", "Case", kind="case", about="Pseudonyms of study and series"),
        Column("level", "Level", kind="text", about="Vertebral level"),
        Column("status", "Status", kind="text", about="Whether the level was found"),
        Column("review_priority", "Priority", digits=0, about=ABOUT_PRIORITY),
        Column("confidence", "Confidence", digits=2, about="That the level is within 10 mm"),
    ]
    for tissue in tissues:
        name = SHORT_TITLES.get(tissue.key, tissue.title)
        about = f"Area of {tissue.title.lower()} on the level's slice"
        columns.append(Column(f"{tissue.key}_area_cm2", name, "cm²", about=about))
        if tissue.key == "muscle":
            about = "Mean attenuation of muscle"
            columns.append(Column("muscle_mean_hu", "Muscle attenuation", "HU", 0, about=about))
    if any(tissue.key == "muscle" for tissue in tissues):
        about = "Muscle area in its HU range / height squared"
        columns.append(Column("skeletal_muscle_index_cm2_m2", "SMI", "cm²/m²", about=about))
    columns.append(Column("quality_flags", "Flags", kind="flags", about="What makes it less sure"))
    return tuple(columns)


ABOUT_PRIORITY: Final = (
    "What to look at first, 0 to 100: a level that is uncertain, then low confidence and flags"
)


def _cut_off_title(cut_off: CutOff) -> str:
    """Return a name for people, e.g. ``Low muscle index (Prado 2008)``.

    The key ends in author and year.
    """
    words, author, year = cut_off.key.rsplit("_", 2)
    return f"{words.replace('_', ' ').capitalize()} ({author.capitalize()} {year})"


def _cut_off_about(cut_off: CutOff) -> str:
    limits = ", ".join(f"{_whom(one)} {cut_off.relation} {one.value:g}" for one in cut_off.limits)
    return f"{limits}; found in {cut_off.people} ({cut_off.source}). No diagnosis."


def _whom(limit: Limit) -> str:
    sex = {"F": "women", "M": "men"}.get(limit.sex, "all")
    low, high = limit.bmi_from, limit.bmi_below
    if low is None and high is None:
        return sex
    bounds = (f"from {low:g}" if low is not None else "", f"below {high:g}" if high else "")
    return f"{sex} of BMI {' '.join(bound for bound in bounds if bound)}"
