"""``bodycomp demo``: the whole road on synthetic patients."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from bodycomp.demo.comparison import Agreement

DESCRIPTION = """\
Make a cohort of synthetic patients, train both networks on some of them, measure the others from
their DICOM files, and compare with the truth. Takes about 15 minutes on two cores, 6 GB of memory
at most, and 6 GB of disk. Everything lands in OUT; the summary says where to look."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``bodycomp``."""
    parser = subparsers.add_parser(
        "demo",
        help="the whole road on synthetic patients, in about 15 minutes",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    parser.add_argument("--seed", type=int, default=0, help="seed of cohort and trainings")
    parser.add_argument(
        "--patients",
        type=int,
        nargs=3,
        metavar=("TRAIN", "VAL", "TEST"),
        default=(36, 6, 12),
        help="patients to train on, to choose the best epoch with, and to measure (36 6 12)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=None,
        help="time for the trainings, side by side (default: what fits in 15 minutes altogether)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a folder with content")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and print how well the results agree with the truth."""
    from rich.console import Console

    from bodycomp.cli.progress import progress_bar, study_progress, training_progress
    from bodycomp.demo import DemoOptions, run_demo
    from bodycomp.demo.run import DemoProgress

    options = DemoOptions(
        folder=arguments.out,
        seed=arguments.seed,
        patients=tuple(arguments.patients),
        training_minutes=arguments.minutes,
        overwrite=arguments.overwrite,
    )
    bars = DemoProgress(
        lambda count: progress_bar("patients", count), training_progress, study_progress
    )
    agreement = run_demo(options, bars)
    console = Console()
    console.print(_patient_table(agreement))
    console.print(_tissue_table(agreement))
    console.print(_where_to_look(agreement, options.folder), highlight=False, markup=False)
    return 0


def _patient_table(agreement: Agreement) -> Table:
    from rich.table import Table

    from bodycomp.anatomy import ABDOMINAL_TISSUES

    table = Table(title="Patients that the networks never saw")
    table.add_column("patient")
    table.add_column("L3")
    table.add_column("error\nmm", justify="right")
    for tissue in ABDOMINAL_TISSUES:
        table.add_column(f"{tissue.title}\ncm2 (true)", justify="right")
    for patient in agreement.patients:
        cells = [patient.patient, patient.status, _signed(patient.level_error_mm)]
        for tissue in ABDOMINAL_TISSUES:
            found, true = patient.area_cm2.get(tissue.key), patient.true_area_cm2[tissue.key]
            cells.append(f"{'-' if found is None else f'{found:.1f}'} ({true:.1f})")
        table.add_row(*cells)
    return table


def _tissue_table(agreement: Agreement) -> Table:
    from rich.table import Table

    from bodycomp.anatomy import tissue_by_key

    table = Table(title="Agreement with the truth")
    for heading in ("tissue", "Dice at true L3\nmean", "\nsmallest", "areas\nr", "\nbias, cm2"):
        table.add_column(heading, justify="left" if heading == "tissue" else "right")
    for tissue in agreement.tissues:
        table.add_row(
            tissue_by_key(tissue.tissue).title,
            _decimals(tissue.mean_dice),
            _decimals(tissue.smallest_dice),
            _decimals(tissue.area_correlation, 4),
            _signed(tissue.mean_area_error_cm2),
        )
    return table


def _where_to_look(agreement: Agreement, folder: Path) -> str:
    count = len(agreement.patients)
    return (
        f"L3 found in {agreement.found} of {count} patients, within 10 mm in {agreement.near}, "
        f"median error {_decimals(agreement.median_error_mm, 1)} mm\n\n"
        "look next at\n"
        f"  {folder}/results/study-*/*/preview-L3.png   each patient: slice, overlay, level\n"
        f"  {folder}/models/*/curves.png                learning curves\n"
        f"  {folder}/models/*/examples.png              best and worst validation cases\n"
        f"  {folder}/results/results.csv                all measurements\n"
        f"then measure a real CT\n"
        f"  bodycomp analyze path/to/dicom --models {folder}/models --out measured"
    )


def _decimals(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f}"
