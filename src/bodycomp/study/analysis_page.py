"""The folder of an analysis -> one page to look at its cases and to review them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Final

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
from bodycomp.report.review_page import review_priority, write_review_page
from bodycomp.results import LevelStatus
from bodycomp.study.measured_run import CaseKey
from bodycomp.study.options import REFUSED_NAME, REPORT_NAME, RESULTS_NAME
from bodycomp.study.out_folder import CORRECTED_NAME, REVIEWED_NAME
from bodycomp.study.run_manifest import MANIFEST_NAME, read_run_manifest
from bodycomp.tables import Cell

_CLOSE_LOOK: Final = 0.5
"""Below this confidence a level counts among those to look at."""


CASES_OF_A_PAGE: Final = 1000
"""More go on further pages, those to review first on the first one."""


def write_analysis_page(out_dir: Path, path: Path | None = None, *, saves: bool = False) -> Path:
    """Write the page of a finished or interrupted analysis, ``report.html`` in its folder if None.

    Of many cases the first page has those to review first, and links to ``report-002.html`` ...
    One that ``saves`` is for ``bodycomp review serve``.

    Raises:
        InputNotFoundError: There are no results in the folder.
        OutputError: Results that cannot be read.
    """
    manifest = read_run_manifest(out_dir / MANIFEST_NAME)
    path = path or out_dir / REPORT_NAME
    cases = _Cases(out_dir)
    summary = _Summary()
    priorities = [summary.add(case) for case in cases]
    for refused in _rows(out_dir / REFUSED_NAME) if (out_dir / REFUSED_NAME).is_file() else ():
        summary.add_refused(refused)
    order = sorted(range(len(priorities)), key=lambda place: -priorities[place])
    starts = range(0, max(len(order), 1), CASES_OF_A_PAGE)
    names = [path, *(further_page(path, number) for number in range(2, len(starts) + 1))]
    for number, (name, start) in enumerate(zip(names, starts, strict=True), start=1):
        shown = cases.at(sorted(order[start : start + CASES_OF_A_PAGE]))
        content = _content(manifest, shown, summary, number)
        links = tuple(each.name for each in names) if len(names) > 1 else ()
        write_review_page(name, replace(content, pages=links, page=number), saves=saves)
    for old in path.parent.glob(further_page(path, None).name):
        if old not in names:
            old.unlink()
    return path


def further_page(path: Path, number: int | None) -> Path:
    """Return where a page after the first one lies, or the pattern of all of them.

    >>> further_page(Path("report.html"), 2).name
    'report-002.html'
    """
    digits = "[0-9][0-9][0-9]*" if number is None else f"{number:03}"
    return path.with_name(f"{path.stem}-{digits}{path.suffix}")


def _content(
    manifest: Mapping[str, Any], cases: list[PageCase], summary: _Summary, number: int
) -> PageContent:
    settings = manifest["settings"]
    keys = [t.key for t in ALL_TISSUES if cases and f"{t.key}_area_cm2" in cases[0].cells]
    return PageContent(
        kind="analysis",
        title="Body composition: results of an analysis",
        run_id=_run_id(settings) + (f"-{number}" if number > 1 else ""),
        subtitle=_subtitle(manifest),
        tiles=summary.tiles(),
        cards=manifest.get("model_cards", {}),
        cases=cases,
        columns=analysis_columns(keys or ["muscle"]),
        plots=_plots(cases),
        flag_rules={kind.key: kind.rule for kind in FLAG_KINDS},
        notices=_notices(manifest, cases, summary),
    )


def _notices(
    manifest: Mapping[str, Any], cases: Sequence[PageCase], summary: _Summary
) -> list[str]:
    notices = []
    state = manifest.get("state", "unknown")
    if state != "complete":
        notices.append(f"The run is {state}: the page shows what it had measured.")
    if summary.corrected:
        notices.append(
            f"People corrected {summary.corrected} of the cases; they are shown as corrected."
        )
    if cases and all(case.path is None for case in cases):
        notices.append("No pictures were kept, as with --no-previews.")
    return notices


class _Cases:
    """Every case as it counts: with what people corrected, if they did; read when asked for."""

    def __init__(self, out_dir: Path) -> None:
        self._out_dir = out_dir
        self._path = out_dir / RESULTS_NAME
        reviewed = out_dir / REVIEWED_NAME
        rows = _rows(reviewed) if reviewed.is_file() else ()
        self._in_effect = {_key(row): row for row in rows if row.get(CORRECTED)}
        self._starts: list[int] = []

    def __iter__(self) -> Iterator[PageCase]:
        for start, row in _placed_rows(self._path):
            self._starts.append(start)
            yield self._case(row)

    def at(self, places: Iterable[int]) -> list[PageCase]:
        """Return cases by their places in the table, which was gone through before."""
        with self._path.open("rb") as file:
            names = next(_records(file))
            cases = []
            for place in places:
                file.seek(self._starts[place])
                cases.append(self._case(_typed(names, next(_records(file)))))
        return cases

    def _case(self, row: dict[str, Cell]) -> PageCase:
        case, cells = _key(row), row
        folder = self._out_dir / case.study / case.series
        if case in self._in_effect:
            cells = {name: self._in_effect[case].get(name) for name in (*row, CORRECTED)}
            folder = folder / CORRECTED_NAME / case.level
        file = folder / case_name(case.level)
        return PageCase(cells, file if file.is_file() else None)


def _key(row: Mapping[str, Cell]) -> CaseKey:
    return CaseKey(*(str(row.get(name)) for name in CaseKey._fields))


def _rows(path: Path) -> Iterator[dict[str, Cell]]:
    return (row for _, row in _placed_rows(path))


def _placed_rows(path: Path) -> Iterator[tuple[int, dict[str, Cell]]]:
    """Yield each row of a table, and where it begins in the file."""
    if not path.is_file():
        raise InputNotFoundError(f"expected {path.name} in {path.parent}, found none")
    with path.open("rb") as file:
        lines = _CountedLines(file)
        table = csv.reader(lines)
        names = next(table, [])
        start = lines.passed
        for cells in table:
            yield start, _typed(names, cells)
            start = lines.passed


class _CountedLines:
    """The lines of a file as text, and the bytes of those that were taken."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.passed = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.passed += len(line)
            yield line.decode("utf-8")


def _records(file: IO[bytes]) -> Iterator[list[str]]:
    return csv.reader(line.decode("utf-8") for line in file)


def _typed(names: Sequence[str], cells: Sequence[str]) -> dict[str, Cell]:
    return {name: cell_from(name, text) for name, text in zip(names, cells, strict=False)}


def _run_id(settings: Mapping[str, Any]) -> str:
    """Return what distinguishes runs that could give a case different results."""
    return key_of(json.dumps(settings, sort_keys=True))


def _subtitle(manifest: Mapping[str, Any]) -> str:
    models = manifest["settings"].get("models", {})
    day = str(manifest.get("started", ""))[:10]
    version = manifest.get("software", {}).get("version", "")
    named = [f"{role.replace('_', ' ')} {digest}" for role, digest in models.items()]
    return f"Analysed on {day} by bodycomp {version} with the models {' and '.join(named)}."


@dataclass
class _Summary:
    """Counts over all cases, whatever page they are on."""

    cases: int = 0
    studies: set[str] = field(default_factory=set)
    status: Counter[Cell] = field(default_factory=Counter)
    unsure: int = 0
    flagged: int = 0
    corrected: int = 0
    not_measured: int = 0

    def add(self, case: PageCase) -> float:
        """Count a case; return how soon it is to be reviewed."""
        row = case.cells
        sure = row.get("confidence")
        self.cases += 1
        self.studies.add(str(row.get("study")))
        self.status[row.get("status")] += 1
        self.unsure += isinstance(sure, float | int) and sure < _CLOSE_LOOK
        self.flagged += bool(row.get("quality_flags"))
        self.corrected += bool(row.get(CORRECTED))
        return review_priority(row)

    def add_refused(self, row: Mapping[str, Cell]) -> None:
        """Count a series that was not measured, unless nobody expects it to be."""
        self.not_measured += row.get("kind") not in ("localizer", "not chosen")

    def tiles(self) -> list[Tile]:
        """Return the counts as the page shows them."""
        status, uncertain = self.status, self.status[LevelStatus.UNCERTAIN]
        unsure, flagged = self.unsure, self.flagged
        return [
            Tile(f"{len(self.studies):,}", "studies"),
            Tile(f"{status[LevelStatus.FOUND]:,} of {self.cases:,}", "levels found"),
            Tile(f"{uncertain:,}", "levels uncertain", tone="error" if uncertain else ""),
            Tile(f"{status[LevelStatus.ABSENT]:,}", "levels absent"),
            Tile(f"{unsure:,}", "found, confidence below 0.5", tone="warning" if unsure else ""),
            Tile(f"{flagged:,}", "with quality flags", tone="warning" if flagged else ""),
            Tile(f"{self.not_measured:,}", "series refused", f"reasons in {REFUSED_NAME}"),
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
