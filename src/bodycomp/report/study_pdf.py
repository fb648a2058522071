"""The cases of a series on one page A4 to print and to sign, from the same view as the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bodycomp import __version__
from bodycomp.anatomy import tissue_by_key
from bodycomp.digests import SHORT
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.report.canvas import (
    ALERT,
    INK,
    QUIET,
    new_figure,
    picture_style,
)
from bodycomp.report.case_pictures import PICTURE_WINDOW, ViewImage, labels_in
from bodycomp.report.case_view import CaseView
from bodycomp.report.overlay import color_mask
from bodycomp.report.page_content import vocabulary
from bodycomp.report.pdf_column import (
    HEIGHT_IN,
    MARGIN_IN,
    WIDTH_IN,
    PageColumn,
    page_axes,
    write_text,
)
from bodycomp.report.result_rows import CORRECTED
from bodycomp.results import LevelStatus
from bodycomp.tables import Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTICE: Final = "For research only, not a medical device"
_SLICE_IN, _PICTURE_IN, _GAP_IN = 3.3, 2.6, 0.1
_PICTURE_DPI: Final = 220
_USUAL: Final = "L3"
_INTERVAL: Final = "area_pi90_low_cm2"
_COLUMNS: Final = {
    "area_cm2": ("area, cm²", 3.3),
    _INTERVAL: ("90 % interval, cm²", 4.9),
    "mean_hu": ("mean, HU", 5.7),
    "median_hu": ("median, HU", 6.6),
    "sd_hu": ("SD, HU", WIDTH_IN - MARGIN_IN),
}
"""Column of a tissue -> its title, and its right edge in inches."""
_PERSON: Final = (
    *(("patient_id", "patient {}"), ("study_date", "study of {}"), ("sex", "sex {}")),
    *(("age_years", "{:g} years"), ("height_m", "{:.2f} m"), ("weight_kg", "{:.0f} kg")),
)
_SCAN: Final = (
    *(("manufacturer", "{}"), ("scanner_model", "{}"), ("kvp", "{:g} kVp"), ("kernel", "{}")),
    *(("slice_thickness_mm", "slices of {:g} mm"), ("contrast_agent", "contrast agent {}")),
)


def report_pdf(
    cases: Sequence[CaseView],
    cards: Mapping[str, Mapping[str, Any]],
    changes: Sequence[str] = (),
) -> bytes:
    """Return the PDF of a series, one page A4; equal cases give equal bytes.

    L3 is shown if it was found, else the level that was found with most confidence; the others
    are a line each.

    Args:
        cases: One per level.
        cards: Role of each model -> its card as in ``card.json``; empty if there was none.
        changes: What changed since an earlier scan at the level shown, in sentences.
    """
    main = max(cases, key=_precedence)
    others = [case for case in cases if case is not main]
    figure = _page(main, others, cards, changes)
    stream = io.BytesIO()
    title = f"Body composition, {main['cells']['study']}"
    # Without the moment, which would differ in every run.
    metadata = {"Title": title, "CreationDate": None, "Creator": f"bodycomp {__version__}"}
    figure.savefig(stream, format="pdf", metadata=metadata, dpi=_PICTURE_DPI)
    return stream.getvalue()


def _precedence(case: CaseView) -> tuple[bool, bool, float]:
    cells = case["cells"]
    confidence = cells.get("confidence")
    found = cells["status"] == LevelStatus.FOUND
    return found, cells["level"] == _USUAL, confidence if _is_number(confidence) else 0.0


def _page(
    case: CaseView,
    others: Sequence[CaseView],
    cards: Mapping[str, Mapping[str, Any]],
    changes: Sequence[str],
) -> Figure:
    figure, cells = new_figure(WIDTH_IN, HEIGHT_IN), case["cells"]
    column = PageColumn(figure, HEIGHT_IN - 0.45)
    _head(column, case)
    if cells["status"] == LevelStatus.FOUND:
        _pictures(column, case)
        _tissues(column, case)
        column.section("Derived quantities", _derived(case))
        said, sources = _references(case)
        column.section("Compared with references (no diagnosis)", said)
        for source in sources:
            column.write(source, 6)
        column.section("Change since an earlier scan", changes)
        flags = [f"{flag['message']}." for flag in case["flags"]]
        column.section("What makes it less sure", flags, ALERT)
    else:
        column.write(f"Not measured: {cells['reason']}.", 9, ALERT)
    column.section("Other levels", [_in_a_line(other) for other in others])
    column.section("Models and their limits", _limits(cards), size=6)
    _signature(figure)
    return figure


def _in_a_line(case: CaseView) -> str:
    cells = case["cells"]
    if cells["status"] != LevelStatus.FOUND:
        return f"{cells['level']}: {cells['status']}, {cells['reason']}."
    values = [
        f"{tissue['title'].lower()} {_tissue_value(cells, tissue['key'], 'area_cm2')} cm² "
        f"({_tissue_value(cells, tissue['key'], 'mean_hu')} HU)"
        for tissue in vocabulary()["tissues"]
        if tissue["key"] in case["tissues"]
    ]
    flags = f"; {len(case['flags'])} quality flags" if case["flags"] else ""
    return f"{cells['level']}: {', '.join(values)}{flags}."


def _head(column: PageColumn, case: CaseView) -> None:
    cells = case["cells"]
    write_text(
        column.figure, WIDTH_IN - MARGIN_IN, column.top - 0.2, NOTICE, size=8, color=ALERT,
        ha="right",
    )  # fmt: skip
    column.write(f"Body composition at {cells['level']}", 14, bold=True)
    column.write(f"{cells['study']} / {cells['series']}, bodycomp {__version__}", 7.5, QUIET)
    for names in (_PERSON, _SCAN):
        column.write(", ".join(_stated(cells, names)), 7.5, QUIET)
    sure = cells.get("confidence")
    if _is_number(sure):
        words = f"{cells['level']} found, within 10 mm with a confidence of {sure:.2f}"
        column.write(f"{words} ({cells['confidence_basis']})", 7.5, QUIET)
    if cells.get(CORRECTED):
        column.write(f"Corrected by a person: {cells[CORRECTED]}", 8, ALERT)
    column.top -= 0.1


def _stated(cells: Mapping[str, Cell], names: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, words in names:
        value = cells.get(name)
        if value not in (None, ""):
            yield words.format(value)


def _pictures(column: PageColumn, case: CaseView) -> None:
    """Draw the slice with its labels, and where it lies."""
    cells, shown = case["cells"], case["slices"][case["shown"]]
    hu = PICTURE_WINDOW.low_hu + _pixels(shown["picture"]) / 255.0 * PICTURE_WINDOW.width_hu
    rows, columns = map(float, hu.shape)
    if "grid" in shown:  # pixels of the scan need be no squares
        rows *= shown["grid"]["row_mm"] / shown["grid"]["column_mm"]
    step = min(_SLICE_IN / columns, _PICTURE_IN / rows)
    views = (("Coronal", case["coronal"]), ("Sagittal", case["sagittal"]))
    left = MARGIN_IN + columns * step + 2 * _GAP_IN
    room = WIDTH_IN - MARGIN_IN - left - _GAP_IN
    extent = case["coronal"]["high_mm"] - case["coronal"]["low_mm"]
    scale = min(room / sum(view["width_mm"] for _, view in views), _PICTURE_IN / extent)
    top = column.top - 0.15
    column.top = top - max(rows * step, extent * scale)
    axes = page_axes(column.figure, MARGIN_IN, top - rows * step, columns * step, rows * step)
    gray = SOFT_TISSUE(hu)
    axes.imshow(gray, cmap="gray", vmin=0, vmax=1, interpolation="bilinear", aspect="auto")
    if "mask" in shown:
        tissues = [tissue_by_key(key) for key in case["tissues"]]
        labels = labels_in(_pixels(shown["mask"]), shown)
        colors = color_mask(labels, tissues, alpha=0.4)
        axes.imshow(colors, interpolation="nearest", aspect="auto")
    picture_style(axes)
    count = cells["slices_measured"]
    words = f", mean of {count:.0f} slices" if _is_number(count) and count > 1 else ""
    place = f"z = {_number(shown['z_mm'], 1)} mm, window 40 / 400 HU{words}"
    title = f"Slice {shown['index'] + 1} of {cells['slices']:.0f}, {place}"
    small = {"size": 7, "color": QUIET}
    write_text(column.figure, MARGIN_IN, top + 0.04, title, **small)
    for name, view in views:
        width, height = view["width_mm"] * scale, extent * scale
        axes = page_axes(column.figure, left, top - height, width, height)
        _draw_view(axes, view, cells["level_z_mm"])
        write_text(column.figure, left, top + 0.04, name, **small)
        left += width + _GAP_IN
    column.top -= 0.12


def _draw_view(axes: Axes, view: ViewImage, z_mm: Cell) -> None:
    extent = (0.0, view["width_mm"], view["low_mm"], view["high_mm"])
    axes.imshow(_pixels(view["picture"]), cmap="gray", extent=extent, aspect="auto")
    if _is_number(z_mm):
        axes.axhline(z_mm, color="#35e0d4", linewidth=1.2)
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    picture_style(axes)


def _pixels(picture: str) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("L")
    return np.asarray(image)


def _tissues(column: PageColumn, case: CaseView) -> None:
    """Write areas and attenuation, one line per tissue."""
    cells, small = case["cells"], {"size": 7.5, "color": QUIET, "ha": "right"}
    column.write("Tissue", 7.5, QUIET)
    for name, (title, place) in _COLUMNS.items():
        if name != _INTERVAL or _has_intervals(case):
            write_text(column.figure, place, column.top, title, **small)
    for tissue in vocabulary()["tissues"]:
        if tissue["key"] not in case["tissues"]:
            continue
        column.write(f"     {tissue['title']}", 9)
        square = {"size": 11, "color": tissue["color"]}
        write_text(column.figure, MARGIN_IN, column.top, "\N{BLACK SQUARE}", **square)
        for name, (_, place) in _COLUMNS.items():
            value = _tissue_value(cells, tissue["key"], name)
            write_text(column.figure, place, column.top, value, size=9, color=INK, ha="right")


def _has_intervals(case: CaseView) -> bool:
    return any(_is_number(case["cells"].get(f"{key}_{_INTERVAL}")) for key in case["tissues"])


def _tissue_value(cells: Mapping[str, Cell], tissue: str, name: str) -> str:
    low = cells.get(f"{tissue}_{name}")
    if name != _INTERVAL:
        return _number(low, 1 if name == "area_cm2" else 0)
    high = cells.get(f"{tissue}_area_pi90_high_cm2")
    return f"{_number(low, 1)} to {_number(high, 1)}" if _is_number(low) else ""


def _derived(case: CaseView) -> list[str]:
    """Return a sentence of what has a value, one of what has none, and one of cut-offs."""
    cells, reasons, words = case["cells"], case["reasons"], vocabulary()
    kinds = [kind for kind in words["quantities"] if kind["key"] in cells]
    given = [
        f"{kind['title']} {_number(value, _digits(value))} {kind['unit']}".strip()
        for kind in kinds
        if _is_number(value := cells[kind["key"]])
    ]
    missing: dict[str, list[str]] = {}
    for kind in kinds:
        if not _is_number(cells[kind["key"]]):
            missing.setdefault(reasons.get(kind["key"], ""), []).append(kind["title"])
    cut_offs = [
        f"{one['title']}: {cells[one['key']]}" for one in words["cut_offs"] if cells.get(one["key"])
    ]
    said = [f"{';  '.join(given)}."] if given else []
    said += [f"Not known: {', '.join(names)} ({why})." for why, names in missing.items() if why]
    return said + (
        [f"Published cut-offs, no diagnosis: {'; '.join(cut_offs)}."] if cut_offs else []
    )


def _digits(value: float) -> int:
    return 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2


def _references(case: CaseView) -> tuple[list[str], list[str]]:
    """Return what references say of each value, and whose values they have."""
    found = case.get("references") or {}
    sources = found.get("sources", {})
    used: dict[str, int] = {}
    said = []
    for view in found.get("views", ()):
        outcomes = []
        for each in view["said"]:
            if not each["reason"]:
                number = used.setdefault(each["reference"], len(used) + 1)
                outcomes.append(f"{each['text']} [{number}]")
        if outcomes:
            value = _number(view["value"], 1)
            said.append(f"{view['title']} {value} {view['unit']}: {'; '.join(outcomes)}.")
    return said, [
        f"[{number}] {sources[key]['title']}: {sources[key]['about']}"
        for key, number in used.items()
    ]


def _limits(cards: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what the models' cards say that they are not for, and where they fail."""
    said: list[str] = []
    for role, card in cards.items():
        words = card.get("description", {}).get("words") or {}
        name, digest = words.get("name") or role.replace("_", " "), str(card.get("digest", ""))
        not_for, failures = (words.get(key, ()) for key in ("out_of_scope", "known_failures"))
        new = [each for each in not_for if not any(each in earlier for earlier in said)]
        parts = [f"Not for: {' '.join(new)}"] if new else []
        parts += [f"Known failures: {' '.join(failures)}"] if failures else []
        limits = " ".join(parts) or "Its card states no limits."
        said.append(f"{name} ({digest[:SHORT]}). {limits}")
    return said or ["No model: the mask was given."]


def _signature(figure: Figure) -> None:
    from matplotlib import lines  # noqa: PLC0415 - as ``new_figure``

    style = {"size": 7.5, "color": QUIET}
    write_text(figure, MARGIN_IN, 0.45, "Look at the picture before you use a number.", **style)
    for left, title in ((3.9, "Read by"), (6.2, "Date")):
        write_text(figure, left, 0.45, title, **style)
    for left, right in ((4.4, 6.1), (6.5, WIDTH_IN - MARGIN_IN)):
        ends = (left / WIDTH_IN, right / WIDTH_IN)
        figure.add_artist(lines.Line2D(ends, (0.42 / HEIGHT_IN,) * 2, color=QUIET, linewidth=0.6))


def _is_number(value: Cell) -> TypeGuard[float]:
    return isinstance(value, float | int)


def _number(value: Cell, digits: int) -> str:
    """Return a number as people read it.

    >>> _number(-3.456, 1), _number(None, 1)
    ('\u22123.5', '\u2013')
    """
    if not _is_number(value):
        return "\N{EN DASH}"
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
