"""Scans of a run found again, corrected, and their results written to wait for the history."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bodycomp.analysis.pipeline import Segmenter
from bodycomp.dicom.identity import KeptIdentity, PseudonymIdentity, PseudonymKey
from bodycomp.errors import BodycompError, ModelError, ReviewError
from bodycomp.networks.names import AUTO_ENGINE
from bodycomp.progress import Progress
from bodycomp.report.result_rows import Cell, result_rows
from bodycomp.report.review_rows import correction_cells
from bodycomp.results import SeriesResult
from bodycomp.review.corrected_folders import new_stage
from bodycomp.review.correction import Corrector, LevelChange
from bodycomp.review.correction_options import CorrectionOptions
from bodycomp.review.history import Change, EventKind, ReviewEvent
from bodycomp.storage import flush_folder
from bodycomp.study.measured_run import Case, MeasuredRun
from bodycomp.study.options import AnalyzeOptions, DicomObject
from bodycomp.study.outputs import OutputChoice, write_series
from bodycomp.study.pseudonyms import key_path, read_key, with_pseudonyms
from bodycomp.study.search import opened_work
from bodycomp.study.sources import LoadedVolume, Source

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FoundScans:
    """The series of a run among some inputs.

    Attributes:
        run: The run.
        sources: Study and series -> source, under the run's pseudonyms.
        choice: What is written for corrected levels.
    """

    run: MeasuredRun
    sources: Mapping[tuple[str, str], Source] = field(repr=False)
    choice: OutputChoice

    def source(self, case: Case) -> Source:
        """Return the series of a case.

        Raises:
            ReviewError: It is not among the inputs.
        """
        self.check_there([case])
        return self.sources[case[:2]]

    def check_there(self, cases: Iterable[Case]) -> None:
        """Check that the series of all cases are among the inputs.

        Raises:
            ReviewError: Some are not; all of them are named.
        """
        missing = sorted({case.series for case in cases if case[:2] not in self.sources})
        if missing:
            raise ReviewError(
                f"expected the scans of {', '.join(missing)} among the inputs, found "
                f"{len(self.sources)} other series",
                hint="Give the files that were measured. A NIfTI or NRRD file is known by its "
                "content, a DICOM series by its images.",
            )

    def load(self, source: Source) -> LoadedVolume:
        """Read a series.

        Raises:
            ReviewError: It cannot be read.
        """
        try:
            return source.load(identifiers=bool(self.run.settings["identifiers"]))
        except (BodycompError, OSError) as error:
            reason = error.message if isinstance(error, BodycompError) else type(error).__name__
            raise ReviewError(f"{source.series} cannot be read: {reason}") from error


@contextmanager
def found_scans(
    run: MeasuredRun, options: CorrectionOptions, progress: Progress
) -> Iterator[FoundScans]:
    """Search the inputs for the series of a run; zip files are unpacked until the end.

    Raises:
        InputNotFoundError: An input or the key is not there, or no image was found.
        ReviewError: The key is not that of the run.
        UsageError: No input is given, or the file holds no key.
    """
    key = read_key(options.pseudonym_key or key_path(options.out_dir))
    if key.code("key", "") != run.settings["pseudonym_key"]:
        raise ReviewError(
            "expected the pseudonym key of the run, found another one",
            hint="Name the key that the run was made with by --pseudonym-key.",
        )
    search = AnalyzeOptions(
        inputs=options.inputs, models_dir=run.out_dir, out_dir=run.out_dir, all_series=True
    )
    with opened_work(search, progress) as found:
        work = with_pseudonyms(found, key)
        sources = {(source.study, source.series): source for source in work.sources}
        yield FoundScans(run, sources, _choice(run, options, key))


def _choice(run: MeasuredRun, options: CorrectionOptions, key: PseudonymKey) -> OutputChoice:
    settings = run.settings
    dicom = options.dicom
    if dicom is None:
        dicom = frozenset(DicomObject(name) for name in settings["dicom"])
    identity = KeptIdentity() if settings["identifiers"] else PseudonymIdentity(key)
    previews = options.previews if options.previews is not None else bool(settings["previews"])
    return OutputChoice(dicom, identity, previews)


def run_segmenter(run: MeasuredRun, models_dir: Path | None, device: str) -> Segmenter:
    """Load the segmentation model of a run, to be run as it was then.

    Raises:
        ReviewError: No models are named.
        ModelError: They are not those of the run, or cannot be used.
    """
    if models_dir is None:
        raise ReviewError(
            "expected the models of the run, to segment slices that levels were moved to; found "
            "none",
            hint="Name their folder with --models.",
        )
    from bodycomp.analysis.loading import load_segmenter  # noqa: PLC0415 - torch takes seconds

    runs_as = str(run.settings["engines"]["segmentation"])
    engine = runs_as.partition(" on ")[0] or AUTO_ENGINE
    segmenter = load_segmenter(models_dir, device=device, engine=engine)
    check_segmenter(run, segmenter)
    if segmenter.runs_as != runs_as:
        words = "the run's network ran as %s, now as %s; last digits may differ"
        _LOG.warning(words, runs_as, segmenter.runs_as)
    return segmenter


def check_segmenter(run: MeasuredRun, segmenter: Segmenter) -> None:
    """Check that a segmenter is that of a run.

    Raises:
        ModelError: It is another one.
    """
    expected = run.models[1]
    if segmenter.digest != expected:
        raise ModelError(
            f"expected the segmentation model {expected} that the run was made with, found "
            f"{segmenter.digest}",
            hint="Name the folder of the models that were used.",
        )


def stage_correction(
    scans: FoundScans, corrector: Corrector, change: LevelChange, result: SeriesResult
) -> tuple[str, dict[str, Cell]]:
    """Write the results of a corrected level into a hidden folder.

    Returns:
        The folder's name, and the level's row.
    """
    stage = new_stage(scans.run, change.case)
    facts = write_series(stage, corrector.loaded, result, scans.choice)
    flush_folder(stage)
    (row,) = result_rows(facts, result)
    correction = result.levels[0].correction
    return stage.name, row | (correction_cells(correction) if correction else {})


def corrected_event(
    run: MeasuredRun, change: LevelChange, kind: EventKind, staged: tuple[str, dict[str, Cell]]
) -> ReviewEvent:
    """Return the event of a correction whose results are staged."""
    stage, row = staged
    return ReviewEvent(
        case=change.case,
        kind=kind,
        at=change.at,
        by=change.by,
        comment=change.reason,
        change=Change.CORRECTED,
        row=row,
        stage=stage,
        original=run.row_digest(change.case),
        applied_at=now(),
    )


def now() -> str:
    """Return this moment, ISO 8601 in UTC.

    >>> now().endswith("+00:00")
    True
    """
    return datetime.now(UTC).isoformat(timespec="seconds")
