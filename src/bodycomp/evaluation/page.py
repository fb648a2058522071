"""The page of an evaluation: its numbers, plots and cases, worst first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bodycomp.analysis.quality_flags import FLAG_KINDS
from bodycomp.anatomy import tissue_by_key
from bodycomp.networks.model_folder import CARD_NAME, find_in_pair, model_folder
from bodycomp.networks.shipped import SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER
from bodycomp.report.page_content import (
    SHORT_TITLES,
    Axis,
    Column,
    PageCase,
    PageContent,
    Plot,
    PlotLine,
    PlotPoint,
    Tile,
)
from bodycomp.report.review_page import write_review_page

PAGE_NAME: Final = "report.html"


def write_evaluation_page(
    path: Path, document: Mapping[str, Any], cases: Sequence[PageCase], models: Path
) -> None:
    """Write the page of an evaluation on a cases table; the files of ``cases`` are still there."""
    tissues = tuple(
        dict.fromkeys(
            key for level in document.get("end_to_end", {}).values() for key in level["tissues"]
        )
    )
    write_review_page(
        path,
        PageContent(
            kind="evaluation",
            title="Body composition: evaluation of models",
            run_id=str(document["data"]["digest"])[:12],
            subtitle=_subtitle(document),
            tiles=_tiles(document),
            cards=_cards(models),
            cases=cases,
            columns=_columns(tissues),
            order="absolute_error_mm",
            plots=_plots(document, cases, tissues),
            evaluation=document,
            flag_rules={kind.key: kind.rule for kind in FLAG_KINDS},
            notices=_notices(document),
        ),
    )


def _subtitle(document: Mapping[str, Any]) -> str:
    part = document["data"]["parts"]["cases"]
    split = f" of the split {part['split']}" if part["split"] else ""
    models = " and ".join(f"{role.replace('_', ' ')} {d}" for role, d in document["models"].items())
    return (
        f"{part['cases']} cases of {part['patients']} patients{split}, with the models {models}; "
        f"bodycomp {document['software']['version']}, {document['made_at'][:10]}."
    )


def _notices(document: Mapping[str, Any]) -> list[str]:
    notices = [f"{warning[:1].upper()}{warning[1:]}." for warning in document["warnings"]]
    for level, section in document.get("end_to_end", {}).items():
        missed = section["counts"]["cases_not_found"]
        if missed:
            notices.append(f"{level} was not found in {', '.join(missed)}: no area there.")
    return notices


def _cards(models: Path) -> dict[str, Mapping[str, Any]]:
    cards = {}
    for role, name in (
        ("slice_selection", SLICE_SELECTION_FOLDER),
        ("segmentation", SEGMENTATION_FOLDER),
    ):
        place = find_in_pair(models, name) if models.is_dir() else None
        if place is not None and (model_folder(place) / CARD_NAME).is_file():
            cards[role] = json.loads((model_folder(place) / CARD_NAME).read_text("utf-8"))
    return cards


def _tiles(document: Mapping[str, Any]) -> list[Tile]:
    tiles = []
    for level, section in document["slice_selection"]["cases"]["levels"].items():
        counts, metrics = section["counts"], section["metrics"]
        if counts["present"]:
            missed = counts["present"] - counts["present_found"]
            share = f"{counts['present_found']} of {counts['present']}"
            tiles.append(Tile(share, f"{level} found", tone="warning" if missed else ""))
            tiles.append(_tile(metrics["median_absolute_error_mm"], f"{level}, median error", "mm"))
            tiles.append(_tile(metrics["within_10_mm"], f"{level} within 10 mm", "%"))
        if counts["absent_found"]:
            share = f"{counts['absent_found']} of {counts['absent']}"
            tiles.append(Tile(share, f"{level} found where it is not", tone="error"))
    for level, section in document.get("end_to_end", {}).items():
        for key, tissue in section["tissues"].items():
            title = tissue_by_key(key).title.lower()
            tiles.append(_tile(tissue["area"]["bias_cm2"], f"{title} at {level}, bias", "cm²"))
            tiles.append(_tile(tissue["area"]["icc_2_1"], f"{title} at {level}, ICC(2,1)", ""))
    refused = document["data"]["parts"]["cases"]["refused_cases"]
    if refused:
        tiles.append(Tile(str(refused), "cases refused", "reasons in refused.csv", "warning"))
    return tiles


def _tile(number: Mapping[str, Any], label: str, unit: str) -> Tile:
    factor, digits = (100, 0) if unit == "%" else (1, 1 if unit else 3)

    def said(value: float) -> str:
        return f"{factor * value:.{digits}f}"

    if number["value"] is None:
        return Tile("-", label, number.get("reason", ""))
    ends = (number["low"], number["high"])
    detail = (
        number.get("reason", "") if None in ends else f"95 %: {said(ends[0])} to {said(ends[1])}"
    )
    return Tile(f"{said(number['value'])} {unit}".strip(), label, detail)


def _columns(tissues: Sequence[str]) -> list[Column]:
    columns = [
        Column("case", "Case", kind="case", about="Number of the patient, in cases.csv"),
        Column("level", "Level", kind="text", about="Vertebral level"),
        Column("status", "Status", kind="text", about="Whether the level was found"),
        Column("absolute_error_mm", "|Error|", "mm", about="Distance from the true level"),
        Column("error_mm", "Error", "mm", about="Found minus true, positive towards the head"),
        Column("confidence", "Confidence", digits=2, about="That the level is within 10 mm"),
    ]
    for key in tissues:
        title = SHORT_TITLES.get(key, tissue_by_key(key).title)
        columns += [
            Column(f"{key}_total_error_cm2", f"{title} error", "cm²", about="Measured minus true"),
            Column(f"{key}_slice_error_cm2", f"{title} slice", "cm²", about="The slice's part"),
            Column(
                f"{key}_segmentation_error_cm2",
                f"{title} segmentation",
                "cm²",
                about="The segmentation's part",
            ),
            Column(f"{key}_dice", f"{title} Dice", digits=3, about="At the true level"),
        ]
    return [*columns, Column("quality_flags", "Flags", kind="flags", about="Quality flags")]


# --- plots, a click on a point of which opens its case --------------------------------------------


def _plots(
    document: Mapping[str, Any], cases: Sequence[PageCase], tissues: Sequence[str]
) -> list[Plot]:
    """Return agreement of areas, errors of levels, and calibration; only those with points."""
    levels = document.get("end_to_end", {})
    plots: list[Plot] = []
    for level, section in levels.items():
        own = [case for case in cases if case.cells.get("level") == level]
        for key in tissues:
            if key in section["tissues"]:
                plots += _area_plots(level, key, section["tissues"][key]["area"], own)
    plots.append(_level_plot(cases))
    plots += _calibration_plots(document["slice_selection"]["cases"])
    return [plot for plot in plots if plot.points]


def _area_plots(
    level: str, key: str, area: Mapping[str, Any], cases: Sequence[PageCase]
) -> Iterator[Plot]:
    title = tissue_by_key(key).title
    pairs = [
        (case.key, float(true), float(true) + float(error))
        for case in cases
        if isinstance(true := case.cells.get(f"{key}_true_area_cm2"), float | int)
        and isinstance(error := case.cells.get(f"{key}_total_error_cm2"), float | int)
    ]
    lines = [
        PlotLine(area[name]["value"], label, dashed=name != "bias_cm2")
        for name, label in (
            ("bias_cm2", "bias"),
            ("lower_limit_cm2", "-1.96 SD"),
            ("upper_limit_cm2", "+1.96 SD"),
        )
        if area[name]["value"] is not None
    ]
    yield Plot(
        "bland_altman",
        f"{title} at {level}: difference from the truth",
        Axis("mean of measured and true area", "cm²"),
        Axis("measured minus true", "cm²"),
        [PlotPoint((true + found) / 2, found - true, name) for name, true, found in pairs],
        [PlotLine(0.0), *lines],
        "Points around 0 agree; dashed are the limits that 95 % of differences lie within.",
    )
    yield Plot(
        "scatter",
        f"{title} at {level}: measured against true",
        Axis("true area", "cm²"),
        Axis("measured area", "cm²"),
        [PlotPoint(true, found, name) for name, true, found in pairs],
        [PlotLine(0.0, "equal", slope=1.0)],
        "Points on the line agree.",
    )


def _level_plot(cases: Sequence[PageCase]) -> Plot:
    points = [
        PlotPoint(float(error), case=case.key)
        for case in cases
        if isinstance(error := case.cells.get("error_mm"), float | int)
    ]
    return Plot(
        "histogram",
        "Error of the level",
        Axis("found minus true", "mm"),
        Axis("cases"),
        points,
        [PlotLine(0.0, upright=True)],
        "Positive errors lie towards the head; levels that were not found are not in it.",
    )


def _calibration_plots(section: Mapping[str, Any]) -> Iterator[Plot]:
    scores = [
        PlotPoint(one["mean_true_mm"], one["mean_estimated_mm"], series=level)
        for level, bins in section["score_calibration"].items()
        for one in bins
        if one["n"]
    ]
    yield Plot(
        "calibration",
        "Scores of slices",
        Axis("true offset from the level", "mm"),
        Axis("offset by the network", "mm"),
        scores,
        [PlotLine(0.0, "equal", slope=1.0)],
        "Mean over the slices of every 10 mm. Scores saturate: far slices seem nearer.",
    )
    confidence = [
        PlotPoint(one["mean_confidence"], one["share_right"]["value"], label=f"{one['n']} levels")
        for one in section["confidence_calibration"]["bins"]
        if one["n"]
    ]
    yield Plot(
        "calibration",
        "Confidence",
        Axis("confidence", limits=(0.0, 1.0)),
        Axis("share within 10 mm", limits=(0.0, 1.0)),
        confidence,
        [PlotLine(0.0, "equal", slope=1.0)],
        "On the line, a confidence of 0.8 is right in 80 of 100 cases.",
    )
