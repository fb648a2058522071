"""The run over all studies: one bad series never stops the others, one kill costs one study."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final

from bodycomp.analysis.loading import cards_of, load_analyzer
from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.dicom.derived.identity import KeptIdentity, PseudonymIdentity, PseudonymKey
from bodycomp.errors import BodycompError, ImageError, ModelError, RunInterruptedError
from bodycomp.progress import Progress, no_progress
from bodycomp.reference.table import (
    reference_columns,
    references_with,
    shipped_references,
    write_reference,
)
from bodycomp.report.result_rows import result_columns
from bodycomp.results import SeriesResult
from bodycomp.scan import Scan
from bodycomp.signals import SignalWatch
from bodycomp.study.analysis_page import write_analysis_page
from bodycomp.study.inputs import read_input_list
from bodycomp.study.journal import JOURNAL_NAME, Ledger, StudyRecord, open_journal
from bodycomp.study.options import (
    REFERENCES_FOLDER,
    REFUSED_NAME,
    REPORT_NAME,
    AnalyzeOptions,
    StudyReport,
)
from bodycomp.study.out_folder import clear_up, held_folder, remove_earlier_results
from bodycomp.study.outputs import OutputChoice
from bodycomp.study.patients import PatientTable, read_patients
from bodycomp.study.pseudonyms import read_or_make_key, with_pseudonyms
from bodycomp.study.run_manifest import (
    MANIFEST_NAME,
    RunManifest,
    RunState,
    options_of,
    settings_of,
)
from bodycomp.study.search import Worklist, opened_work
from bodycomp.study.series_table import SERIES_NAME, write_series_table
from bodycomp.study.sources import IDENTIFIER_COLUMNS, Source
from bodycomp.study.writing import Behind, ReadAhead, StudyFolder
from bodycomp.tables import check_parquet

_LOG: Final = logging.getLogger(__name__)


def analyze_inputs(
    options: AnalyzeOptions, progress: Progress = no_progress, *, analyzer: Analyzer | None = None
) -> StudyReport:
    """Find every CT series in the inputs, analyze it and write its results.

    A study's folder appears whole or not at all, and its rows are in the tables as soon as it is
    there; ``run.json`` says how the run ended. With ``options.resume`` a run that was
    interrupted, or killed, goes on: its tables become those of a run without interruption.
    What people said of its results stays; ``review.session.refresh_reviewed`` takes new rows into
    the reviewed table. An analyzer takes the place of the models in ``options.models_dir``.

    Returns what was analyzed and what was refused; a series that turns out to be unusable is
    among the refused.

    Raises:
        InputNotFoundError: An input, the models folder or the key is not there, or no image was
            found.
        ModelError: A model is missing, cannot be used, or gives no numbers.
        OutputError: The output folder holds something else already, cannot be written, or is
            being written by another run; or the run to resume had other settings.
        UsageError: Parquet cannot be written, or the table of patients cannot be used.
        RunInterruptedError: SIGTERM ended the run, as KeyboardInterrupt does for Ctrl-C; it can be
            resumed.
    """
    if options.listed:
        listed = read_input_list(options.listed)
        options = replace(options, inputs=(*options.inputs, *listed), listed=None)
    watch = SignalWatch(partial(_ended, options.out_dir), (signal.SIGTERM,))
    with watch, held_folder(options.out_dir):
        return _analyze_inputs(options, progress, analyzer)


def _ended(out_dir: Path, number: int) -> RunInterruptedError:
    return RunInterruptedError(
        f"the analysis was ended by SIGTERM; finished studies are kept in {out_dir}",
        signal_number=number,
        hint="The same command with --resume continues from there.",
    )


def _analyze_inputs(
    options: AnalyzeOptions, progress: Progress, analyzer: Analyzer | None
) -> StudyReport:
    resuming = clear_up(options)
    if options.parquet:
        check_parquet()
    if options.fhir:
        from bodycomp.fhir.study_bundle import check_fhir  # noqa: PLC0415 - with highdicom

        check_fhir()
    references = references_with(options.references)  # before models, which take longer to load
    if analyzer is None:
        analyzer = analyzer_of(options)
    if options.references:
        analysis = replace(analyzer.options, references=references)
        analyzer = replace(analyzer, options=analysis)
    patients = read_patients(options.patients) if options.patients else PatientTable()
    with opened_work(options, progress) as found:
        key = read_or_make_key(options.out_dir, options.pseudonym_key)
        work = with_pseudonyms(found, key)
        manifest = _prepare_folder(options, analyzer, key, resuming=resuming)
        identity = KeptIdentity() if options.identifiers else PseudonymIdentity(key)
        choice = OutputChoice(options.dicom, identity, options.previews, options.fhir)
        identifiers = IDENTIFIER_COLUMNS if options.identifiers else ()
        tissues = analyzer.segmenter.tissues
        keys = [tissue.key for tissue in tissues]
        compared = reference_columns(analyzer.options.references, keys)
        columns = result_columns(tissues, identifiers, compared)
        with open_journal(options.out_dir / JOURNAL_NAME, StudyRecord) as journal:
            ledger = Ledger(options.out_dir, columns, work, journal)
            run = _Run(options, analyzer, ledger, choice, patients, progress)
            report = _recorded(run, work, manifest)
    if options.report:
        try:  # a measured run is none the worse where its page fails
            write_analysis_page(options.out_dir)
        except (BodycompError, OSError) as error:
            _LOG.warning("%s is not written (%s)", REPORT_NAME, error)
    return report


def analyzer_of(options: AnalyzeOptions) -> Analyzer:
    """Load the models that options name, to be run as they say.

    Raises:
        InputNotFoundError, ModelError, UsageError: As ``analyze_inputs``.
    """
    analysis = AnalysisOptions(
        range_mm=options.range_mm,
        score_all=options.full,
        intervals=options.intervals,
        between=options.between,
    )
    return load_analyzer(
        options.models_dir, device=options.device, options=analysis, engine=options.engine
    )


def _prepare_folder(
    options: AnalyzeOptions, analyzer: Analyzer, key: PseudonymKey, *, resuming: bool
) -> RunManifest:
    """Make or clear the output folder and begin the manifest there."""
    out = options.out_dir
    settings = settings_of(options, analyzer, key.code("key", ""))
    manifest = RunManifest(out / MANIFEST_NAME, settings, options_of(options), cards_of(analyzer))
    if resuming:
        manifest.check_same_settings()
    if options.overwrite:
        remove_earlier_results(out)
    out.mkdir(parents=True, exist_ok=True)
    manifest.write(RunState.RUNNING, {})  # first of all files: no run is resumed without it
    given = [each for each in analyzer.options.references if each not in shipped_references()]
    for table in given:
        (out / REFERENCES_FOLDER).mkdir(exist_ok=True)
        write_reference(out / REFERENCES_FOLDER / f"{table.key}.json", table)
    return manifest


def _recorded(run: _Run, work: Worklist, manifest: RunManifest) -> StudyReport:
    """Run, with a manifest that says how it went, and a table of series as planned and as done."""
    state = RunState.FAILED
    run.write_series()
    try:
        report = run.run(work)
    except KeyboardInterrupt:
        state = RunState.INTERRUPTED
        raise
    else:
        state = RunState.COMPLETE
        return report
    finally:
        run.write_series()
        known = run.ledger.report()
        counts = {
            "files": known.file_count,
            "files_unreadable": known.unreadable_count,
            "series_planned": len(work.sources),
            "series_analysed": len(known.analyzed),
            "series_refused": len(known.refused),
            "series_not_chosen": len(known.not_chosen),
            "levels_found": known.levels_found,
            "studies_finished_before": known.resumed_count,
        }
        manifest.write(state, counts)


@dataclass
class _Run:
    """One pass over a worklist: read ahead, analyze here, write behind."""

    options: AnalyzeOptions
    analyzer: Analyzer
    ledger: Ledger
    choice: OutputChoice
    patients: PatientTable
    progress: Progress

    def write_series(self) -> None:
        """Write the table of series as far as is known of each."""
        path, identifiers = self.options.out_dir / SERIES_NAME, self.options.identifiers
        write_series_table(path, self.ledger.series_rows(), identifiers=identifiers)

    def run(self, work: Worklist) -> StudyReport:
        """Analyze what is not finished yet and return the report."""
        sources = [item for item in work.sources if not self.ledger.is_finished(item.study)]
        self._done, self._total = len(work.sources) - len(sources), len(work.sources)
        workers = self.options.workers
        with ExitStack() as stack:
            stack.enter_context(self.ledger.tables())
            self._ahead = stack.enter_context(ReadAhead(sources, workers))
            self._behind = stack.enter_context(Behind(threaded=workers > 0 and len(sources) > 1))
            for study, members in groupby(sources, key=lambda source: source.study):
                self._study(study, list(members), work.fallbacks.get(study, ()))
        if self.options.parquet:
            self.ledger.write_parquet()
        return self.ledger.report()

    def _study(self, study: str, sources: Sequence[Source], fallbacks: Sequence[Source]) -> None:
        """Analyse one study; its fallbacks are tried where none of its series can be analysed."""
        names = tuple(source.series for source in sources)
        folder = StudyFolder(self.options.out_dir / study, names, self.choice)
        try:
            analyzed = sum([self._series(folder, source) for source in self._counted(sources)])
            for source in () if analyzed else fallbacks:
                if self._series(folder, source):
                    break
            self._behind.submit(partial(self._finish, folder))
        except BaseException:
            self._behind.abandon(folder)
            raise

    def _counted(self, sources: Sequence[Source]) -> Iterator[Source]:
        for source in sources:
            yield source
            self._done += 1
            self.progress("series", self._done, self._total)

    def _finish(self, folder: StudyFolder) -> None:
        self.ledger.add(folder.close())

    def _series(self, folder: StudyFolder, source: Source) -> bool:
        """Load and analyse one series; a refusal, and False, if that is impossible."""
        try:
            scan, result = self._analyze(source)
        except ModelError:
            raise  # not the fault of this series
        except ImageError as error:
            reason = f"{error.message}. {error.hint}" if error.hint else error.message
            self._refuse(folder, source, "not readable", reason)
        except (BodycompError, OSError) as error:
            reason = f"{type(error).__name__}: reading failed"
            self._refuse(folder, source, "not readable", reason)
        except Exception as error:
            # Whatever a strange file provokes must not cost the other series their results.
            _LOG.debug("unexpected fault", exc_info=True)
            reason = f"unexpected {type(error).__name__}; see --debug"
            self._refuse(folder, source, "fault", reason)
        else:
            self._behind.submit(partial(folder.add, source, scan, result))
            return True
        return False

    def _analyze(self, source: Source) -> tuple[Scan, SeriesResult]:
        scan = self._ahead.take(source)
        scan = replace(scan, subject=self.patients.complete(source.patient_keys, scan.subject))
        return scan, self.analyzer.analyze(scan, self.progress)

    def _refuse(self, folder: StudyFolder, source: Source, kind: str, reason: str) -> None:
        _LOG.warning("%s is refused; %s says why", source.series, REFUSED_NAME)
        self._behind.submit(partial(folder.refuse, source, kind, reason))
