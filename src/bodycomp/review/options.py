"""What is reviewed or corrected, and what correcting needs beside that."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bodycomp.errors import UsageError
from bodycomp.options import declare, nested, option
from bodycomp.study.options import DICOM_OBJECTS, DicomObject, dicom_objects


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
        help="DICOM objects to write for corrected levels: seg, labelmap, sr, overlay (default: "
        "those of the run)",
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
        True, "--no-scans", help="leave moved levels for another time, apply the rest"
    )
    reviewer: str = option(
        "",
        "--by",
        metavar="NAME",
        help="who reviewed, where the review does not say it; initials or a code will do",
    )


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
