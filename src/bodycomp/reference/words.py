"""What a comparison says, for people: the same on pages and in structured reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bodycomp.anatomy import ALL_TISSUES
from bodycomp.quantities import QUANTITIES
from bodycomp.reference.compare import ReferenceOutcome
from bodycomp.reference.table import ReferenceTable

_MEASURED: Final = {
    "area_cm2": ("area", "cm²"),
    "volume_ml": ("volume", "mL"),
    "hu_range_area_cm2": ("area in its HU range", "cm²"),
    "hu_range_mean_hu": ("attenuation in its HU range", "HU"),
}
_UNITS: Final = {"cm2": "cm²", "cm2/m2": "cm²/m²", "[hnsf'U]": "HU"}


def quantity_words(quantity: str) -> tuple[str, str]:
    """Return a compared quantity's title and unit.

    >>> quantity_words("muscle_hu_range_mean_hu")
    ('Muscle attenuation in its HU range', 'HU')
    """
    for kind in QUANTITIES:
        if kind.key == quantity:
            return kind.title, _UNITS.get(kind.unit, "" if kind.unit == "1" else kind.unit)
    for tissue in ALL_TISSUES:
        field = quantity.removeprefix(f"{tissue.key}_")
        if field in _MEASURED:
            words, unit = _MEASURED[field]
            return f"{tissue.title} {words}", unit
    return quantity.replace("_", " "), ""


def outcome_words(found: ReferenceOutcome, table: ReferenceTable) -> str:
    """Return what a reference says of a value; empty where it says nothing."""
    if found.reason:
        return ""
    if found.limit is not None:
        return f"{'below' if found.below else 'not below'} {found.limit:g}, {table.limit_words}"
    z, percentile = found.z_score or 0.0, found.percentile or 0.0
    place = f"percentile {percentile:.0f}"
    if not 1 <= percentile <= 99:
        place = "below percentile 1" if percentile < 1 else "above percentile 99"
    return f"z {z:+.1f}, {place}".replace("-", "\N{MINUS SIGN}")


def about_words(table: ReferenceTable) -> str:
    """Return whose values a reference has and from where."""
    about = "; ".join(filter(None, (table.population, table.ages, table.note)))
    where = ", ".join(filter(None, (table.source, table.table)))
    return f"{about} ({where}). No diagnosis."


def sentences(found: Sequence[ReferenceOutcome], tables: Sequence[ReferenceTable]) -> list[str]:
    """Return a sentence for each comparison that says something, with whose values those are."""
    known = {table.key: table for table in tables}
    said = []
    for each in found:
        table, (title, unit) = known[each.reference], quantity_words(each.quantity)
        if (words := outcome_words(each, table)) and each.value is not None:
            said.append(f"{title} {each.value:.1f} {unit}: {words}, in {about_words(table)}")
    return said
