"""What is measured by hand, reviewed or corrected, and what that needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bodycomp.anatomy import DEFAULT_LEVEL
from bodycomp.errors import UsageError
from bodycomp.level_names import check_levels
from bodycomp.options import check_options, declare, nested, option
from bodycomp.study.options import DICOM_OBJECTS, DicomObject, dicom_objects

if TYPE_CHECKING:
    from bodycomp.scan import Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionOptions:
    """Where the run and its scans are, and what to write; models where slices are segmented."""

    out_dir: Path = field(metadata=declare("OUT", help="folder that bodycomp analyze left"))
    inputs: tuple[Path, ...] = option(
        (),
        "INPUT",
        help="what was measured: folders, zip, DICOM, NIfTI or NRRD files, and others; named "
        "before the options",
    )
    models_dir: Path | None = option(
        None,
        "--models -m",
        metavar="DIR",
        help="folder with the models that were used, to segment slices that levels are moved to",
    )
    pseudonym_key: Path | None = option(
        None,
        "--pseudonym-key",
        metavar="FILE",
        help="key of the run's pseudonyms (default: OUT.pseudonym-key)",
    )
    device: str = option(
        "auto", "--device", help="auto (a GPU if there is one), cpu, cuda or cuda:1"
    )
    dicom: frozenset[DicomObject] | None = option(
        None,
        "--dicom",
        metavar="OBJECT",
        choices=DICOM_OBJECTS,
        convert=dicom_objects,
        help="DICOM objects to write for corrected levels: seg, labelmap, sr, overlay, tag "
        "(default: those of the run)",
    )
    previews: bool | None = option(
        None, "--no-previews", help="write no pictures of corrected levels (default: as in the run)"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOptions:
    """A review and what it is applied to."""

    scans: CorrectionOptions = field(metadata=nested(CorrectionOptions))
    review: Path = field(metadata=declare("REVIEW.csv", help="what the review page exported"))
    move: bool = option(
        True,
        "--no-scans",
        help="leave moved levels and corrected masks for another time, apply the rest",
    )
    reviewer: str = option(
        "",
        "--by",
        metavar="NAME",
        help="who reviewed, where the review does not say it; initials or a code will do",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """A run whose page is served, and where.

    Raises:
        UsageError: The port is out of range.
    """

    scans: CorrectionOptions = field(metadata=nested(CorrectionOptions))
    port: int = option(
        0, "--port", at_least=0, help="port of 127.0.0.1 (default: any that is free)"
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.port > _LAST_PORT:
            raise UsageError(f"expected a port up to {_LAST_PORT}, found {self.port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FromReviewOptions:
    """A reviewed run whose corrections become cases to train with, and where they are written."""

    scans: CorrectionOptions = field(metadata=nested(CorrectionOptions))
    folder: Path = field(
        metadata=declare(
            "--out -o", metavar="FOLDER", help="folder for cases.csv, masks and levels"
        )
    )
    corrected: bool = option(
        False, "--corrected", help="leave out what was accepted as the networks made it"
    )
    overwrite: bool = option(False, "--overwrite", help="replace what is in FOLDER")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementOptions:
    """Reviews of one run by several readers, and where their agreement is written.

    Raises:
        UsageError: No review is given.
    """

    out_dir: Path = field(metadata=declare("OUT", help="folder that bodycomp analyze left"))
    reviews: tuple[Path, ...] = field(
        metadata=declare("REVIEW", help="what pages exported, a file for each reader")
    )
    folder: Path = field(metadata=declare("--out -o", metavar="FOLDER", help="new folder"))

    def __post_init__(self) -> None:
        if not self.reviews:
            raise UsageError("expected the review of at least one reader, found none")


_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class RemeasureOptions:
    """What is corrected by hand, outside a review page.

    Raises:
        UsageError: Nothing is corrected, nobody corrects, or the place is given twice.
    """

    scans: CorrectionOptions = field(metadata=nested(CorrectionOptions))
    series: str = field(
        metadata=declare(
            "--series",
            metavar="SERIES",
            help="the series, as in the column 'series' of results.csv",
        )
    )
    by: str = field(
        metadata=declare(
            "--by",
            metavar="NAME",
            help="who corrected; it is written into files, so initials or a code are best",
        )
    )
    reason: str = option("", "--reason", metavar="TEXT", help="why; written into files, too")
    mask: Path | None = option(
        None,
        "--mask",
        metavar="FILE",
        help="the corrected mask: NIfTI, NRRD (.seg.nrrd), DICOM SEG or RTSTRUCT, on the pixels of "
        "the scan",
    )
    labels: tuple[str, ...] = option(
        (),
        "--labels",
        metavar="LABEL=TISSUE",
        help="what the labels of the mask mean, by number or name: muscle, subcutaneous_fat, "
        "visceral_fat or ignore (default: those of labels.nii.gz, 1, 2 and 3)",
    )
    level: str = option("", "--level", metavar="LEVEL", help="correct this level alone, e.g. L3")
    slice_index: int | None = option(
        None,
        "--slice",
        metavar="N",
        help="move the level to this slice, counted from 0 at the feet",
    )
    z_mm: float | None = option(
        None,
        "--z-mm",
        metavar="Z",
        help="instead of --slice: move the level to this height in the patient frame, in mm",
    )

    def __post_init__(self) -> None:
        if not self.by.strip():
            raise UsageError("expected who corrected, found nothing", hint="Give --by INITIALS.")
        if self.slice_index is not None and self.z_mm is not None:
            raise UsageError("expected one of --slice and --z-mm, found both")
        if self.mask is None and not self.is_moved:
            raise UsageError(
                "expected a corrected mask or a place of the level, found neither",
                hint="Give --mask FILE, or --level L3 with --slice N or --z-mm Z.",
            )
        if self.labels and self.mask is None:
            raise UsageError("expected a mask whose labels are said, found none")

    @property
    def is_moved(self) -> bool:
        """Whether a place of the level is given."""
        return self.slice_index is not None or self.z_mm is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """A mask and its scan, what its labels mean, where its levels lie, and what is written of it.

    Raises:
        UsageError: A place is given twice, or a value is out of range.
    """

    scan: Scan | Path = field(
        metadata=declare("SCAN", parse=Path, help="what the mask was annotated on")
    )
    mask: Path = field(metadata=declare("MASK", help="the mask"))
    out: Path | None = option(
        None, "--out -o", metavar="OUT", help="folder for the results (default: print them alone)"
    )
    series: str = option("", "--series", help="UID or number of the series, if SCAN holds several")
    height_m: float | None = option(
        None, "--height-m", metavar="M", help="height, where the files do not give it"
    )
    weight_kg: float | None = option(None, "--weight-kg", metavar="KG", help="weight, likewise")
    sex: str | None = option(None, "--sex", choices=("F", "M"), help="sex, likewise")
    age_years: float | None = option(None, "--age-years", metavar="Y", help="age, likewise")
    references: tuple[Path, ...] = option(
        (),
        "--reference",
        metavar="FILE",
        repeat=True,
        help="reference to compare with, beside those that ship; may be given again",
    )
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
        help="also write DICOM objects: seg, labelmap, sr, overlay, or tag (TAG files of "
        "Slice-O-Matic); for scans from DICOM",
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
