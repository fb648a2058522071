"""``bodycomp analyze``: measure DICOM, NIfTI or NRRD with trained models."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bodycomp.cli.threads import share_cores
from bodycomp.networks.names import AUTO_ENGINE, ENGINES

if TYPE_CHECKING:
    from rich.table import Table

    from bodycomp.report.result_rows import Cell
    from bodycomp.study.options import AnalyzedSeries, StudyReport

DESCRIPTION = """\
Find every CT series in the inputs, find each vertebral level that the model knows, and measure
muscle, subcutaneous fat and visceral fat there.

INPUT is a folder (any nesting, any file names, several studies mixed), a zip file, a DICOMDIR, or a
single DICOM, NIfTI or NRRD file. Of each study the best axial series is measured. What is not
measured (localizers, reformats, too few slices, not CT, missing geometry) is listed with its
reason, and a level outside the scan is reported as absent.

DIR/results.csv   one row per series and level: area (cm2), mean, median, SD, IQR (HU) per tissue,
                  indices, girth, published cut-offs and quality flags (docs/measurements.md)
DIR/series.csv    every series of every study: its rank, and why it is measured or not
DIR/refused.csv   what was not measured, and why
DIR/report.html   all of it as a page to look at and to review; opens without network
DIR/run.json      settings, versions and models of the run, and how it ended
DIR/study-*/      per series: results.json, a preview picture, the masks as NIfTI, DICOM objects

For research only, not a medical device: look at the previews before you use a number."""

ROWS_SHOWN = 25
DICOM_OBJECTS = ("seg", "labelmap", "sr", "overlay")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``bodycomp``."""
    parser = subparsers.add_parser(
        "analyze",
        help="measure DICOM, NIfTI or NRRD with trained models",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "inputs",
        metavar="INPUT",
        type=Path,
        nargs="*",
        help="folder, zip, DICOMDIR, DICOM, NIfTI or NRRD file",
    )
    add(
        "--list",
        dest="input_list",
        metavar="CSV",
        type=Path,
        help="table of further inputs in its column 'input'; relative paths count from its folder",
    )
    add(
        "--models",
        "-m",
        metavar="DIR",
        type=Path,
        required=True,
        help="folder with slice-selection/ and segmentation/, each a model, the run folder of a "
        "training, or a Keras .hdf5 file",
    )
    add("--out", "-o", metavar="DIR", type=Path, required=True, help="folder for the results")
    add(
        "--range",
        dest="range_mm",
        metavar="MM",
        type=float,
        default=0.0,
        help="average over the slices within this height in mm, centred on the level "
        "(default 0: the nearest slice alone)",
    )
    add("--all-series", action="store_true", help="measure every series of a study, not the best")
    add(
        "--keep-identifiers",
        dest="identifiers",
        action="store_true",
        help="write patient ID, UIDs, study date, series descriptions and file paths into the "
        "tables, and patient and "
        "study into DICOM objects; without it everything has pseudonyms",
    )
    add(
        "--pseudonym-key",
        metavar="FILE",
        type=Path,
        help="key from which pseudonyms are made; the same key gives the same ones (default: "
        "DIR.pseudonym-key, made beside DIR at the first run)",
    )
    add(
        "--dicom",
        metavar="OBJECT",
        nargs="+",
        choices=DICOM_OBJECTS,
        default=[],
        help="also write DICOM objects: seg (segmentation), labelmap (the same as a label map), "
        "sr (measurements as a TID 1500 report, with its seg), overlay (a picture for viewers "
        "that show no segmentations)",
    )
    add(
        "--patients",
        metavar="CSV",
        type=Path,
        help="heights and sexes for indices and cut-offs, where the files do not give them: "
        "columns patient_id, study_uid or study, and height_m or height_cm, weight_kg, sex",
    )
    add(
        "--full",
        action="store_true",
        help="score every slice for the levels; without it some are scored first and then those "
        "where a level can be, which gives the same slices sooner",
    )
    add(
        "--intervals",
        action="store_true",
        help="segment six moved copies of each slice, too: an interval of each area that shows how "
        "well the network repeats itself",
    )
    add("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda or cuda:1")
    add(
        "--engine",
        choices=ENGINES,
        default=AUTO_ENGINE,
        help="how the networks are run: as they were trained (reference), with batch norms folded "
        "into convolutions (folded), the same in bfloat16 (bf16); auto takes the fastest",
    )
    add(
        "--workers",
        metavar="N",
        type=int,
        default=1,
        help="processes that read ahead while the networks work; each holds one volume (default 1; "
        "0 reads, measures and writes in turn)",
    )
    add(
        "--no-previews",
        dest="previews",
        action="store_false",
        help="write no pictures, which take longer than all other files together",
    )
    add(
        "--no-report",
        dest="report",
        action="store_false",
        help="write no report.html; bodycomp report DIR writes it later",
    )
    add("--parquet", action="store_true", help="also write results.parquet (needs pyarrow)")
    add(
        "--resume",
        action="store_true",
        help="go on with an interrupted or killed run in DIR: what is finished is kept, the tables "
        "become those of a run without interruption",
    )
    add("--overwrite", action="store_true", help="replace the results of an earlier run in DIR")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Analyse, print a summary, and fail if nothing could be analysed."""
    share_cores()
    from rich.console import Console

    from bodycomp.cli.progress import study_progress
    from bodycomp.review.session import refresh_reviewed
    from bodycomp.study.input_list import read_input_list
    from bodycomp.study.options import AnalyzeOptions, DicomObject
    from bodycomp.study.run import analyze_inputs

    listed = read_input_list(arguments.input_list) if arguments.input_list else ()
    options = AnalyzeOptions(
        inputs=(*arguments.inputs, *listed),
        models_dir=arguments.models,
        out_dir=arguments.out,
        range_mm=arguments.range_mm,
        device=arguments.device,
        engine=arguments.engine,
        all_series=arguments.all_series,
        identifiers=arguments.identifiers,
        patients=arguments.patients,
        score_all=arguments.full,
        intervals=arguments.intervals,
        overwrite=arguments.overwrite,
        dicom=frozenset(DicomObject(name) for name in arguments.dicom),
        pseudonym_key=arguments.pseudonym_key,
        resume=arguments.resume,
        workers=arguments.workers,
        parquet=arguments.parquet,
        previews=arguments.previews,
        report=arguments.report,
    )
    with study_progress() as progress:
        report = analyze_inputs(options, progress)
    refresh_reviewed(options.out_dir)
    console = Console()
    if report.analyzed:
        console.print(_table(report))
    for reason in _reasons(report):
        console.print(reason, highlight=False, markup=False)
    for refused in report.refused:
        console.print(f"refused: {refused.what}: {refused.reason}", highlight=False, markup=False)
    console.print(
        f"{len(report.analyzed)} series measured, {len(report.refused)} refused, "
        f"{len(report.not_chosen)} not chosen, {report.unreadable_count} files unreadable; "
        f"results in {report.out_dir}",
        highlight=False,
        markup=False,
    )
    return 0 if report.analyzed else 1


def _table(report: StudyReport) -> Table:
    """Return the levels of the first series as a table for the terminal, 78 characters wide."""
    from rich.table import Table

    from bodycomp.anatomy import ABDOMINAL_TISSUES

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
            area, density = (
                _number(row.get(f"{tissue.key}_{name}")) for name in ("area_cm2", "mean_hu")
            )
            cells.append(f"{area:>5} {density:>6}")
        table.add_row(*cells)
    return table


def _reasons(report: StudyReport) -> Iterator[str]:
    """Yield why levels of the table were not found, which no column is wide enough for."""
    for series, row in _rows(report)[:ROWS_SHOWN]:
        if row["reason"]:
            yield f"{series.study}, {row['level']} {row['status']}: {row['reason']}"


def _rows(report: StudyReport) -> list[tuple[AnalyzedSeries, Mapping[str, Cell]]]:
    return [(series, row) for series in report.analyzed for row in series.rows]


def _number(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else "-"
