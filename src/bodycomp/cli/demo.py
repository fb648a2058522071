"""``bodycomp demo``: everything on synthetic patients."""

from __future__ import annotations

from pathlib import Path

from bodycomp.cli.option_parser import Command
from bodycomp.demo.options import DemoOptions

DESCRIPTION = """\
Make a cohort of synthetic patients, train both networks on some of them, measure the others from
their DICOM files, and compare with the truth. Takes about 15 minutes on two cores, 6 GB of memory
at most, and 6 GB of disk. Everything lands in OUT; the summary says where to look."""


def run(options: DemoOptions) -> int:
    """Run the demo and print how well the results agree with the truth."""
    from bodycomp.cli.evaluate_summary import print_summary
    from bodycomp.cli.terminal import say
    from bodycomp.interface.runs import demo

    print_summary(*demo.run(options))
    say(_where_to_look(options.folder))
    return 0


def _where_to_look(folder: Path) -> str:
    return (
        "\nlook next at\n"
        f"  {folder}/evaluation/report.html    found against true: open it in a browser\n"
        f"  {folder}/results/report.html       what an analysis gives, to look at and to review\n"
        f"  {folder}/results/results.csv       all measurements\n"
        f"  {folder}/models/*/curves.png       learning curves\n"
        f"  {folder}/models/*/examples.png     best and worst validation cases\n"
        "then measure a real CT\n"
        f"  bodycomp analyze path/to/dicom --models {folder}/models --out measured"
    )


COMMAND = Command(options=(DemoOptions,), run=run, description=DESCRIPTION)
