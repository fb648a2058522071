"""A data set from the download to a table: preparation, training, test, page; each step once."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any, Final

from bodycomp.benchmark.options import Benchmark
from bodycomp.benchmark.page import PAGE_NAME, write_page
from bodycomp.digests import SHORT, text_digest
from bodycomp.errors import BodycompError, OutputError
from bodycomp.evaluation.document import EVALUATION_NAME
from bodycomp.evaluation.options import EvaluateOptions
from bodycomp.evaluation.run import evaluate
from bodycomp.json_file import write_json
from bodycomp.networks.model_folder import read_model_files
from bodycomp.preparation.refusals import REFUSED_NAME
from bodycomp.preparation.sources.run import prepare_source
from bodycomp.progress import Progress, shown
from bodycomp.storage import refuse_existing
from bodycomp.training.dry_run import dry_run
from bodycomp.training.folds import train

log = logging.getLogger(__name__)

MARK_NAME: Final = "benchmark.json"
"""Says that a folder is a benchmark's, and which cases its set was made of."""


def run_benchmark(options: Benchmark, progress: bool | Progress = False) -> Path:
    """Prepare the data set, train, test the model, and return the page of the results.

    What a step has finished stays, and is taken as it is when the same command runs again.

    Raises:
        OutputError: The folder holds something else, or a benchmark on other cases.
        InputNotFoundError, CasesError: As the preparation.
        TrainingSetError, TrainingError, UsageError: As the training.
        RunInterruptedError: Ctrl-C or SIGTERM; the same command resumes.
    """
    _prepare(options, progress)
    log.info("2/4 training")
    train(options.training(), progress)
    _evaluate(options, progress)
    log.info("4/4 table")
    write_page(options)
    return options.out / PAGE_NAME


def dry_run_benchmark(options: Benchmark, progress: bool | Progress = False) -> list[str]:
    """Report what the training of the benchmark would take, in words.

    The set is made first, if it is not there, since the estimate is by its slices; it stays for the
    benchmark. Raises as ``run_benchmark``.
    """
    _prepare(options, progress)
    return dry_run(options.training(), progress)


def _prepare(options: Benchmark, progress: bool | Progress) -> None:
    """Make the set, unless it is there."""
    cases = _cases_asked_for(options)
    mark = options.out / MARK_NAME
    if mark.is_file():
        _check_same(json.loads(mark.read_text(encoding="utf-8")), cases, options)
    else:
        refuse_existing(options.out)
        options.out.mkdir(parents=True, exist_ok=True)
        write_json(mark, cases)
    if options.set_dir.exists():
        log.info("1/4 the set is there: %s", options.set_dir)
        return
    log.info("1/4 preparing the set")
    titles = {"unpacking": "unpacking", "cases": "cases", "writing": "writing"}
    try:
        with shown(progress, titles | {"checking": "reading again"}) as report:
            summary = prepare_source(options.preparation(), report)
    except BodycompError:
        if [path.name for path in options.out.iterdir()] == [MARK_NAME]:
            shutil.rmtree(options.out)  # nothing was begun
        raise
    if summary.refused:
        log.warning(
            "INCOMPLETE: %d cases were refused (%s); mend them, remove %s and repeat, or the table "
            "is of the others",
            len(summary.refused),
            options.set_dir / REFUSED_NAME,
            options.set_dir,
        )


def _cases_asked_for(options: Benchmark) -> dict[str, Any]:
    """Return what decides which cases are in the set."""
    table = options.license_table
    text = None if table is None or not table.is_file() else table.read_text(encoding="utf-8")
    return {
        "benchmark": options.name,
        "licenses": options.licenses,
        "license_table": None if text is None else text_digest(text, SHORT),
    }


def _check_same(before: dict[str, Any], now: dict[str, Any], options: Benchmark) -> None:
    changed = [
        f"{key} was {before.get(key)!r}, now {value!r}"
        for key, value in now.items()
        if before.get(key) != value
    ]
    if changed:
        raise OutputError(
            f"the benchmark in {options.out} is on other cases: {'; '.join(changed)}",
            hint="Repeat it with the options that it began with, or name another folder.",
        )


def _evaluate(options: Benchmark, progress: bool | Progress) -> None:
    """Test the model, unless this very one was tested."""
    digest = read_model_files(options.run_dir)[2][:SHORT]
    path = options.evaluation_dir / EVALUATION_NAME
    if path.is_file():
        tested = json.loads(path.read_text(encoding="utf-8"))["models"]
        if tested == {options.stage: digest}:
            log.info("3/4 the model was tested: %s", options.evaluation_dir)
            return
    log.info("3/4 testing the model")
    asked = EvaluateOptions(
        out=options.evaluation_dir,
        truths=options.truths(),
        models=options.models_dir,
        device="cpu" if options.gpus == 0 else "auto",
        identifiers=True,  # codes of a published data set
        overwrite=path.is_file(),
    )
    with shown(progress, {options.stage: options.counted}) as report:
        evaluate(asked, report)
