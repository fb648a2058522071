"""Plots of an evaluation; a click on a point opens its case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bodycomp.anatomy import tissue_by_key
from bodycomp.report.page_content import Axis, PageCase, Plot, PlotLine, PlotPoint


def evaluation_plots(
    document: Mapping[str, Any], cases: Sequence[PageCase], tissues: Sequence[str]
) -> list[Plot]:
    """Return agreement of areas, errors of levels, and calibration; only those with points."""
    levels = document.get("end_to_end", {})
    plots: list[Plot] = []
    for level, section in levels.items():
        own = [case for case in cases if case.cells.get("level") == level]
        for key in tissues:
            if key in section["tissues"]:
                plots += _areas(level, key, section["tissues"][key]["area"], own)
    plots.append(_level_errors(cases))
    plots += _calibration(document["slice_selection"]["cases"])
    return [plot for plot in plots if plot.points]


def _areas(
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


def _level_errors(cases: Sequence[PageCase]) -> Plot:
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


def _calibration(section: Mapping[str, Any]) -> Iterator[Plot]:
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
