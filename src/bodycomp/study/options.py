"""What to analyze, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from bodycomp.cluster import cluster_option
from bodycomp.errors import UsageError
from bodycomp.networks.names import AUTO_ENGINE, ENGINES
from bodycomp.options import Record, check_options, declare, option

if TYPE_CHECKING:
    from bodycomp.tables import Cell

RESULTS_NAME: Final = "results.csv"
REFUSED_NAME: Final = "refused.csv"
PARQUET_NAME: Final = "results.parquet"
REPORT_NAME: Final = "report.html"
REFERENCES_FOLDER: Final = "references"
"""Copies of the references that a run was given, for those who measure its cases again."""
STUDY_PREFIX: Final = "study-"
SERIES_PREFIX: Final = "series-"


class DicomObject(StrEnum):
    """What can be written for archives and viewers beside tables and pictures."""

    SEG = "seg"
    LABELMAP = "labelmap"
    SR = "sr"
    OVERLAY = "overlay"
    PDF = "pdf"
    TAG = "tag"


def dicom_objects(names: Iterable[str]) -> frozenset[DicomObject]:
    """Return the objects of these names."""
    return frozenset(DicomObject(name) for name in names)


DICOM_OBJECTS: Final = tuple(each.value for each in DicomObject)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeOptions:
    """What to analyse and how; each option is described beside its field.

    Raises:
        UsageError: No input is given, a value is out of range, or options exclude each other.
    """

    inputs: tuple[Path, ...] = field(
        metadata=declare(
            "INPUT", record=Record.LOCAL, help="folder, zip, DICOMDIR, DICOM, NIfTI or NRRD file"
        )
    )
    models_dir: Path | None = option(
        None,
        "--models -m",
        metavar="DIR",
        record=Record.LOCAL,
        help="folder with slice-selection/ and segmentation/, each a model, the run folder of "
        "a training, or a Keras .hdf5 file; or the name of models that 'bodycomp models' lists "
        "(default: what BODYCOMP_MODELS names, else the default models)",
    )
    out_dir: Path = field(
        metadata=declare(
            "--out -o", metavar="DIR", record=Record.NOTHING, help="folder for the results"
        )
    )
    range_mm: float = option(
        0.0,
        "--range",
        metavar="MM",
        help="average over the slices within this height in mm, centered on the level (default "
        "{default}: the nearest slice alone)",
    )
    between: tuple[str, str] | None = option(
        None,
        "--between",
        metavar="LEVEL LEVEL",
        help="measure all between these two levels, too, such as L1 L5: volumes, without arms; a "
        "row L1-L5 beside those of the levels",
    )
    all_series: bool = option(
        False, "--all-series", help="measure every series of a study, not only the best one"
    )
    identifiers: bool = option(
        False,
        "--keep-identifiers",
        help="write patient ID, UIDs, study date, series descriptions and file paths into the "
        "tables, and patient and study into DICOM objects; without it everything has pseudonyms",
    )
    pseudonym_key: Path | None = option(
        None,
        "--pseudonym-key",
        metavar="FILE",
        record=Record.NOTHING,
        help="key from which pseudonyms are made; the same key gives the same ones (default: "
        "DIR.pseudonym-key, made beside DIR at the first run)",
    )
    dicom: frozenset[DicomObject] = option(
        frozenset(),
        "--dicom",
        metavar="OBJECT",
        choices=DICOM_OBJECTS,
        convert=dicom_objects,
        help="also write DICOM objects: seg (segmentation), labelmap (the same as a label map), "
        "sr (measurements as a TID 1500 report, with its seg), overlay (a picture for viewers "
        "that show no segmentations), pdf (what --pdf writes, as a document); or tag (TAG files of "
        "Slice-O-Matic for the slices)",
    )
    pdf: bool = option(
        False,
        "--pdf",
        help="also write report.pdf for each series: a page A4 with picture, values, references, "
        "flags and the limits of the models",
    )
    fhir: bool = option(
        False,
        "--fhir",
        help="also write fhir.json for each study from DICOM: its measurements as HL7 FHIR R4 "
        "(needs fhir.resources)",
    )
    patients: Path | None = option(
        None,
        "--patients",
        metavar="CSV",
        record=Record.NOTHING,
        help="heights, sexes and ages for indices, cut-offs and reference values, where the files "
        "do not give them: columns patient_id, study_uid or study, and height_m or height_cm, "
        "weight_kg, sex, age_years",
    )
    references: tuple[Path, ...] = option(
        (),
        "--reference",
        metavar="FILE",
        repeat=True,
        record=Record.NOTHING,
        help="reference to compare with, beside those that ship: what 'bodycomp reference fit' "
        "wrote; may be given again",
    )
    full: bool = option(
        False,
        "--full",
        help="score every slice for the levels; without it some are scored first and then those "
        "where a level can be, which gives the same slices sooner",
    )
    intervals: bool = option(
        False,
        "--intervals",
        help="segment six moved copies of each slice, too: an interval of each area that shows how "
        "well the network repeats itself",
    )
    device: str = option(
        "auto",
        "--device",
        record=Record.FREE,
        help="auto (a GPU if there is one), cpu, cuda or cuda:1",
    )
    engine: str = option(
        AUTO_ENGINE,
        "--engine",
        choices=ENGINES,
        record=Record.FREE,
        help="how the networks are run: as they were trained (reference), with batch norms folded "
        "into convolutions (folded), the same in bfloat16 (bf16); auto takes the fastest",
    )
    workers: int = option(
        1,
        "--workers",
        metavar="N",
        at_least=0,
        record=Record.FREE,
        help="processes that read ahead while the networks work; each holds one volume (default "
        "{default}; 0 reads, measures and writes in turn)",
    )
    cluster: str = cluster_option()
    previews: bool = option(
        True,
        "--no-previews",
        help="write no pictures, which take longer than all other files together",
    )
    report: bool = option(
        True,
        "--no-report",
        record=Record.NOTHING,
        help="write no report.html; bodycomp report DIR writes it later",
    )
    parquet: bool = option(
        False, "--parquet", record=Record.FREE, help="also write results.parquet (needs pyarrow)"
    )
    resume: bool = option(
        False,
        "--resume",
        record=Record.FREE,
        help="resume an interrupted or killed run in DIR: what is finished is kept, the tables "
        "become those of a run without interruption",
    )
    overwrite: bool = option(
        False,
        "--overwrite",
        record=Record.NOTHING,
        help="replace the results of an earlier run in DIR",
    )
    listed: Path | None = option(
        None,
        "--list",
        metavar="CSV",
        record=Record.LOCAL,
        help="table of further inputs in its column 'input'; relative paths count from its folder",
    )

    def __post_init__(self) -> None:
        if not (self.inputs or self.listed):
            raise UsageError(
                "expected files or folders to analyze, found none",
                hint="Name a folder of DICOM files or a NIfTI file.",
            )
        check_options(self)
        if self.resume and self.overwrite:
            raise UsageError(
                "expected to resume a run or to overwrite it, found both",
                hint="Leave --overwrite out to keep what is finished.",
            )


class KnownStudy(Protocol):
    """What is known of a study in the end."""

    @property
    def analyzed(self) -> Mapping[str, tuple[Mapping[str, Cell], ...]]:
        """Series -> its rows of ``results.csv``."""


@dataclass(frozen=True, slots=True)
class AnalyzedSeries:
    """One series that was analyzed, under pseudonyms.

    Attributes:
        folder: Its results.json, previews and masks.
        records: Study -> what the run noted of it.
        study_uid: Empty for NIfTI; identifying, so left out of ``repr``.
    """

    folder: Path
    records: Mapping[str, KnownStudy] = field(repr=False)
    study_uid: str = field(default="", repr=False)

    @property
    def study(self) -> str:
        """Pseudonym of its study."""
        return self.folder.parent.name

    @property
    def series(self) -> str:
        """Its pseudonym."""
        return self.folder.name

    @property
    def rows(self) -> tuple[Mapping[str, Cell], ...]:
        """Its rows of ``results.csv``, one per level; read from the disk each time.

        Raises:
            OutputError: The results were replaced by others.
        """
        return self.records[self.study].analyzed[self.series]


@dataclass(frozen=True, slots=True)
class RefusedSeries:
    """Images that were not analyzed; a row of ``refused.csv``.

    Attributes:
        study, series: Pseudonyms; the series is empty where images make none.
        kind: The rule that they break, in few words.
        reason: What was expected and what was found.
    """

    study: str
    series: str
    what: str
    kind: str
    reason: str
    files: int


NOT_CHOSEN: Final = "not chosen"
"""Kind of a series that could be analysed, in a study of which another one was."""


@dataclass(frozen=True, slots=True)
class StudyReport:
    """What a run did.

    Attributes:
        analyzed: Series with results, whether or not their levels were found.
        not_chosen: Series left out because another one of their study was preferred.
        file_count, unreadable_count: Files opened, and those that cannot be read.
        resumed_count: Studies that were finished before this run was resumed.
    """

    analyzed: tuple[AnalyzedSeries, ...]
    refused: tuple[RefusedSeries, ...]
    not_chosen: tuple[RefusedSeries, ...]
    out_dir: Path
    file_count: int = 0
    unreadable_count: int = 0
    resumed_count: int = 0

    def __str__(self) -> str:
        return (
            f"{len(self.analyzed)} series measured, {len(self.refused)} refused, "
            f"{len(self.not_chosen)} not chosen, {self.unreadable_count} files unreadable; "
            f"results in {self.out_dir}"
        )

    def _repr_html_(self) -> str:
        from bodycomp.report.notebook import report_html  # noqa: PLC0415 - pictures, when shown

        rows = [(series.folder, row) for series in self.analyzed for row in series.rows]
        return report_html(str(self), rows)

    @property
    def levels_found(self) -> int:
        """Rows whose level was found and measured."""
        return sum(row["status"] == "found" for series in self.analyzed for row in series.rows)
