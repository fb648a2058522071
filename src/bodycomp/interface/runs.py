"""Measuring, evaluating and reviewing: the commands as functions with the same options and errors.

Each loads what it needs when it is called, so that importing this module is cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bodycomp.archive.options import PullOptions, PullReport
from bodycomp.benchmark.options import Benchmark, SarosBenchmark, VerseBenchmark
from bodycomp.comparison.options import CompareOptions
from bodycomp.demo.options import DemoOptions
from bodycomp.errors import InputNotFoundError
from bodycomp.evaluation.options import EvaluateOptions
from bodycomp.interface.keywords import OWN_BARS, command
from bodycomp.interface.models import MeasuredScan
from bodycomp.interface.options import RedcapOptions, ReportOptions
from bodycomp.progress import Progress
from bodycomp.reading.read_scan import read_scan
from bodycomp.reference.options import FitOptions
from bodycomp.review.options import (
    AgreementOptions,
    MeasureOptions,
    RemeasureOptions,
    ReviewOptions,
)
from bodycomp.scan import Scan
from bodycomp.study.options import AnalyzeOptions, StudyReport
from bodycomp.suggestion.options import SuggestionReport, SuggestOptions

if TYPE_CHECKING:
    from bodycomp.comparison.run import Comparison
    from bodycomp.evaluation.document import EvaluationDocument
    from bodycomp.reference.fit import FittedReference
    from bodycomp.review.apply import ReviewOutcome
    from bodycomp.review.readers import ReaderPair
    from bodycomp.review.remeasure import Remeasured

_SERIES = {"search": "reading headers", "series": "series"}


@command(AnalyzeOptions, _SERIES, usual={"workers": 0}, inputs="inputs", out="out_dir")
def analyze(options: AnalyzeOptions, progress: Progress) -> StudyReport:
    """Measure every CT series in the inputs and write its results, as ``bodycomp analyze``.

    With ``workers=1``, the command's default, a process of its own reads ahead; a script then
    needs the usual ``if __name__ == "__main__":`` around what it does.

    Raises:
        InputNotFoundError, ModelError, OutputError, UsageError: As the command.
        RunInterruptedError: SIGTERM ended the run; it can be resumed.
    """
    from bodycomp.review.session import refresh_reviewed
    from bodycomp.study.run import analyze_inputs

    found = analyze_inputs(options, progress)
    refresh_reviewed(options.out_dir)
    return found


@command(PullOptions, {"rows": "rows", "studies": "studies"}, archive="archive", out="out_dir")
def pull(options: PullOptions, progress: Progress) -> PullReport:
    """Copy studies from an image archive into a folder to analyze, as ``bodycomp pull``.

    Raises:
        ArchiveError, InputNotFoundError, OutputError, UsageError: As the command.
        RunInterruptedError: SIGTERM ended the pull; the same call continues.
    """
    from bodycomp.archive.run import pull_studies

    return pull_studies(options, progress)


@command(MeasureOptions, scan="scan", mask="mask")
def measure(options: MeasureOptions, _: Progress) -> MeasuredScan:
    """Measure a mask at the levels that are named, as ``bodycomp measure``.

    The scan may be a ``Scan``; without ``out`` nothing is written.

    Raises:
        InputNotFoundError, ReviewError, SeriesError, UsageError, OutputError: As the command.
    """
    from bodycomp.review.measure_mask import measure_mask, write_measured

    scan = options.scan
    if not isinstance(scan, Scan):
        scan = read_scan(scan, series=options.series, min_slices=1)
    if options.height_m or options.weight_kg or options.sex or options.age_years is not None:
        scan = scan.with_subject(
            height_m=options.height_m,
            weight_kg=options.weight_kg,
            sex=options.sex or "",
            age_years=options.age_years,
        )
    scan, result = measure_mask(scan, options)
    if options.out is not None:
        write_measured(scan, result, options.out, options)
    return MeasuredScan.of(scan, result)


@command(
    EvaluateOptions,
    {"segmentation": "slices with masks", "slice_selection": "slices of series", "cases": "cases"},
    models="models",
    out="out",
)
def evaluate(options: EvaluateOptions, progress: Progress) -> EvaluationDocument:
    """Compare models, or masks made anywhere, with what people annotated: ``bodycomp evaluate``.

    ``models`` is None with ``masks`` and ``truth`` alone.

    Raises:
        CasesError, InputNotFoundError, ModelError, OutputError, TrainingSetError, UsageError,
        RunInterruptedError: As the command.
    """
    from bodycomp.evaluation.run import evaluate as run

    return run(options, progress)


@command(SuggestOptions, _SERIES | {"write": "writing"}, scans="scans", out="out")
def suggest(options: SuggestOptions, progress: Progress) -> SuggestionReport:
    """Write the slices to annotate next, with outlines to start from: ``bodycomp suggest``.

    Raises:
        InputNotFoundError, ModelError, OutputError, UsageError: As the command.
    """
    from bodycomp.suggestion.run import suggest_slices

    return suggest_slices(options, progress)


@command(FitOptions, cohort="cohort", out="out")
def fit_reference(options: FitOptions, _: Progress) -> FittedReference:
    """Make curves of a group's own to compare with, as ``bodycomp reference fit``.

    Raises:
        InputNotFoundError, OutputError, UsageError: As the command.
    """
    from bodycomp.reference.fit import fit_reference as run

    return run(options)


@command(ReportOptions, run="run_dir")
def write_report(options: ReportOptions, _: Progress) -> Path:
    """Write the page of an analysis or a training and return where it is: ``bodycomp report``.

    Raises:
        InputNotFoundError, OutputError: As the command.
    """
    from bodycomp.data.folds import FOLDS_NAME, fold_folder
    from bodycomp.study.analysis_page import write_analysis_page
    from bodycomp.training.run_page import is_run_folder, write_run_page

    if (options.run_dir / FOLDS_NAME).is_file():
        raise InputNotFoundError(
            f"expected one training, found one in folds: {options.run_dir}",
            hint=f"Name a fold, such as {fold_folder(options.run_dir, 1)}.",
        )
    write = write_run_page if is_run_folder(options.run_dir) else write_analysis_page
    return write(options.run_dir, options.out)


@command(CompareOptions, {"people": "people"}, runs="runs", out="out")
def compare(options: CompareOptions, progress: Progress) -> Comparison:
    """Say what changed between the scans of each person, as ``bodycomp compare``.

    Raises:
        InputNotFoundError, OutputError, UsageError: As the command.
    """
    from bodycomp.comparison.run import compare as run

    return run(options, progress)


@command(RedcapOptions, run="run_dir")
def write_redcap(options: RedcapOptions, _: Progress) -> tuple[Path, Path]:
    """Write an analysis for REDCap, return table and data dictionary: ``bodycomp redcap``.

    Raises:
        InputNotFoundError, OutputError: As the command.
    """
    from bodycomp.study.redcap import write_redcap_tables

    return write_redcap_tables(options.run_dir)


@command(ReviewOptions, _SERIES, out="out_dir", review="review")
def apply_review(options: ReviewOptions, progress: Progress) -> ReviewOutcome:
    """Take in the CSV that a review page exports, as ``bodycomp review apply``.

    Levels that were moved need ``inputs`` and ``models``.

    Raises:
        InputNotFoundError, ModelError, OutputError, ReviewError: As the command.
    """
    from bodycomp.review.apply import apply_review as run

    return run(options, progress)


@command(AgreementOptions, {"segmentation": "slices with masks"}, out="out_dir", reviews="reviews")
def reader_agreement(
    options: AgreementOptions, progress: Progress
) -> Sequence[tuple[ReaderPair, EvaluationDocument | None]]:
    """Compare readers with one another and the networks, as ``bodycomp review agreement``.

    Returns each pair, and the evaluation of the masks of both, None without any.

    Raises:
        InputNotFoundError, OutputError, ReviewError: As the command.
    """
    from bodycomp.evaluation.options import Truths
    from bodycomp.evaluation.run import evaluate as run
    from bodycomp.json_file import write_json
    from bodycomp.review.readers import compare_readers
    from bodycomp.storage import refuse_existing
    from bodycomp.study.measured_run import opened_run

    refuse_existing(options.folder, overwrite=False)
    with opened_run(options.out_dir) as measured:
        pairs = compare_readers(measured, options.reviews, options.folder)
    found: list[tuple[ReaderPair, EvaluationDocument | None]] = []
    for pair in pairs:
        document = None
        if pair.masks:
            masks, truth = pair.masks
            truths = Truths(masks=masks, truth=truth)
            out = options.folder / pair.name
            document = run(EvaluateOptions(out=out, truths=truths), progress)
        found.append((pair, document))
    options.folder.mkdir(exist_ok=True)
    write_json(options.folder / "readers.json", [pair.document() for pair in pairs])
    return found


@command(RemeasureOptions, _SERIES, out="out_dir", inputs="inputs")
def remeasure(options: RemeasureOptions, progress: Progress) -> Sequence[Remeasured]:
    """Measure a series of a run with a corrected mask or at another slice: ``bodycomp remeasure``.

    Raises:
        InputNotFoundError, ModelError, OutputError, ReviewError, SeriesError: As the command.
    """
    from bodycomp.review.remeasure import remeasure as run

    return run(options, progress)


@command(DemoOptions, out="folder")
def demo(options: DemoOptions, _: Progress) -> tuple[EvaluateOptions, EvaluationDocument]:
    """Run everything on synthetic patients, as ``bodycomp demo``; bars show how far it is."""
    from bodycomp.demo.run import run_demo

    return run_demo(options)


@command(SarosBenchmark, OWN_BARS, folder="folder", out="out")
def benchmark_saros(options: SarosBenchmark, progress: bool | Progress) -> Path:
    """Train and test on SAROS and return the page of the results, as ``bodycomp benchmark saros``.

    What a step has finished is taken as it is when the same call is repeated. ``jobs`` is as for
    ``prepare_saros``.

    Raises:
        InputNotFoundError, CasesError, OutputError, TrainingSetError, TrainingError, UsageError,
        RunInterruptedError: As the command.
    """
    return run_benchmark(options, progress)


@command(VerseBenchmark, OWN_BARS, folder="folder", out="out")
def benchmark_verse(options: VerseBenchmark, progress: bool | Progress) -> Path:
    """Train and test on VerSe and return the page of the results, as ``bodycomp benchmark verse``.

    Resumes and raises as ``benchmark_saros``.
    """
    return run_benchmark(options, progress)


def run_benchmark(options: Benchmark, progress: bool | Progress = False) -> Path:
    """Make the table of a benchmark; see ``benchmark_saros``."""
    from bodycomp.benchmark.run import run_benchmark as run

    return run(options, progress)


def dry_run_benchmark(options: Benchmark, progress: bool | Progress = False) -> list[str]:
    """Report what a benchmark would take, as ``bodycomp benchmark ... --dry-run``."""
    from bodycomp.benchmark.run import dry_run_benchmark as run

    return run(options, progress)
