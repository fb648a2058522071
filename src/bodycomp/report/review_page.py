"""A run of analysis, evaluation or training as one HTML page that people review.

The page opens from disk, asks nothing of any network (its Content Security Policy forbids it), and
holds every case as inert JSON that the browser parses only when the case is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.errors import ModelError
from bodycomp.networks.card import ModelCard
from bodycomp.report.case_pictures import MASK_STEP, PICTURE_WINDOW
from bodycomp.report.evaluation_sections import evaluation_sections
from bodycomp.report.model_card_view import make_card_view
from bodycomp.report.page import (
    inline,
    json_block,
    picture_uri,
    source_hash,
    write_page,
)
from bodycomp.report.page_cases import (
    PICTURE_BUDGET_BYTES,
    CaseList,
    case_fragments,
    list_cases,
)
from bodycomp.report.page_content import Column, PageContent
from bodycomp.report.page_vocabulary import analysis_columns, vocabulary

STYLES: Final = (
    "page.css",
    "model_card.css",
    "review.css",
    "case_table.css",
    "case_viewer.css",
    "plots.css",
)
SCRIPTS: Final = (
    "page_parts.js",
    "review_state.js",
    "review_csv.js",
    "case_table.js",
    "case_picture.js",
    "case_views.js",
    "case_numbers.js",
    "case_slices.js",
    "case_viewer.js",
    "plot_scales.js",
    "plots.js",
    "review_keys.js",
    "review_page.js",
)
"""Joined into one script in this order; each file is one concept."""

POLICY: Final = (
    "default-src 'none'; img-src data: blob:; style-src {style}; script-src {script}; "
    "base-uri 'none'; form-action 'none'"
)


def write_review_page(
    path: Path, content: PageContent, *, budget_bytes: int = PICTURE_BUDGET_BYTES
) -> None:
    """Write the page; it needs no other file and no network, and appears whole or not at all.

    Memory grows with the rows of the table, not with pictures. Neighboring slices are left out
    until the cases take no more than ``budget_bytes``, which the page says.

    Raises:
        OutputError: A case's file cannot be read.
    """
    columns = content.columns or analysis_columns(tissue.key for tissue in ABDOMINAL_TISSUES)
    listed = list_cases(content.cases, [column.key for column in columns])
    neighbors = listed.neighbors_within(budget_bytes)
    style, script = inline(*STYLES), inline("review_open.js", *SCRIPTS, "review_close.js")
    context = {
        "content": content,
        "cards": _cards(content),
        "measured": evaluation_sections(content.evaluation or {}),
        "pictures": [
            {"title": one.title, "about": one.about, "uri": picture_uri(one.path)}
            for one in content.pictures
        ],
        "notices": [*content.notices, *_left_out(listed, neighbors)],
        "style": style,
        "script": script,
        "policy": Markup(  # noqa: S704 - the hashes are base64
            POLICY.format(style=source_hash(style), script=source_hash(script))
        ),
        "page_data": json_block(_page_data(content, columns, listed)),
        "fragments": case_fragments(content.cases, neighbors),
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
        "mask_step": MASK_STEP,
        **vocabulary(),
    }


def _left_out(listed: CaseList, neighbors: int) -> list[str]:
    most = listed.most_neighbors
    if neighbors == most:
        return []
    words = f"each case shows at most {neighbors} of its {most} neighbouring slices"
    return [f"To keep this page small, {words}."]


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
