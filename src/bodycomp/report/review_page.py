"""A run of analysis, evaluation or training as one HTML page that people review.

The page opens from disk, asks nothing of any network (its Content Security Policy forbids it), and
holds every case as inert JSON that the browser parses only when the case is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.errors import ModelError
from bodycomp.networks.card import ModelCard
from bodycomp.report.case_pictures import (
    COMPRESSED_HU,
    EARLIER_MASK_STEP,
    PICTURE_WINDOW,
    SliceImage,
)
from bodycomp.report.case_view import CaseView, read_case_view
from bodycomp.report.model_card_numbers import evaluation_sections
from bodycomp.report.model_card_view import make_card_view
from bodycomp.report.page import inline, json_block, picture_uri, source_hash, write_page
from bodycomp.report.page_content import Column, PageCase, PageContent, analysis_columns, vocabulary
from bodycomp.results import LevelStatus
from bodycomp.tables import Cell, rounded_cells

PICTURE_BUDGET_BYTES: Final = 28_000_000
"""What the cases of one page may take together; a page of 30 MB still opens at once from disk."""

STYLES: Final = (
    *("page.css", "model_card.css", "review.css", "case_table.css", "case_viewer.css", "plots.css"),
)
SCRIPTS: Final = (
    *("page_parts.js", "review_state.js", "review_csv.js", "case_table.js", "case_picture.js"),
    *("case_stage.js", "paint_mask.js", "paint_shapes.js", "paint_numbers.js", "paint_tools.js"),
    *("paint_input.js", "case_views.js", "case_numbers.js", "case_slices.js", "case_viewer.js"),
    *(
        "plot_scales.js",
        "plots.js",
        "case_reference.js",
        "review_keys.js",
        "review_save.js",
        "review_page.js",
    ),
)
"""Joined into one script in this order; each file is one concept."""

POLICY: Final = (
    "default-src 'none'; img-src data: blob:; style-src {style}; script-src {script}; "
    "base-uri 'none'; form-action 'none'"
)
SAVING_POLICY: Final = f"{POLICY}; connect-src 'self'"
"""Of a page that saves reviews where it came from."""


def write_review_page(
    path: Path,
    content: PageContent,
    *,
    budget_bytes: int = PICTURE_BUDGET_BYTES,
    saves: bool = False,
) -> None:
    """Write the page; it needs no other file and no network, and appears whole or not at all.

    One that ``saves`` sends reviews to the server that it was opened from.

    Memory grows with the rows of the table, not with pictures. Until the cases take no more than
    ``budget_bytes`` pictures without loss give way to compressed ones, then neighboring slices are
    left out; the page says so.

    Raises:
        OutputError: A case's file cannot be read.
    """
    columns = content.columns or analysis_columns(tissue.key for tissue in ABDOMINAL_TISSUES)
    listed = list_cases(content.cases, [column.key for column in columns])
    neighbors = listed.neighbors_within(budget_bytes)
    exact = neighbors == listed.most_neighbors and listed.exact_bytes <= budget_bytes
    style, script = inline(*STYLES), inline("review_open.js", *SCRIPTS, "review_close.js")
    context = {
        "content": content,
        "cards": _cards(content),
        "measured": evaluation_sections(content.evaluation or {}),
        "pictures": [
            {"title": one.title, "about": one.about, "uri": picture_uri(one.path)}
            for one in content.pictures
        ],
        "notices": [*content.notices, *_left_out(listed, neighbors, exact=exact)],
        "style": style,
        "script": script,
        "policy": Markup(  # noqa: S704 - the hashes are base64
            (SAVING_POLICY if saves else POLICY).format(
                style=source_hash(style), script=source_hash(script)
            )
        ),
        "saves": saves,
        "page_data": json_block(_page_data(content, columns, listed) | {"saves": saves}),
        "fragments": case_fragments(content.cases, neighbors, exact=exact),
    }
    write_page(path, "review.html.j2", context)


def _page_data(content: PageContent, columns: Sequence[Column], listed: CaseList) -> dict[str, Any]:
    return {
        "kind": content.kind,
        "run": content.run_id,
        "columns": [asdict(column) for column in columns],
        "order": content.order,
        "rows": listed.rows,
        "plots": [asdict(plot) for plot in content.plots],
        "flag_rules": dict(content.flag_rules),
        "picture_hu": [PICTURE_WINDOW.low_hu, PICTURE_WINDOW.high_hu],
        "mask_step": EARLIER_MASK_STEP,
        **vocabulary(),
    }


def _left_out(listed: CaseList, neighbors: int, *, exact: bool) -> list[str]:
    most, words = listed.most_neighbors, []
    if neighbors < most:
        words.append(f"each case shows at most {neighbors} of its {most} neighbouring slices")
    if not exact:
        words.append(f"pictures are off by {COMPRESSED_HU} HU a pixel")
    return [f"To keep this page small, {' and '.join(words)}."] if words else []


def _cards(content: PageContent) -> list[dict[str, Any]]:
    """Return the models' cards as views; one that this version cannot read is left out."""
    views = []
    for card in content.cards.values():
        described = {name: value for name, value in card.items() if name != "digest"}
        try:
            view = make_card_view(ModelCard.from_dict(described), str(card.get("digest", "")))
        except ModelError:
            continue
        views.append(view.to_dict())
    return views


ROW_KEYS: Final = (
    *("study", "series", "level", "status", "reason", "slice_index", "level_z_mm"),
    *("quality_flags", "slice_selection_model", "segmentation_model"),
)
"""Cells that the page's list of cases needs whatever its columns are."""


UNCERTAIN_PRIORITY: Final = 100.0
ABSENT_PRIORITY: Final = 60.0
"""A scan that ends above a level is no fault, a level that was overlooked is one."""

UNKNOWN_PRIORITY: Final = 50.0
FLAG_PRIORITY: Final = 8.0


@dataclass(frozen=True, slots=True)
class CaseList:
    """All cases of a page as its table needs them.

    ``sizes`` are the bytes of each case without the slices that can be left out, then those of
    these slices, the most useful first; ``exact_bytes`` what all take with pictures without loss.
    """

    rows: tuple[dict[str, Cell], ...]
    sizes: tuple[tuple[int, ...], ...]
    exact_bytes: int

    @property
    def most_neighbors(self) -> int:
        """Neighboring slices of the case that has most of them."""
        return max((len(size) - 1 for size in self.sizes), default=0)

    def neighbors_within(self, budget_bytes: int) -> int:
        """Return how many neighbouring slices each case may keep."""
        for kept in range(self.most_neighbors, 0, -1):
            if sum(sum(size[: 1 + kept]) for size in self.sizes) <= budget_bytes:
                return kept
        return 0


def list_cases(cases: Sequence[PageCase], columns: Sequence[str]) -> CaseList:
    """Read every case once, for its row and its size; pictures are let go at once."""
    rows, sizes, exact_bytes = [], [], 0
    for case in cases:
        view = _view(case)
        cells = case.cells if view is None else {**view["cells"], **case.cells}
        row = {key: cells.get(key) for key in (*ROW_KEYS, *columns)}
        labels = view.get("labels", "") if view else ""
        rows.append(row | {"review_priority": review_priority(cells), "labels": labels})
        sizes.append(_size(view, cells))
        slices = view["slices"] if view else ()
        lossless = sum(
            len(each["exact"]) - len(each["picture"]) for each in slices if "exact" in each
        )
        exact_bytes += sum(sizes[-1]) + lossless
    return CaseList(tuple(rows), tuple(sizes), exact_bytes)


def review_priority(cells: Mapping[str, Cell]) -> float:
    """Return 0..100 for a row of the results: what to look at first. A rank, not a probability.

    >>> review_priority({"status": "found", "confidence": 0.9, "quality_flags": "noise; metal"})
    26.0
    >>> review_priority({"status": "uncertain"})
    100.0
    """
    status = cells.get("status")
    if status == LevelStatus.UNCERTAIN:
        return UNCERTAIN_PRIORITY
    if status == LevelStatus.ABSENT:
        return ABSENT_PRIORITY
    confidence = cells.get("confidence")
    unsure = 100 * (1 - confidence) if isinstance(confidence, float | int) else UNKNOWN_PRIORITY
    flags = [flag for flag in str(cells.get("quality_flags") or "").split(";") if flag.strip()]
    return round(min(unsure + FLAG_PRIORITY * len(flags), UNCERTAIN_PRIORITY - 1), 1)


def case_fragments(cases: Sequence[PageCase], neighbors: int, *, exact: bool) -> Iterator[Markup]:
    """Yield the JSON of one case after the other, with so many of its neighbouring slices.

    ``exact`` is whether slices with a mask have their picture without loss.
    """
    for case in cases:
        view = _view(case)
        if view is None:
            yield json_block({"cells": dict(case.cells)})
            continue
        kept = sorted({view["shown"], *_by_use(view)[:neighbors], *_must_stay(view)})
        yield json_block(
            {
                **view,
                "cells": rounded_cells({**view["cells"], **case.cells}),
                "slices": [_shown_slice(view["slices"][place], exact=exact) for place in kept],
                "shown": kept.index(view["shown"]),
            }
        )


def _view(case: PageCase) -> CaseView | None:
    return None if case.path is None else read_case_view(case.path)


def _shown_slice(image: SliceImage, *, exact: bool) -> SliceImage:
    """Return a slice with one picture."""
    shown = image.copy()
    lossless = shown.pop("exact", None)
    if exact and lossless:
        shown["picture"] = lossless
    return shown


def _must_stay(view: CaseView) -> list[int]:
    return [place for place, image in enumerate(view["slices"]) if image.get("truth")]


def _by_use(view: CaseView) -> list[int]:
    """Return positions of slices that can be left out, those to keep longest first.

    Around a level that was found the nearest; of a level that was not, every other one.
    """
    shown = view["shown"]
    fixed = {shown, *_must_stay(view)}
    free = [place for place in range(len(view["slices"])) if place not in fixed]
    if view["cells"].get("slice_index") is None:
        return free[::2] + free[1::2]
    return sorted(free, key=lambda place: abs(place - shown))


def _size(view: CaseView | None, cells: Mapping[str, Cell]) -> tuple[int, ...]:
    if view is None:
        return (len(json_block(dict(cells))),)
    plain = {**view, "slices": [_shown_slice(image, exact=False) for image in view["slices"]]}
    free = [_picture_bytes(view["slices"][place]) for place in _by_use(view)]
    return len(json_block(plain)) - sum(free), *free


def _picture_bytes(image: SliceImage) -> int:
    return len(image["picture"]) + len(image.get("mask", ""))
