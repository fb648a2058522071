"""Write docs/demo.md and docs/images/demo-agreement.png from a demo's evaluation.

``make demo-numbers`` runs the demo and then this; ``python docs/images/draw_demo.py DEMO`` this
alone.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bodycomp.anatomy import ABDOMINAL_TISSUES, DEFAULT_LEVEL

HERE = Path(__file__).parent
PAGE = HERE.parent / "demo.md"
PICTURE = HERE / "demo-agreement.png"
INK, QUIET = "#1c2430", "#647080"

Number = Mapping[str, Any]


def said(number: Number, digits: int, *, signed: bool = False, percent: bool = False) -> str:
    """Return a number with its interval; a dash with the reason where there is none."""
    if number["value"] is None:
        return f"– ({number['reason']})"

    def text(value: float) -> str:
        return f"{100 * value if percent else value:{'+' if signed else ''}.{digits}f}"

    interval = (
        "" if number["low"] is None else f" ({text(number['low'])} to {text(number['high'])})"
    )
    return f"{text(number['value'])}{' %' if percent else ''}{interval}"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def level_table(section: Mapping[str, Any]) -> str:
    """Return where L3 was found."""
    counts, metrics = section["counts"], section["metrics"]
    return table(
        ("L3", "found against true"),
        [
            ("found", f"{counts['present_found']} of {counts['present']} patients"),
            ("median distance", said(metrics["median_absolute_error_mm"], 1) + " mm"),
            ("mean distance", said(metrics["mean_absolute_error_mm"], 1) + " mm"),
            ("mean signed error", said(metrics["mean_error_mm"], 1, signed=True) + " mm"),
            ("within 5 mm", said(metrics["within_5_mm"], 0, percent=True)),
            ("within 10 mm", said(metrics["within_10_mm"], 0, percent=True)),
        ],
    )


def segmentation_table(tissues: Mapping[str, Any]) -> str:
    """Return how well segmentations fit at the true level."""
    return table(
        ("tissue", "Dice", "95 % Hausdorff, mm", "mean surface distance, mm"),
        [
            (
                tissue.title,
                said(tissues[tissue.key]["segmentation"]["mean_dice"], 3),
                said(tissues[tissue.key]["segmentation"]["mean_hausdorff95_mm"], 2),
                said(tissues[tissue.key]["segmentation"]["mean_surface_distance_mm"], 2),
            )
            for tissue in ABDOMINAL_TISSUES
        ],
    )


def area_table(tissues: Mapping[str, Any]) -> str:
    """Return how areas at the found level agree with those at the true one."""
    rows = []
    for tissue in ABDOMINAL_TISSUES:
        area, parts = tissues[tissue.key]["area"], tissues[tissue.key]["parts"]
        limits = [f"{area[f'{end}_limit_cm2']['value']:+.1f}" for end in ("lower", "upper")]
        rows.append(
            (
                tissue.title,
                said(area["bias_cm2"], 1, signed=True),
                " to ".join(limits),
                said(area["pearson"], 4),
                said(area["lin_concordance"], 4),
                said(area["icc_2_1"], 4),
                f"{parts['segmentation_mean_absolute_error_cm2']['value']:.1f}",
                f"{parts['slice_mean_absolute_error_cm2']['value']:.1f}",
            )
        )
    heads = ("tissue", "bias, cm2", "limits of agreement, cm2", "Pearson", "Lin", "ICC(2,1)")
    return table((*heads, "by the segmentation, cm2", "by the slice, cm2"), rows)


def draw(evaluation: Path, tissues: Mapping[str, Any]) -> None:
    """Draw measured against true areas, and their differences with the limits of agreement."""
    with (evaluation / "end_to_end.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["measured_area_cm2"]]
    figure = Figure((11, 6.4), layout="constrained")
    axes = figure.subplots(2, len(ABDOMINAL_TISSUES))
    for column, tissue in enumerate(ABDOMINAL_TISSUES):
        own = [row for row in rows if row["tissue"] == tissue.key]
        true = [float(row["true_area_cm2"]) for row in own]
        found = [float(row["measured_area_cm2"]) for row in own]
        color = tuple(part / 255 for part in tissue.color)
        _scatter(axes[0, column], true, found, color)
        axes[0, column].set_title(tissue.title, color=INK, fontsize=11, loc="left")
        _bland_altman(axes[1, column], true, found, color, tissues[tissue.key]["area"])
    axes[0, 0].set_ylabel("measured, cm²")
    axes[1, 0].set_ylabel("measured minus true, cm²")
    figure.savefig(PICTURE, dpi=110)


def _scatter(axes: Axes, true: list[float], found: list[float], color: tuple[float, ...]) -> None:
    ends = [0, 1.08 * max(true + found)]
    axes.plot(ends, ends, color=QUIET, linewidth=0.8)
    axes.scatter(true, found, s=26, color=color, edgecolor=INK, linewidth=0.5, zorder=2)
    axes.set(xlim=ends, ylim=ends, xlabel="true area, cm²", aspect="equal")
    _plain(axes)


def _bland_altman(
    axes: Axes,
    true: list[float],
    found: list[float],
    color: tuple[float, ...],
    area: Mapping[str, Number],
) -> None:
    means = [(a + b) / 2 for a, b in zip(true, found, strict=True)]
    differences = [b - a for a, b in zip(true, found, strict=True)]
    for name, style in (("bias", "-"), ("lower_limit", "--"), ("upper_limit", "--")):
        number = area[f"{name}_cm2"]
        axes.axhline(number["value"], color=QUIET, linewidth=1, linestyle=style)
        if number["low"] is not None:
            axes.axhspan(number["low"], number["high"], color=QUIET, alpha=0.14, linewidth=0)
    axes.scatter(means, differences, s=26, color=color, edgecolor=INK, linewidth=0.5, zorder=2)
    axes.set_xlabel("mean of both, cm²")
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=QUIET)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def main() -> None:
    """Write the page and its picture."""
    evaluation = Path(sys.argv[1]) / "evaluation"
    found = json.loads((evaluation / "evaluation.json").read_text())
    areas = found["end_to_end"][DEFAULT_LEVEL]
    draw(evaluation, areas["tissues"])
    text = (HERE / "demo.md.template").read_text()
    levels = found["slice_selection"]["cases"]
    for name, value in {
        "LEVEL": level_table(levels["levels"][DEFAULT_LEVEL]),
        "SEGMENTATION": segmentation_table(areas["tissues"]),
        "AREA": area_table(areas["tissues"]),
        "PATIENTS": str(areas["counts"]["cases"]),
        "MEASURED": str(areas["counts"]["measured"]),
        "RESAMPLES": f"{found['bootstrap']['resamples']:,}",
    }.items():
        text = text.replace(f"@{name}@", value)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
