"""Which data set is prepared, and how: a class of options for each layout."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bodycomp.options import check_options, declare, option
from bodycomp.preparation.options import PrepareOptions, PrepareTask


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What all layouts take; ``out`` is as for ``PrepareOptions``.

    Raises:
        UsageError: A number is out of range, or ``out`` is no name of a folder.
    """

    folder: Path = field(
        metadata=declare("DIR", help="the data set as it was downloaded: a folder or a zip file")
    )
    out: Path = field(metadata=declare("OUT", help="folder to make"))
    licenses: Literal["all", "commercial"] = option(
        "all",
        "--licenses --licences",
        group="licenses",
        choices=("all", "commercial"),
        help="commercial leaves out cases whose license is not known to allow commercial use "
        "(default {default})",
    )
    license_table: Path | None = option(
        None,
        "--license-table --licence-table",
        metavar="LICENSES",
        help="CSV with columns collection and license: what you know of the licenses of images; "
        "counts before what the data set says",
    )
    jobs: int | None = option(
        None,
        "--jobs -j",
        group="more",
        metavar="N",
        at_least=1,
        help="processes (default: one per core)",
    )
    overwrite: bool = option(False, "--overwrite", help="replace a prepared set")

    def __post_init__(self) -> None:
        check_options(self)

    def preparing(self, task: PrepareTask) -> PrepareOptions:
        """Return the options of the preparation that follows."""
        return PrepareOptions(self.folder, self.out, task, jobs=self.jobs, overwrite=self.overwrite)


def _thinned() -> float | None:
    return option(
        None,
        "--spacing-mm",
        metavar="MM",
        positive=True,
        help="thin out thin series to about this distance (default: every slice)",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SarosOptions(SourceOptions):
    """SAROS, and what is made of it."""

    val_fold: int = option(
        5,
        "--val-fold",
        group="splits",
        metavar="FOLD",
        at_least=1,
        at_most=5,
        help="fold that becomes val; the others are train, and test stays test (default {default})",
    )
    rules_file: Path | None = option(
        None,
        "--rules",
        group="tissues and slices",
        metavar="RULES",
        help="YAML file of tissues by region and HU to use instead of the usual rules",
    )
    spacing_mm: float | None = _thinned()
    max_per_scan: int | None = option(
        None,
        "--max-per-scan",
        metavar="N",
        at_least=1,
        help="take at most so many slices of a scan, evenly spread",
    )
