"""Which scans are compared, and what is written of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bodycomp.errors import UsageError
from bodycomp.options import check_options, declare, option


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """Runs, whose scans in them are compared, and where that is written.

    Raises:
        UsageError: No run is named, or a value is out of range.
    """

    runs: tuple[Path, ...] = field(
        metadata=declare("RUN", help="folders that bodycomp analyze left, with one pseudonym key")
    )
    out: Path = field(metadata=declare("--out -o", metavar="OUT", help="folder for the results"))
    patient: tuple[str, ...] = option(
        (),
        "--patient",
        metavar="PATIENT",
        help="pseudonyms, as in the column 'patient' of series.csv (default: everybody who was "
        "scanned twice)",
    )
    scans: Path | None = option(
        None,
        "--scans",
        metavar="FILE",
        help="table with the columns study, patient and date (or day, a number) of scans whose "
        "files do not say whose they are and when, and of runs with different keys",
    )
    series: tuple[str, ...] = option(
        (),
        "--series",
        metavar="SERIES",
        help="series to take of studies with several (default: the first of each study)",
    )
    level: tuple[str, ...] = option(
        (), "--level", metavar="LEVEL", help="compare these levels alone (default: all)"
    )
    repeatability: Path | None = option(
        None,
        "--repeatability",
        metavar="FILE",
        help="how well your models repeat a measurement, in place of what ships",
    )
    dicom: tuple[str, ...] = option(
        (),
        "--dicom",
        metavar="OBJECT",
        choices=("sr",),
        help="sr: also write a structured report; the runs must have been made with --dicom sr",
    )
    overwrite: bool = option(False, "--overwrite", help="replace OUT if it is there")

    def __post_init__(self) -> None:
        if not self.runs:
            raise UsageError(
                "expected runs to compare, found none",
                hint="Name the folders that bodycomp analyze left.",
            )
        check_options(self)
