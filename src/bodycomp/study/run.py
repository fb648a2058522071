"""The run over all studies: one bad series never stops the others."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields, replace
from itertools import chain, groupby
from typing import Final

from bodycomp.analysis.loading import load_analyzer
from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.dicom.identity import KeptIdentity, PseudonymIdentity
from bodycomp.errors import BodycompError, ImageError, ModelError
from bodycomp.report.result_rows import result_columns, result_rows
from bodycomp.report.tables import Table, open_table
from bodycomp.results import SeriesResult
from bodycomp.storage import atomic_folder, refuse_existing
from bodycomp.study.options import (
    REFUSED_NAME,
    RESULTS_NAME,
    STUDY_PREFIX,
    AnalysedSeries,
    AnalyzeOptions,
    RefusedSeries,
    StudyProgress,
    StudyReport,
)
from bodycomp.study.outputs import DicomOutput, write_series
from bodycomp.study.patients import PatientTable, read_patients
from bodycomp.study.pseudonyms import read_or_make_key, with_pseudonyms
from bodycomp.study.search import Worklist, find_work
from bodycomp.study.series_table import SERIES_NAME, write_series_table
from bodycomp.study.sources import IDENTIFIER_COLUMNS, LoadedVolume, Source

_LOG: Final = logging.getLogger(__name__)
REFUSED_COLUMNS: Final = tuple(f.name for f in fields(RefusedSeries))


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""


def analyze_inputs(
    options: AnalyzeOptions,
    progress: StudyProgress = no_progress,
    *,
    analyzer: Analyzer | None = None,
) -> StudyReport:
    """Find every CT series in the inputs, analyse it and write its results.

    A study's folder appears whole or not at all. Both tables appear at the end, also when Ctrl-C
    or an error ends the run early: then they list the studies that were finished.

    Args:
        options: What to analyse and how.
        progress: Told about each step.
        analyzer: Used instead of the models in ``options.models_dir``.

    Returns:
        What was analysed and what was refused. A series that turns out to be unusable is among
        the refused; it raises nothing.

    Raises:
        UsageError: The table of patients cannot be used.
        InputNotFoundError: An input or the models folder is not there, or no image was found.
        ModelError: A model is missing, cannot be used, or gives no numbers.
        OutputError: The output folder holds something already, or cannot be written.
    """
    refuse_existing(options.out_dir, overwrite=options.overwrite)
    if analyzer is None:
        analysis = AnalysisOptions(range_mm=options.range_mm)
        analyzer = load_analyzer(
            options.models_dir, device=options.device, options=analysis, engine=options.engine
        )
    found = find_work(options, progress)
    key = read_or_make_key(options.out_dir, options.pseudonym_key)
    work = with_pseudonyms(found, key)
    identity = KeptIdentity() if options.identifiers else PseudonymIdentity(key)
    dicom = DicomOutput(options.dicom, identity)
    run = _Run(options, analyzer, work, dicom, progress)
    if options.overwrite:
        _remove_earlier_results(options)
    return run.run()


def _remove_earlier_results(options: AnalyzeOptions) -> None:
    """Remove what an earlier run left in the output folder, and nothing else."""
    for name in (RESULTS_NAME, REFUSED_NAME, SERIES_NAME):
        (options.out_dir / name).unlink(missing_ok=True)
    for folder in options.out_dir.glob(f"{STUDY_PREFIX}*"):
        shutil.rmtree(folder)


class _Run:
    """One pass over a worklist; grows the tables and the lists of the report."""

    def __init__(
        self,
        options: AnalyzeOptions,
        analyzer: Analyzer,
        work: Worklist,
        dicom: DicomOutput,
        progress: StudyProgress,
    ) -> None:
        self._dicom = dicom
        table = options.patients
        self._patients = read_patients(table) if table else PatientTable()
        self._options = options
        self._analyzer = analyzer
        self._work = work
        self._progress = progress
        self._analysed: list[AnalysedSeries] = []
        self._refused: list[RefusedSeries] = []
        self._done = 0

    def run(self) -> StudyReport:
        """Analyse everything and return the report."""
        out = self._options.out_dir
        out.mkdir(parents=True, exist_ok=True)
        named = self._options.identifiers
        write_series_table(out / SERIES_NAME, self._work.series, identifiers=named)
        identifiers = IDENTIFIER_COLUMNS if self._options.identifiers else ()
        columns = result_columns(self._analyzer.segmenter.tissues, identifiers)
        failure: BaseException | None = None
        with ExitStack() as stack:
            results = stack.enter_context(open_table(out / RESULTS_NAME, columns))
            refused = stack.enter_context(open_table(out / REFUSED_NAME, REFUSED_COLUMNS))
            for row in (*self._work.refused, *self._work.not_chosen):
                refused.append(asdict(row))
            try:
                self._run_studies(results, refused)
            except BaseException as error:
                failure = error  # finished studies keep their rows
        if failure is not None:
            raise failure
        return StudyReport(
            analysed=tuple(self._analysed),
            refused=(*self._work.refused, *self._refused),
            not_chosen=self._work.not_chosen,
            out_dir=out,
            file_count=self._work.file_count,
            unreadable_count=self._work.unreadable_count,
        )

    def _run_studies(self, results: Table, refused: Table) -> None:
        for study, sources in groupby(self._work.sources, key=lambda source: source.study):
            known = len(self._refused)
            finished = self._run_study(study, list(sources))
            for row in (row for series in finished for row in series.rows):
                results.append(row)
            for refusal in self._refused[known:]:
                refused.append(asdict(refusal))
            self._analysed += finished

    def _run_study(self, study: str, sources: Sequence[Source]) -> list[AnalysedSeries]:
        """Analyse the series of one study into its folder, which appears at the end.

        A study of which no series could be analysed leaves no folder.
        """
        place = self._options.out_dir / study
        finished: list[AnalysedSeries] = []
        with ExitStack() as stack:
            temporary = None
            spares = self._work.spares.get(study, ())
            for source in chain(sources, spares):
                if finished and source in spares:
                    break  # a series of the study could be read
                outcome = self._analyse(source)
                self._done += source not in spares
                self._progress("series", self._done, len(self._work.sources))
                if outcome is None:
                    continue
                if temporary is None:
                    temporary = stack.enter_context(atomic_folder(place))
                loaded, result = outcome
                folder = temporary / source.series
                folder.mkdir()
                facts = write_series(folder, loaded, result, self._dicom)
                rows = tuple(result_rows(facts, result))
                final = place / source.series
                finished.append(AnalysedSeries(study, source.series, final, rows, source.study_uid))
        return finished

    def _analyse(self, source: Source) -> tuple[LoadedVolume, SeriesResult] | None:
        """Load and analyse one series; None, and a refusal, if that is impossible."""
        try:
            loaded = source.load(identifiers=self._options.identifiers)
            subject = self._patients.complete(source.patient_keys, loaded.context.subject)
            context = replace(loaded.context, subject=subject)
            return loaded, self._analyzer.analyze(loaded.volume, self._progress, context)
        except ModelError:
            raise  # not the fault of this series
        except ImageError as error:
            self._refuse(source, "not readable", error.message)
        except (BodycompError, OSError) as error:
            self._refuse(source, "not readable", f"{type(error).__name__}: reading failed")
        except Exception as error:
            # Whatever a strange file provokes must not cost the other series their results.
            _LOG.debug("unexpected fault", exc_info=True)
            self._refuse(source, "fault", f"unexpected {type(error).__name__}; see --debug")
        return None

    def _refuse(self, source: Source, kind: str, reason: str) -> None:
        _LOG.warning("%s is refused; %s says why", source.series, REFUSED_NAME)
        self._refused.append(
            RefusedSeries(source.study, source.series, source.what, kind, reason, source.file_count)
        )
