"""Where the levels of a mask lie, and what is written of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bodycomp.anatomy import DEFAULT_LEVEL
from bodycomp.errors import UsageError
from bodycomp.level_names import check_levels
from bodycomp.options import check_options, option
from bodycomp.study.options import DICOM_OBJECTS, DicomObject, dicom_objects


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """What a mask means, where its levels lie, and what is written of it.

    Raises:
        UsageError: A place is given twice, or a value is out of range.
    """

    labels: tuple[str, ...] = option(
        (),
        "--labels",
        group="the mask",
        metavar="LABEL=TISSUE",
        help="what its labels mean, by number or name: muscle, subcutaneous_fat, visceral_fat or "
        "ignore (default: 1=muscle 2=subcutaneous_fat 3=visceral_fat)",
    )
    level: str = option(
        "",
        "--level",
        metavar="LEVEL",
        help=f"level that is measured (default: {DEFAULT_LEVEL}, or all of --levels)",
    )
    slice_index: int | None = option(
        None,
        "--slice",
        metavar="N",
        help="its slice, counted from 0 at the feet (default: the only one with a label)",
    )
    z_mm: float | None = option(
        None, "--z-mm", metavar="Z", help="where it lies between slices, patient frame"
    )
    levels: Path | None = option(
        None,
        "--levels",
        metavar="FILE",
        help="where levels lie: CSV, Slicer markups (.mrk.json), or a label map of vertebrae; "
        "those are measured that the mask has labels at",
    )
    range_mm: float = option(
        0.0,
        "--range",
        metavar="MM",
        at_least=0,
        help="average over the slices within this height in mm, centered on the level "
        "(default {default}: the nearest slice alone)",
    )
    dicom: frozenset[DicomObject] = option(
        frozenset(),
        "--dicom",
        group="what is written",
        metavar="OBJECT",
        choices=DICOM_OBJECTS,
        convert=dicom_objects,
        help="also write DICOM objects: seg, labelmap, sr, overlay; for scans from DICOM",
    )
    identifiers: bool = option(
        False,
        "--keep-identifiers",
        help="write patient ID, UIDs and paths into the table, and patient and study into DICOM "
        "objects; without it everything has pseudonyms",
    )
    pseudonym_key: Path | None = option(
        None,
        "--pseudonym-key",
        metavar="FILE",
        help="key from which pseudonyms are made (default: OUT.pseudonym-key)",
    )
    previews: bool = option(True, "--no-previews", help="write no pictures")
    overwrite: bool = option(False, "--overwrite", help="replace what is in OUT")

    def __post_init__(self) -> None:
        check_options(self)
        given = [self.slice_index is not None, self.z_mm is not None, self.levels is not None]
        if sum(given) > 1:
            raise UsageError("expected one of --slice, --z-mm and --levels, found several")
        if self.levels is None:
            object.__setattr__(self, "level", self.level or DEFAULT_LEVEL)
        if self.level:
            check_levels([self.level])
