"""Where to look for slices to annotate next, and what was suggested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bodycomp.errors import UsageError
from bodycomp.level_names import check_levels
from bodycomp.networks.names import AUTO_ENGINE, ENGINES
from bodycomp.options import check_options, declare, option
from bodycomp.study.options import RefusedSeries
from bodycomp.tables import Cell

TABLE_NAME: Final = "suggestions.csv"
CASES_NAME: Final = "cases.yaml"
SLICES_FOLDER: Final = "slices"
SCAN_NAME: Final = "scan.nii.gz"
START_NAME: Final = "start.nii.gz"
OUTLINE_NAME: Final = "outline.nii.gz"
"""In the folder of a suggestion: the slice with its neighbors, what the model says of it, and what
a person makes of that, which is not there until they do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestOptions:
    """Options of ``suggest``; each is described beside its field.

    Raises:
        UsageError: A number is out of range, a name is no level, or options exclude each other.
    """

    scans: Path = field(
        metadata=declare("SCANS", help="folder, zip, DICOM, NIfTI or NRRD file of CT scans")
    )
    out: Path = field(metadata=declare("OUT", help="folder for what is suggested"))
    models: tuple[Path, ...] = option(
        (),
        "--models -m",
        metavar="DIR",
        help="folders of models, or names that 'bodycomp models' lists (default: as for analyze); "
        "of several the first gives the outlines to start from; the first with a level finder "
        "finds the levels, else the default models do",
    )
    count: int = option(
        10, "--count -n", metavar="N", at_least=1, help="slices to suggest (default {default})"
    )
    per_patient: int = option(
        1,
        "--per-patient",
        metavar="N",
        at_least=1,
        help="at most so many of a patient, at least 20 mm apart (default {default})",
    )
    levels: tuple[str, ...] = option(
        (),
        "--levels -L",
        metavar="LEVEL",
        help="look near these levels (default: L3 if the models find it, else all that they find)",
    )
    reach_mm: float = option(
        10.0,
        "--reach-mm",
        metavar="MM",
        at_least=0,
        help="how far from a level slices are looked at (default {default}); 0: the nearest alone",
    )
    all_slices: bool = option(
        False, "--all-slices", help="look at the whole scan, whatever levels it has"
    )
    spacing_mm: float = option(
        5.0,
        "--spacing-mm",
        metavar="MM",
        positive=True,
        help="about how far the slices that are looked at lie apart (default {default})",
    )
    context_mm: float = option(
        15.0,
        "--context-mm",
        metavar="MM",
        at_least=0,
        help="how far above and below a suggested slice others come with it, to look at (default "
        "{default})",
    )
    add: bool = option(
        False,
        "--add",
        help="add to the suggestions in OUT: what is there stays, and counts for --per-patient",
    )
    device: str = option(
        "auto", "--device", help="auto (a GPU if there is one), cpu, cuda or cuda:1"
    )
    engine: str = option(
        AUTO_ENGINE, "--engine", choices=ENGINES, help="how the networks are run, as for analyze"
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.levels:
            check_levels(self.levels)
        if self.levels and self.all_slices:
            raise UsageError(
                "expected --levels or --all-slices, found both",
                hint="With --all-slices slices are looked at wherever they lie.",
            )


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A slice to annotate next; everything that names it is a pseudonym.

    Attributes:
        number: Its own in the folder, from 1; its files lie in ``slices/NNN``.
        level, offset_mm: The level that it was taken for, and how far above it lies; empty and None
            where all slices were looked at.
        slice_index: From the feet, of ``slices`` in the scan.
        disagreement: 1 minus the mean Dice of pairs of segmentations of the slice, over tissues.
        tissues: The same of each tissue.
        reason: Why it was chosen, in words.
    """

    number: int
    patient: str
    series: str
    level: str
    offset_mm: float | None
    slice_index: int
    slices: int
    z_mm: float
    disagreement: float
    tissues: Mapping[str, float]
    reason: str

    @property
    def folder(self) -> str:
        """Where its files lie in the folder of suggestions.

        >>> Suggestion(7, "", "", "L3", 0.0, 57, 90, 1.5, 0.2, {}, "").folder
        'slices/007'
        """
        return f"{SLICES_FOLDER}/{self.number:03d}"

    def cells(self) -> dict[str, Cell]:
        """Return its row of ``suggestions.csv``."""
        return {
            "suggestion": f"{self.number:03d}",
            "patient": self.patient,
            "series": self.series,
            "level": self.level,
            "offset_mm": self.offset_mm,
            "slice_index": self.slice_index,
            "slices": self.slices,
            "z_mm": self.z_mm,
            "disagreement": self.disagreement,
            **{f"{key}_disagreement": value for key, value in self.tissues.items()},
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class SuggestionReport:
    """What was looked at, and what is new.

    Attributes:
        suggestions: Most disagreement first.
        refused: Scans, and levels of scans, at which nothing could be looked at.
        looked_at: Slices.
        scans: Scans that they are of.
        picture: All suggestions; None if there are none.
    """

    suggestions: tuple[Suggestion, ...]
    refused: tuple[RefusedSeries, ...]
    looked_at: int
    scans: int
    out: Path
    picture: Path | None

    def __str__(self) -> str:
        return (
            f"{len(self.suggestions)} slices suggested, of {self.looked_at} in {self.scans} scans; "
            f"{len(self.refused)} refused; in {self.out}"
        )
