"""The run over all studies: one bad series never stops the others, one kill costs one study."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final

from bodycomp.analysis.loading import AnalyzerLoader, ModelFacts, load_analyzer
from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.cluster import opened_workers
from bodycomp.dicom.derived.identity import KeptIdentity, PseudonymIdentity, PseudonymKey
from bodycomp.errors import BodycompError, RunInterruptedError
from bodycomp.networks.shipped import models_dir
from bodycomp.processes import Work, Workers
from bodycomp.progress import Progress, no_progress
from bodycomp.reference.table import (
    reference_columns,
    references_with,
    shipped_references,
    write_reference,
)
from bodycomp.report.result_rows import result_columns
from bodycomp.signals import SignalWatch
from bodycomp.study.analysis_page import write_analysis_page
from bodycomp.study.inputs import read_input_list
from bodycomp.study.journal import JOURNAL_NAME, Ledger, StudyRecord, open_journal
from bodycomp.study.measuring import StageStudy, StudyMeasurer, StudyTask
from bodycomp.study.options import (
    REFERENCES_FOLDER,
    REFUSED_NAME,
    REPORT_NAME,
    AnalyzeOptions,
    StudyReport,
)
from bodycomp.study.out_folder import (
    clear_up,
    held_folder,
    remove_earlier_results,
    staging_folder,
)
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
from bodycomp.study.writing import Behind, ReadAhead
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
    loader = AnalyzerLoader(_loading(options, analyzer))
    patients = read_patients(options.patients) if options.patients else PatientTable()
    with opened_workers(options.cluster, 1) as workers:
        models = loader.facts(workers)
        loader = replace(loader, expected=models)
        with opened_work(options, progress) as found:
            key = read_or_make_key(options.out_dir, options.pseudonym_key)
            work = with_pseudonyms(found, key)
            manifest = _prepare_folder(options, models, key, resuming=resuming)
            identity = KeptIdentity() if options.identifiers else PseudonymIdentity(key)
            choice = OutputChoice(
                dicom=options.dicom,
                identity=identity,
                previews=options.previews,
                fhir=options.fhir,
                pdf=options.pdf,
                cards=models.cards,
            )
            identifiers = IDENTIFIER_COLUMNS if options.identifiers else ()
            keys = [tissue.key for tissue in models.tissues]
            compared = reference_columns(models.references, keys)
            columns = result_columns(models.tissues, identifiers, compared)
            with open_journal(options.out_dir / JOURNAL_NAME, StudyRecord) as journal:
                ledger = Ledger(options.out_dir, columns, work, journal)
                run = _Run(options, loader, ledger, choice, patients, progress)
                report = _recorded(run, work, manifest, workers)
    if options.report:
        try:  # a measured run is none the worse where its page fails
            write_analysis_page(options.out_dir)
        except (BodycompError, OSError) as error:
            _LOG.warning("%s is not written (%s)", REPORT_NAME, error)
    return report


def _loading(options: AnalyzeOptions, analyzer: Analyzer | None) -> Callable[[], Analyzer]:
    """Return what loads the analyzer, in this process or another one."""
    if analyzer is None:
        place = models_dir(options.models_dir)  # where this process finds them
        return partial(analyzer_of, replace(options, inputs=(place,), models_dir=place))
    if options.references:
        analysis = replace(analyzer.options, references=references_with(options.references))
        analyzer = replace(analyzer, options=analysis)
    return partial(_given, analyzer)


def _given(analyzer: Analyzer) -> Analyzer:
    return analyzer


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
        references=references_with(options.references),
    )
    return load_analyzer(
        options.models_dir, device=options.device, options=analysis, engine=options.engine
    )


def _prepare_folder(
    options: AnalyzeOptions, models: ModelFacts, key: PseudonymKey, *, resuming: bool
) -> RunManifest:
    """Make or clear the output folder and begin the manifest there."""
    out = options.out_dir
    settings = settings_of(options, models, key.code("key", ""))
    manifest = RunManifest(out / MANIFEST_NAME, settings, options_of(options), models.cards)
    if resuming:
        manifest.check_same_settings()
    if options.overwrite:
        remove_earlier_results(out)
    out.mkdir(parents=True, exist_ok=True)
    manifest.write(RunState.RUNNING, {})  # first of all files: no run is resumed without it
    given = [each for each in models.references if each not in shipped_references()]
    for table in given:
        (out / REFERENCES_FOLDER).mkdir(exist_ok=True)
        write_reference(out / REFERENCES_FOLDER / f"{table.key}.json", table)
    return manifest


def _recorded(run: _Run, work: Worklist, manifest: RunManifest, workers: Workers) -> StudyReport:
    """Run, with a manifest that says how it went, and a table of series as planned and as done."""
    state = RunState.FAILED
    run.write_series()
    try:
        report = run.run(work, workers)
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
    """One pass over a worklist."""

    options: AnalyzeOptions
    loader: AnalyzerLoader
    ledger: Ledger
    choice: OutputChoice
    patients: PatientTable
    progress: Progress

    def write_series(self) -> None:
        """Write the table of series as far as is known of each."""
        path, identifiers = self.options.out_dir / SERIES_NAME, self.options.identifiers
        write_series_table(path, self.ledger.series_rows(), identifiers=identifiers)

    def run(self, work: Worklist, workers: Workers) -> StudyReport:
        """Analyze what is not finished yet and return the report."""
        sources = [item for item in work.sources if not self.ledger.is_finished(item.study)]
        self._done, self._total = len(work.sources) - len(sources), len(work.sources)
        with self.ledger.tables():
            if self.options.cluster:
                self._spread(self._tasks(sources, work), workers)
            else:
                self._pipeline(self._tasks(sources, work), sources)
        if self.options.parquet:
            self.ledger.write_parquet()
        return self.ledger.report()

    def _tasks(self, sources: Sequence[Source], work: Worklist) -> Iterator[StudyTask]:
        for study, members in groupby(sources, key=lambda source: source.study):
            own, fallbacks = tuple(members), work.fallbacks.get(study, ())
            keys = (source.patient_keys for source in (*own, *fallbacks))
            yield StudyTask(study, own, fallbacks, self.patients.only(keys))

    def _pipeline(self, tasks: Iterator[StudyTask], sources: Sequence[Source]) -> None:
        """Read ahead in processes, analyze here, write behind in a thread."""
        workers = self.options.workers
        with ExitStack() as stack:
            ahead = ReadAhead(sources, min(workers, max(len(sources) - 1, 0)))
            behind = Behind(threaded=workers > 0 and len(sources) > 1)
            measurer = StudyMeasurer(
                self.loader(),
                self.choice,
                stack.enter_context(ahead),
                stack.enter_context(behind),
                self.progress,
                self._count,
            )
            for task in tasks:
                measurer.measure(task, self.options.out_dir / task.study, self._add)

    def _spread(self, tasks: Iterator[StudyTask], workers: Workers) -> None:
        """Have workers measure studies; their results get their names here."""
        out = self.options.out_dir
        with staging_folder(out) as stage:
            measure = StageStudy(self.loader, self.choice, stage)
            work = Work(measure, measure.paths, alone=replace(measure, apart=True))
            for task, staged in workers.results(work, tasks):
                self._add(staged.publish(out))
                for _ in task.sources:
                    self._count()

    def _count(self) -> None:
        self._done += 1
        self.progress("series", self._done, self._total)

    def _add(self, record: StudyRecord) -> None:
        for refused in record.refused:
            _LOG.warning("%s is refused; %s says why", refused.series, REFUSED_NAME)
        self.ledger.add(record)
