"""The folder of a training run -> one page: curves, numbers of the test split, card, examples."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bodycomp.errors import InputNotFoundError, OutputError
from bodycomp.report.learning_curves import Panel, curve_label, curve_of, number, shown_panels
from bodycomp.report.model_card_numbers import name_for_people
from bodycomp.report.page_content import (
    Axis,
    PageContent,
    PagePicture,
    Plot,
    PlotLine,
    PlotPoint,
    Tile,
)
from bodycomp.report.review_page import write_review_page
from bodycomp.training.run_folder import RunFolder

PAGE_NAME: Final = "report.html"
CARD_NAME: Final = "card.json"


def is_run_folder(path: Path) -> bool:
    """Whether a folder is that of a training run, finished or not."""
    run = RunFolder(path)
    return run.args.is_file() and run.manifest.is_file()


def write_run_page(folder: Path, path: Path | None = None) -> Path:
    """Write the page of a training run, finished or interrupted.

    Args:
        folder: What a training made in its ``MODEL_OUTPUT_DIR``.
        path: The page; ``report.html`` in the folder if None. Replaced if there.

    Raises:
        InputNotFoundError: No epoch has been evaluated yet.
        OutputError: A file of the run cannot be read.
    """
    run = RunFolder(folder)
    if not run.metrics.is_file():
        raise InputNotFoundError(
            f"expected {run.metrics.name} in {folder}, found none",
            hint="It is there once the first epoch has been evaluated.",
        )
    path = path or folder / PAGE_NAME
    write_review_page(path, _content(run))
    return path


def _content(run: RunFolder) -> PageContent:
    manifest = _json(run.manifest)
    task = str(manifest.get("task", "")).replace("_", " ")
    with run.metrics.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    card = _json(run.model / CARD_NAME)
    return PageContent(
        kind="training",
        title=f"Training for {task}" if task else "A training",
        run_id=str(manifest.get("started", "")),
        subtitle=_subtitle(manifest),
        tiles=_tiles(manifest, _json(run.test_metrics)),
        cards={task: card} if card else {},
        plots=_plots(rows, number(manifest.get("best_epoch"))),
        pictures=_pictures(run),
        notices=_notices(manifest),
    )


def _json(path: Path) -> Mapping[str, Any]:
    """Return the content of a file; nothing if it is not there, as before a training's end."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path.name}: expected JSON, found something else") from error
    return content if isinstance(content, dict) else {}


def _subtitle(manifest: Mapping[str, Any]) -> str:
    sizes = manifest.get("data", {}).get("sizes", {})
    counts = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    version = manifest.get("versions", {}).get("bodycomp", "")
    parts = (f"bodycomp {version}", str(manifest.get("device", "")), f"samples: {counts}")
    return f"{str(manifest.get('started', ''))[:10]}: {'; '.join(part for part in parts if part)}."


def _notices(manifest: Mapping[str, Any]) -> list[str]:
    state = manifest.get("exit_state", "unknown")
    ended = [] if state == "finished" else [f"The training is {state}: this is what there was."]
    return ended + [str(warning) for warning in manifest.get("warnings", ())]


def _tiles(manifest: Mapping[str, Any], test: Mapping[str, Any]) -> list[Tile]:
    best, wall_s = manifest.get("best_epoch"), number(manifest.get("wall_s"))
    tiles = [] if best is None else [Tile(str(best), "best epoch")]
    tiles += [
        Tile(_metric(name, value), f"{name_for_people(name)}, test split")
        for name, value in test.items()
        if number(value) is not None and not name.startswith("image_")
    ]
    if wall_s is not None:
        tiles.append(Tile(f"{wall_s / 60:.1f} min", "training"))
    return tiles


def _metric(name: str, value: float) -> str:
    """Return a value with its unit, which the column's name has.

    >>> _metric("error_mm", 1.62), _metric("dice_mean", 0.98594)
    ('1.6 mm', '0.986')
    """
    return f"{value:.1f} mm" if "_mm" in name else f"{value:.3f}"


def _plots(rows: Sequence[Mapping[str, Any]], best_epoch: float | None) -> list[Plot]:
    best = () if best_epoch is None else (PlotLine(best_epoch, "best", upright=True, dashed=True),)
    return [_plot(rows, panel, columns, best) for panel, columns in shown_panels(rows)]


def _plot(
    rows: Sequence[Mapping[str, Any]],
    panel: Panel,
    columns: Sequence[str],
    lines: tuple[PlotLine, ...],
) -> Plot:
    points = [
        PlotPoint(epoch, value, series=curve_label(column))
        for column in columns
        for epoch, value in curve_of(rows, column)
    ]
    logarithmic = panel.scale == "log" and all(point.y > 0 for point in points)
    if logarithmic:  # an annealed rate near 0 is cut off
        lowest = max(point.y for point in points) * 10**-panel.decades
        points = [point for point in points if point.y >= lowest]
    y = Axis(panel.unit, logarithmic=logarithmic)
    return Plot("curves", panel.title, Axis("epoch"), y, points, lines)


def _pictures(run: RunFolder) -> list[PagePicture]:
    if not run.examples.is_file():
        return []
    about = "Cases of the validation split, best and worst, at the best epoch."
    return [PagePicture("Examples", run.examples, about)]
