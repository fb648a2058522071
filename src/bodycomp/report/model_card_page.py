"""A model's card as one HTML page that opens without network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bodycomp.networks.card_words import NOTICE
from bodycomp.report.model_card_view import CardView
from bodycomp.report.page import write_page


def write_model_card_page(path: Path, views: Sequence[CardView]) -> None:
    """Write the page of one model, or of a pair.

    Args:
        path: The file; it appears whole or not at all, in place of an earlier one.
        views: One per model.
    """
    title = views[0].title if len(views) == 1 else "Two models"
    context = {
        "title": title,
        "notice": NOTICE,
        "cards": [view.to_dict() for view in views],
        "tissues": (),  # of page.css: none to hide
    }
    write_page(path, "model_card.html.j2", context)
