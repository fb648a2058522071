"""A training set as one HTML page: issues, samples with their labels, distributions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from bodycomp.data.issues import Issue, count_issues, shortened
from bodycomp.data.manifest import Manifest, read_manifest
from bodycomp.errors import TrainingSetError
from bodycomp.report.histogram import Histogram, draw_histogram
from bodycomp.report.offset_ladder import ladders_of
from bodycomp.report.overlay import UNKNOWN_COLOR, hex_color
from bodycomp.report.page import write_page
from bodycomp.report.page_content import Tile, Tone
from bodycomp.report.page_options import PageOptions
from bodycomp.report.sample_choice import Choice, Suspicion, choose_random, choose_suspicious
from bodycomp.report.training_set_view import (
    NOT_ANNOTATED,
    SegmentationView,
    SliceView,
    TrainingSetView,
)
from bodycomp.validation.validate import Validation

SEVERITIES: Final = ("error", "warning")


def write_training_set_page(
    path: Path,
    validation: Validation,
    options: PageOptions | None = None,
    levels: tuple[str, ...] | None = None,
) -> None:
    """Write the page; it needs no other file and no network, and appears whole or not at all.

    Of a slice-selection set it shows ``levels``, or else those that it is annotated for.
    """
    options = options or PageOptions()
    manifest = _manifest(validation)
    view: TrainingSetView = (
        SegmentationView(validation, manifest)
        if validation.kind == "segmentation"
        else SliceView(validation, manifest, levels)
    )
    suspicious = choose_suspicious(_suspicions(validation, view), options.suspicious)
    drawn = choose_random(view.sizes, view.patients, options.random, options.seed)
    sheets = [
        ("Suspicious samples", _ABOUT_SUSPICIOUS, suspicious),
        ("Random samples", _ABOUT_RANDOM, _without(drawn, suspicious)),
    ]
    ladders = ladders_of(view, options.seed) if isinstance(view, SliceView) else []
    shown = {_anchor(*sample) for _, _, choice in sheets for sample in choice.samples}
    context = {
        "title": f"Training set for {validation.kind.replace('-', ' ')}",
        "subtitle": _subtitle(view, manifest),
        "tiles": _tiles(validation, view),
        "issues": _issue_groups(validation.issues, shown),
        "ladders": ladders,
        "sheets": [
            {"title": title, "about": about, "samples": _cards(view, choice)}
            for title, about, choice in sheets
            if choice.samples
        ],
        "tissues": _legend(view),
        "splits": list(view.sizes),
        "charts": [_chart(chart) for chart in view.charts()],
        "band_words": _ABOUT_BAND if view.tissues else "",
    }
    write_page(path, "training_set.html.j2", context)


_ABOUT_SUSPICIOUS: Final = (
    "The first samples of every issue, then samples whose numbers lie far from those of the "
    "others. Unusual is not wrong: look at them."
)
_ABOUT_BAND: Final = "The band is the range that distinguishes the tissue from others."
_ABOUT_RANDOM: Final = (
    "Drawn from every split and from as many patients as possible. Click to enlarge; the arrow "
    "keys go through them."
)


def _manifest(validation: Validation) -> Manifest | None:
    try:
        return read_manifest(validation.data_dir)
    except TrainingSetError:
        return None  # an issue says so


def _suspicions(validation: Validation, view: TrainingSetView) -> list[Suspicion]:
    found = [
        Suspicion((issue.split, issue.index), issue.code, issue.severity)
        for issue in validation.issues
        if issue.split in view.sizes
        and issue.index is not None
        and issue.index < view.sizes[issue.split]
    ]
    return found + view.suspicions()


def _without(choice: Choice, other: Choice) -> Choice:
    return Choice(tuple(sample for sample in choice.samples if sample not in other.reasons))


def _subtitle(view: TrainingSetView, manifest: Manifest | None) -> str:
    parts = []
    for split, size in view.sizes.items():
        known = view.patients.get(split)
        people = f" of {counted(len(set(known)), 'patient')}" if known else ""
        parts.append(f"{split} {size:,}{people}")
    origin = "" if manifest is None else ", with a manifest"
    return f"{view.noun.capitalize()}: {'; '.join(parts) or 'none that can be read'}{origin}."


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "patient"), counted(1200, "patient")
    ('1 patient', '1,200 patients')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _legend(view: TrainingSetView) -> list[dict[str, str]]:
    entries = [(tissue.key, tissue.title, hex_color(tissue.color)) for tissue in view.tissues]
    if view.has_not_annotated:
        entries.append((NOT_ANNOTATED, "Not annotated", hex_color(UNKNOWN_COLOR)))
    return [{"key": key, "title": title, "color": color} for key, title, color in entries]


def _tiles(validation: Validation, view: TrainingSetView) -> list[Tile]:
    patients = {name for names in view.patients.values() for name in names}
    tiles = [Tile(f"{sum(view.sizes.values()):,}", view.noun)]
    tiles += [Tile(f"{size:,}", f"in {split}") for split, size in view.sizes.items()]
    if patients:
        tiles.append(Tile(f"{len(patients):,}", "patients"))
    issues: tuple[tuple[int, Tone], ...] = (
        (validation.errors, "error"),
        (validation.warnings, "warning"),
    )
    for count, kind in issues:
        label = kind if count == 1 else f"{kind}s"
        tiles.append(Tile(f"{count:,}", label, tone=kind if count else ""))
    return tiles


def _issue_groups(issues: Sequence[Issue], shown: set[str]) -> list[dict[str, Any]]:
    """Gather the issues of each rule, errors first; those whose sample is shown lead to it."""
    groups: dict[tuple[int, str], list[Issue]] = {}
    for issue in issues:
        key = (SEVERITIES.index(issue.severity), issue.code)
        groups.setdefault(key, []).append(issue)
    return [
        {
            "severity": SEVERITIES[rank],
            "code": code,
            "count": count_issues(group, group[0].severity),
            "hint": group[0].hint,
            "items": [_issue_item(issue, shown) for issue in shortened(group)],
        }
        for (rank, code), group in sorted(groups.items(), key=lambda item: item[0])
    ]


def _issue_item(issue: Issue, shown: set[str]) -> dict[str, str]:
    anchor = "" if issue.index is None else _anchor(issue.split or "", issue.index)
    return {
        "where": issue.where,
        "message": issue.message,
        "anchor": anchor if anchor in shown else "",
    }


def _anchor(split: str, index: int) -> str:
    return f"{split}-{index}"


def _cards(view: TrainingSetView, choice: Choice) -> list[dict[str, Any]]:
    cards: list[dict[str, Any]] = []
    for split, index in choice.samples:
        picture = view.picture(split, index)
        if picture is None:
            continue
        reasons = choice.reasons.get((split, index), ())
        card: dict[str, Any] = {
            "anchor": _anchor(split, index),
            "split": split,
            "name": f"{split} {index}",
        }
        card |= {"photo": picture.photo, "stencils": picture.stencils}
        badges = [(reason.code, reason.severity) for reason in reasons]
        cards.append(card | {"lines": view.lines(split, index), "badges": badges})
    return cards


def _chart(chart: Histogram) -> dict[str, Any]:
    rows = []
    for split, values in chart.groups.items():
        finite = values[np.isfinite(values)]
        low, middle, high = np.percentile(finite, [5, 50, 95]) if finite.size else (None,) * 3
        numbers = {"low": _number(low), "middle": _number(middle), "high": _number(high)}
        rows.append({"split": split, "count": f"{finite.size:,}", **numbers})
    return {"title": chart.title, "drawing": draw_histogram(chart), "rows": rows}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
