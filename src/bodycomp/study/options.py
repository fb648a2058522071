"""What to analyse, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from bodycomp.errors import UsageError
from bodycomp.networks.names import AUTO_ENGINE
from bodycomp.report.result_rows import Cell

RESULTS_NAME: Final = "results.csv"
REFUSED_NAME: Final = "refused.csv"
PARQUET_NAME: Final = "results.parquet"
REPORT_NAME: Final = "report.html"
STUDY_PREFIX: Final = "study-"
SERIES_PREFIX: Final = "series-"


class DicomObject(StrEnum):
    """What can be written for archives and viewers beside tables and pictures."""

    SEG = "seg"
    LABELMAP = "labelmap"
    SR = "sr"
    OVERLAY = "overlay"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeOptions:
    """What to analyse and how.

    Attributes:
        inputs: Files and folders of DICOM at any depth, and NIfTI files by name.
        models_dir: Folder with both models (see ``analysis.loading``).
        out_dir: Folder to make.
        range_mm: Slices within half of this of a level are averaged; 0 for the nearest alone.
        device: "auto", "cpu", "cuda" or "cuda:1".
        engine: How networks are run, one of ``networks.names.ENGINES``.
        all_series: Analyse every series of a study rather than the best one.
        identifiers: Write patient ID, UIDs, date and place of the files into the tables, and
            patient and study into DICOM objects.
        patients: Table of heights, weights and sexes; see ``study.patients``.
        score_all: Score every slice for the levels, rather than those that can matter.
        intervals: Give each area an interval, from segmenting moved copies of the slices.
        overwrite: Replace the results of an earlier run in ``out_dir``.
        dicom: DICOM objects to write for series that come from DICOM.
        pseudonym_key: File with the key of the pseudonyms; one beside ``out_dir`` if None.
        resume: Go on with an interrupted run in ``out_dir``: finished studies stay as they are.
        workers: Processes that read ahead of the networks; results are then written behind
            them. With 0 all is done in turn.
        parquet: Write the table of results as Parquet, too.
        previews: Write a picture per level, and its case for the report; they take longer than all
            other files together.
        report: Write ``report.html`` at the end.

    Raises:
        UsageError: No input is given, or options that exclude each other.
    """

    inputs: tuple[Path, ...]
    models_dir: Path
    out_dir: Path
    range_mm: float = 0.0
    device: str = "auto"
    engine: str = AUTO_ENGINE
    all_series: bool = False
    identifiers: bool = False
    patients: Path | None = None
    score_all: bool = False
    intervals: bool = False
    overwrite: bool = False
    dicom: frozenset[DicomObject] = frozenset()
    pseudonym_key: Path | None = None
    resume: bool = False
    workers: int = 0
    parquet: bool = False
    previews: bool = True
    report: bool = True

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UsageError(
                "expected files or folders to analyse, found none",
                hint="Name a folder of DICOM files or a NIfTI file.",
            )
        if self.workers < 0:
            raise UsageError(f"expected 0 or more workers, found {self.workers}")
        if self.resume and self.overwrite:
            raise UsageError(
                "expected to resume a run or to overwrite it, found both",
                hint="Leave --overwrite out to keep what is finished.",
            )


@dataclass(frozen=True, slots=True)
class AnalyzedSeries:
    """One series that was analysed.

    Attributes:
        study, series: Pseudonyms.
        folder: Its results.json, previews and masks.
        rows: Its rows of ``results.csv``, one per level.
        study_uid: Empty for NIfTI; identifying, so left out of ``repr``.
    """

    study: str
    series: str
    folder: Path
    rows: tuple[Mapping[str, Cell], ...] = field(repr=False)
    study_uid: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RefusedSeries:
    """Images that were not analysed; a row of ``refused.csv``.

    Attributes:
        study, series: Pseudonyms; the series is empty where images make none.
        what: The images in words.
        kind: The rule that they break, in few words.
        reason: What was expected and what was found.
        files: Number of files.
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
        refused: Series that could not be analysed.
        not_chosen: Series left out because another one of their study was preferred.
        out_dir: Holds results.csv, refused.csv and one folder per study.
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
