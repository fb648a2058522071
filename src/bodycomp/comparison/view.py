"""The page of one person: slices at one scale, values over time, and what changed."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from bodycomp.comparison.alike import PHASE
from bodycomp.comparison.change import (
    COMPARED,
    CORRECTED_QUANTITY,
    Change,
    LevelComparison,
    PairComparison,
)
from bodycomp.comparison.person import PersonComparison
from bodycomp.reference.words import quantity_words
from bodycomp.report.case_view import read_case_view
from bodycomp.report.page import inline, source_hash, write_page
from bodycomp.report.page_content import Tile
from bodycomp.report.scaled_slices import ScaledSlice, largest_mm, scaled_slice
from bodycomp.report.time_chart import TimeChart, TimePoint, draw_time_chart
from bodycomp.tables import Cell

_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src {style}; base-uri 'none'; form-action 'none'"
)
_SCAN_HEADS: Final = (
    *("Scan", "Month", "Study", "Series", "Levels", "kVp", "Phase", "Thickness", "Kernel"),
    *("Scanner", "Quality flags"),
)
_CHANGE_HEADS: Final = (
    *("Quantity", "Earlier", "Later", "Difference", "Per month", "Smallest detectable"),
    *("95 % interval", "Chance", "In words"),
)
_CHARTED: Final = tuple(name for name in COMPARED if name[-9:] != "_area_cm2" or "range" in name)


def write_person_page(path: Path, person: PersonComparison) -> None:
    """Write the page; it needs no other file and no network, and appears whole or not at all.

    Raises:
        OutputError: A case's file cannot be read.
    """
    style = inline("page.css", "comparison.css")
    pairs = [pair for level in person.levels for pair in level.pairs]
    unlike = sum(any(each.is_certain for each in pair.differences) for pair in pairs)
    months = person.month(len(person.scans) - 1)
    context = {
        "title": f"{person.patient}: what changed",
        "subtitle": "Scans of one person beside each other, in order of time.",
        "tiles": [
            Tile(str(len(person.scans)), "scans"),
            Tile(f"{months:.1f}", "months from first to last"),
            Tile(
                f"{unlike} of {len(pairs)}",
                "comparisons of scans that were not made alike",
                tone="warning" if unlike else "",
            ),
        ],
        "policy": Markup(_POLICY.format(style=source_hash(style))),  # noqa: S704 - base64
        "style": style,
        "refused": person.refused,
        "scan_heads": _SCAN_HEADS,
        "scans": [_scan_row(person, place) for place in range(len(person.scans))],
        "levels": [_level(person, level) for level in person.levels],
        "change_heads": _CHANGE_HEADS,
    }
    write_page(path, "comparison.html.j2", context)


def _scan_row(person: PersonComparison, place: int) -> list[str]:
    scan = person.scans[place]
    cells = next(iter(scan.rows.values()))
    found = [lv.level for lv in person.levels if place in lv.scans]
    flags = {
        flag
        for row in scan.rows.values()
        for flag in str(row.get("quality_flags") or "").split("; ")
        if flag
    }
    thickness = cells.get("slice_thickness_mm")
    scanner = " ".join(str(cells.get(n) or "") for n in ("manufacturer", "scanner_model"))
    return [
        str(place + 1),
        f"{person.month(place):.1f}",
        scan.study,
        scan.series,
        ", ".join(found) or "none",
        _plain(cells.get("kvp")),
        str(cells.get(PHASE)),
        f"{thickness:g} mm" if isinstance(thickness, float) else "",
        str(cells.get("kernel") or ""),
        scanner.strip(),
        ", ".join(sorted(flags)),
    ]


def _plain(cell: Cell) -> str:
    return f"{cell:g}" if isinstance(cell, int | float) else ""


def _level(person: PersonComparison, level: LevelComparison) -> dict[str, Any]:
    shown: list[tuple[int, ScaledSlice]] = []
    if level.pairs:
        for place in level.scans:
            path = person.scans[place].case(level.level)
            found = scaled_slice(read_case_view(path)) if path else None
            if found is not None:
                shown.append((place, found))
    width, height = largest_mm([each for _, each in shown]) if shown else (0.0, 0.0)
    return {
        "name": level.level,
        "left_out": [f"Scan {n + 1} is left out: {why}." for n, why in level.left_out.items()],
        "width": round(width, 1),
        "height": round(height, 1),
        "estimated": any(each.is_estimated for _, each in shown),
        "slices": [
            _slice(person, level.level, place, each, (width, height)) for place, each in shown
        ],
        "charts": _charts(person, level),
        "pairs": [_pair(person, pair) for pair in level.pairs],
        "corrected": [
            (
                *(str(n + 1), f"{_number(c.raw_hu)} HU", f"{_number(c.corrected_hu)} HU"),
                f"{c.source}. Limits: {c.limits}.",
            )
            for n, found in level.corrected.items()
            for c in found
        ],
    }


def _slice(
    person: PersonComparison,
    level: str,
    place: int,
    found: ScaledSlice,
    frame_mm: tuple[float, float],
) -> dict[str, Any]:
    cells = person.scans[place].rows[level]
    areas = [
        f"{quantity_words(name)[0].lower()} {_number(cells[name])} cm²"
        for name in ("muscle_area_cm2", "subcutaneous_fat_area_cm2", "visceral_fat_area_cm2")
        if isinstance(cells.get(name), float)
    ]
    title = f"Scan {place + 1}, month {person.month(place):.1f}"
    return {
        "title": title,
        "label": f"Slice at {level} with the outlines of its labels, {title}",
        "about": "; ".join(areas),
        "uri": Markup(found.uri),  # noqa: S704 - base64
        "x": round((frame_mm[0] - found.size_mm[0]) / 2, 1),
        "y": round((frame_mm[1] - found.size_mm[1]) / 2, 1),
        "width": round(found.size_mm[0], 1),
        "height": round(found.size_mm[1], 1),
        "pixel": " ".join(f"{side_mm:.4f}" for side_mm in found.pixel_mm),
        "outlines": found.outlines,
    }


def _charts(person: PersonComparison, level: LevelComparison) -> list[TimeChart]:
    charts = []
    for quantity in _CHARTED if level.pairs else ():
        limits = [
            change.detectable[0].limit
            for pair in level.pairs
            for change in pair.changes
            if change.quantity == quantity and change.detectable
        ]
        half = max(limits) / sqrt(2) if limits else 0.0
        points = []
        title, unit = quantity_words(quantity)
        for place in level.scans:
            scan = person.scans[place]
            value, month = scan.rows[level.level].get(quantity), person.month(place)
            if not isinstance(value, int | float):
                continue
            name = f"Scan {place + 1}: {_number(value)} {unit}"
            points.append(TimePoint(month, value, half, name))
            if quantity == CORRECTED_QUANTITY:
                points += [
                    TimePoint(
                        *(month, each.corrected_hu, 0.0),
                        f"Scan {place + 1}, corrected ({each.key}): {_number(each.corrected_hu)}",
                        is_corrected=True,
                    )
                    for each in level.corrected.get(place, ())
                ]
        if sum(not point.is_corrected for point in points) > 1:
            charts.append(draw_time_chart(title, unit, points))
    return charts


def _pair(person: PersonComparison, pair: PairComparison) -> dict[str, Any]:
    months = "" if pair.months is None else f", {pair.months:.1f} months"
    return {
        "title": f"Scan {pair.earlier + 1} to scan {pair.later + 1}{months}",
        "differences": [
            {"title": str(each), "is_certain": each.is_certain, "effects": each.effects}
            for each in pair.differences
        ],
        "rows": [_change_row(change, _unlike(pair)) for change in pair.changes],
        "sources": [
            (quantity_words(change.quantity)[0], _with_unit(each.limit, change), each.source)
            for change in pair.changes
            for each in change.detectable
        ],
    }


def _unlike(pair: PairComparison) -> Sequence[str]:
    return [each.title.lower() for each in pair.differences if each.is_certain]


def change_words(change: Change, unlike: Sequence[str]) -> str:
    """Return what a change says, in one sentence."""
    if change.reason:
        return change.reason.capitalize() + "."
    held = f" if the scans were alike, which they were not ({', '.join(unlike)})" if unlike else ""
    if not change.is_beyond:
        return f"Within the smallest detectable change{held}."
    return f"{'More' if change.difference > 0 else 'Less'} than before{held}."


def _change_row(change: Change, unlike: Sequence[str]) -> list[str]:
    title, unit = quantity_words(change.quantity)
    limit = change.detectable[0].limit if change.detectable else None
    interval = (
        f"{_signed(change.low)} to {_signed(change.high)}"
        if change.low is not None and change.high is not None
        else ""
    )
    return [
        f"{title}, {unit}",
        _number(change.earlier),
        _number(change.later),
        _signed(change.difference),
        "" if change.per_month is None else _signed(change.per_month, 2),
        "not known" if limit is None else _number(limit),
        interval,
        "none" if change.probability is None else _percent(change.probability),
        change_words(change, unlike),
    ]


def _with_unit(value: float, change: Change) -> str:
    return f"{_number(value)} {quantity_words(change.quantity)[1]}"


def _percent(share: float) -> str:
    return "over 99.9 %" if share > 0.999 else f"{100 * share:.1f} %"


def _number(value: Any) -> str:
    return f"{value:.1f}".replace("-", "\N{MINUS SIGN}")


def _signed(value: float, digits: int = 1) -> str:
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")
