"""``bodycomp analyze``: measure DICOM, NIfTI or NRRD with trained models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bodycomp.cli.option_parser import Command
from bodycomp.cli.terminal import share_cores
from bodycomp.study.options import AnalyzeOptions

if TYPE_CHECKING:
    from rich.table import Table

    from bodycomp.study.options import AnalyzedSeries, StudyReport
    from bodycomp.tables import Cell

DESCRIPTION = """\
Find every CT series in the inputs, find each vertebral level that the model knows, and measure
muscle, subcutaneous fat and visceral fat there.

INPUT is a folder (any nesting, any file names, several studies mixed), a zip file, a DICOMDIR, or a
single DICOM, NIfTI or NRRD file. Of each study the best axial series is measured. What is not
measured (localizers, reformats, too few slices, not CT, missing geometry) is listed with its
reason, and a level outside the scan is reported as absent.

DIR/results.csv   one row per series and level: area (cm2), mean, median, SD, IQR (HU) per tissue,
                  indices, cut-offs, waist circumference and quality flags (docs/measurements.md)
DIR/series.csv    every series of every study: its rank, and why it is measured or not
DIR/refused.csv   what was not measured, and why
DIR/report.html   all of it as a page to look at and to review; opens without network
DIR/run.json      settings, versions and models of the run, and how it ended
DIR/study-*/      per series: results.json, a preview picture, the masks as NIfTI, report.pdf
                  (--pdf), DICOM objects; per study: fhir.json (--fhir, docs/fhir.md)

For research only, not a medical device: look at the previews before you use a number."""

ROWS_SHOWN = 25


def run(options: AnalyzeOptions) -> int:
    """Analyse, print a summary, and fail if nothing could be analysed."""
    share_cores()
    from rich.console import Console

    from bodycomp.cli.terminal import say
    from bodycomp.interface.runs import analyze

    report = analyze.run(options, progress=True)
    if report.analyzed:
        Console().print(_table(report))
    say(
        *_reasons(report),
        *(f"refused: {refused.what}: {refused.reason}" for refused in report.refused),
        str(report),
    )
    return 0 if report.analyzed else 1


def _table(report: StudyReport) -> Table:
    """Return the levels of the first series as a table for the terminal, 78 characters wide."""
    from rich.table import Table

    from bodycomp.anatomy import ABDOMINAL_TISSUES
    from bodycomp.cli.terminal import decimal

    rows = _rows(report)
    present = [t for t in ABDOMINAL_TISSUES if any(f"{t.key}_area_cm2" in row for _, row in rows)]
    title = f"first {ROWS_SHOWN} of {len(rows)}" if len(rows) > ROWS_SHOWN else None
    table = Table(title=title, box=None, padding=(0, 1), pad_edge=False)
    for heading in ("study", "level", "status"):
        table.add_column(heading, no_wrap=True, vertical="bottom")
    for tissue in present:
        words = tissue.title.replace(" ", "\n")
        table.add_column(f"{words}\ncm2     HU", justify="right", no_wrap=True, vertical="bottom")
    for series, row in rows[:ROWS_SHOWN]:
        cells = [series.study, str(row["level"]), str(row["status"])]
        for tissue in present:
            area, attenuation = (
                decimal(row.get(f"{tissue.key}_{name}")) for name in ("area_cm2", "mean_hu")
            )
            cells.append(f"{area:>5} {attenuation:>6}")
        table.add_row(*cells)
    return table


def _reasons(report: StudyReport) -> Iterator[str]:
    """Yield why levels of the table were not found, which no column is wide enough for."""
    for series, row in _rows(report)[:ROWS_SHOWN]:
        if row["reason"]:
            yield f"{series.study}, {row['level']} {row['status']}: {row['reason']}"


def _rows(report: StudyReport) -> list[tuple[AnalyzedSeries, Mapping[str, Cell]]]:
    return [(series, row) for series in report.analyzed for row in series.rows]


COMMAND = Command(options=(AnalyzeOptions,), run=run, description=DESCRIPTION)
