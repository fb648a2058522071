"""The folder of an analysis -> one page to look at its cases and to review them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bodycomp.analysis.quality_flags import FLAG_KINDS
from bodycomp.anatomy import ALL_TISSUES
from bodycomp.digests import key_of
from bodycomp.errors import InputNotFoundError
from bodycomp.report.case_view import case_name
from bodycomp.report.page_content import (
    Axis,
    PageCase,
    PageContent,
    Plot,
    PlotPoint,
    Tile,
    analysis_columns,
)
from bodycomp.report.result_rows import CORRECTED, cell_from
from bodycomp.report.review_page import write_review_page
from bodycomp.results import LevelStatus
from bodycomp.study.measured_run import CaseKey
from bodycomp.study.options import REFUSED_NAME, REPORT_NAME, RESULTS_NAME
from bodycomp.study.out_folder import CORRECTED_NAME, REVIEWED_NAME
from bodycomp.study.run_manifest import MANIFEST_NAME, read_run_manifest
from bodycomp.tables import Cell

_CLOSE_LOOK: Final = 0.5
"""Below this confidence a level counts among those to look at."""


def write_analysis_page(out_dir: Path, path: Path | None = None) -> Path:
    """Write the page of a finished or interrupted analysis, ``report.html`` in its folder if None.

    Raises:
        InputNotFoundError: There are no results in the folder.
        OutputError: Results that cannot be read.
    """
    manifest = read_run_manifest(out_dir / MANIFEST_NAME)
    path = path or out_dir / REPORT_NAME
    write_review_page(path, _content(out_dir, manifest, _cases(out_dir)))
    return path


def _content(out_dir: Path, manifest: Mapping[str, Any], cases: list[PageCase]) -> PageContent:
    settings = manifest["settings"]
    keys = [t.key for t in ALL_TISSUES if cases and f"{t.key}_area_cm2" in cases[0].cells]
    refused = _rows(out_dir / REFUSED_NAME) if (out_dir / REFUSED_NAME).is_file() else []
    return PageContent(
        kind="analysis",
        title="Body composition: results of an analysis",
        run_id=_run_id(settings),
        subtitle=_subtitle(manifest),
        tiles=_tiles(cases, refused),
        cards=manifest.get("model_cards", {}),
        cases=cases,
        columns=analysis_columns(keys or ["muscle"]),
        plots=_plots(cases),
        flag_rules={kind.key: kind.rule for kind in FLAG_KINDS},
        notices=_notices(manifest, cases),
    )


def _notices(manifest: Mapping[str, Any], cases: Sequence[PageCase]) -> list[str]:
    notices = []
    state = manifest.get("state", "unknown")
    if state != "complete":
        notices.append(f"The run is {state}: the page shows what it had measured.")
    corrected = sum(bool(case.cells.get(CORRECTED)) for case in cases)
    if corrected:
        notices.append(f"People corrected {corrected} of the cases; they are shown as corrected.")
    if cases and all(case.path is None for case in cases):
        notices.append("No pictures were kept, as with --no-previews.")
    return notices


def _cases(out_dir: Path) -> list[PageCase]:
    """Return every case as it counts: with what people corrected, if they did."""
    reviewed = out_dir / REVIEWED_NAME
    corrected = [row for row in _rows(reviewed) if row.get(CORRECTED)] if reviewed.is_file() else []
    in_effect = {tuple(row[name] for name in CaseKey._fields): row for row in corrected}
    cases = []
    for row in _rows(out_dir / RESULTS_NAME):
        case = CaseKey(*(str(row.get(name)) for name in CaseKey._fields))
        folder = out_dir / case.study / case.series
        cells = row
        if case in in_effect:
            cells = {name: in_effect[case].get(name) for name in (*row, CORRECTED)}
            folder = folder / CORRECTED_NAME / case.level
        file = folder / case_name(case.level)
        cases.append(PageCase(cells, file if file.is_file() else None))
    return cases


def _rows(path: Path) -> list[dict[str, Cell]]:
    if not path.is_file():
        raise InputNotFoundError(f"expected {path.name} in {path.parent}, found none")
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {name: cell_from(name, text or "") for name, text in row.items() if name}
            for row in csv.DictReader(file)
        ]


def _run_id(settings: Mapping[str, Any]) -> str:
    """Return what distinguishes runs that could give a case different results."""
    return key_of(json.dumps(settings, sort_keys=True))


def _subtitle(manifest: Mapping[str, Any]) -> str:
    models = manifest["settings"].get("models", {})
    day = str(manifest.get("started", ""))[:10]
    version = manifest.get("software", {}).get("version", "")
    named = [f"{role.replace('_', ' ')} {digest}" for role, digest in models.items()]
    return f"Analysed on {day} by bodycomp {version} with the models {' and '.join(named)}."


def _tiles(cases: Sequence[PageCase], refused: Sequence[Mapping[str, Cell]]) -> list[Tile]:
    rows = [case.cells for case in cases]
    status = Counter(row.get("status") for row in rows)
    sure = (row.get("confidence") for row in rows)
    unsure = sum(isinstance(each, float | int) and each < _CLOSE_LOOK for each in sure)
    flagged = sum(bool(row.get("quality_flags")) for row in rows)
    uncertain = status[LevelStatus.UNCERTAIN]
    not_measured = sum(row.get("kind") not in ("localizer", "not chosen") for row in refused)
    return [
        Tile(f"{len({row.get('study') for row in rows}):,}", "studies"),
        Tile(f"{status[LevelStatus.FOUND]:,} of {len(rows):,}", "levels found"),
        Tile(f"{uncertain:,}", "levels uncertain", tone="error" if uncertain else ""),
        Tile(f"{status[LevelStatus.ABSENT]:,}", "levels absent"),
        Tile(f"{unsure:,}", "found, confidence below 0.5", tone="warning" if unsure else ""),
        Tile(f"{flagged:,}", "with quality flags", tone="warning" if flagged else ""),
        Tile(f"{not_measured:,}", "series refused", f"reasons in {REFUSED_NAME}"),
    ]


def _plots(cases: Sequence[PageCase]) -> list[Plot]:
    """Return what shows outliers: cases that lie apart deserve a look."""
    axes = Axis("muscle area", "cm²"), Axis("muscle attenuation", "HU")
    points = _points(cases, "muscle_area_cm2", "muscle_mean_hu")
    words = "Points far from the others are often a wrong level or a wrong segmentation."
    plots = [Plot("scatter", "Muscle: area and attenuation", *axes, points, sentence=words)]
    axes = Axis("subcutaneous fat area", "cm²"), Axis("visceral fat area", "cm²")
    points = _points(cases, "subcutaneous_fat_area_cm2", "visceral_fat_area_cm2")
    words = "Each point is one level of one series."
    plots.append(Plot("scatter", "Fat: subcutaneous and visceral", *axes, points, sentence=words))
    axes = Axis("confidence", limits=(0.0, 1.0)), Axis("cases")
    points = _points(cases, "confidence")
    words = "That a level that was found lies within 10 mm of where it was placed, as probability."
    plots.append(Plot("histogram", "Confidence of the level", *axes, points, sentence=words))
    return [plot for plot in plots if plot.points]


def _points(cases: Sequence[PageCase], x: str, y: str = "") -> list[PlotPoint]:
    points = []
    for case in cases:
        across, up = case.cells.get(x), case.cells.get(y, 0.0)
        if isinstance(across, float | int) and isinstance(up, float | int):
            points.append(PlotPoint(float(across), float(up), case.key))
    return points
