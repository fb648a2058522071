"""The whole evaluation, into one folder that appears when all is measured."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from bodycomp.analysis.loading import AnalyzerLoader, load_analyzer
from bodycomp.analysis.pipeline import Analyzer
from bodycomp.cluster import opened_workers
from bodycomp.digests import text_digest
from bodycomp.errors import RunInterruptedError, UsageError
from bodycomp.evaluation.area_intervals import AreaCase, add_intervals
from bodycomp.evaluation.case_run import CaseEvaluator, CaseOutcomes, CaseTask, evaluate_all
from bodycomp.evaluation.document import (
    CASES_CSV,
    EVALUATION_NAME,
    TEST_SPLIT,
    EvaluationDocument,
    count_steps,
    write_evaluation,
)
from bodycomp.evaluation.end_to_end import add_tissues
from bodycomp.evaluation.level_rows import SeriesNames, name_series
from bodycomp.evaluation.options import BootstrapOptions, EvaluateOptions, Truths
from bodycomp.evaluation.page import PAGE_NAME, write_evaluation_page
from bodycomp.evaluation.segmentation import evaluate_masks, evaluate_segmentation_set
from bodycomp.evaluation.slice_selection import add_levels, evaluate_slice_set
from bodycomp.evaluation.subgroups import SubgroupColumn, groups_of, subgroups_section
from bodycomp.preparation.cases import Case, read_cases
from bodycomp.preparation.splits import check_columns
from bodycomp.progress import Progress
from bodycomp.report.page_content import PageCase
from bodycomp.signals import SignalWatch
from bodycomp.storage import atomic_folder, refuse_other, remove_interrupted
from bodycomp.study.patients import PatientTable, read_patients

STAGE: Final = "cases"


LoadAnalyzer = Callable[..., Analyzer]
"""Loads both models of a folder, as ``load_analyzer``."""


def evaluate_cases(
    options: EvaluateOptions,
    progress: Progress,
    document: EvaluationDocument,
    load: LoadAnalyzer = load_analyzer,
    views: Path | None = None,
) -> list[PageCase]:
    """Evaluate on a cases table; return its levels for the page, kept in the folder ``views``."""
    truths = options.truths
    if truths.cases is None or options.models is None:
        return []
    table = read_cases(truths.cases)
    names = name_series([case.patient for case in table.cases], identifiers=options.identifiers)
    cases, split = _of_split(list(zip(table.cases, names, strict=True)), truths)
    columns = [SubgroupColumn.parse(text) for text in options.by]
    check_columns([column.column for column in columns], table, "make subgroups by")
    loaders = tuple(
        AnalyzerLoader(partial(load, models, device=options.device, engine=options.engine))
        for models in (options.models, options.against)
        if models
    )
    step = count_steps(progress, STAGE, len(cases))
    step(0)
    form = options.form
    form = form if form.mapping is not None else replace(form, mapping=table.labels)
    patients = read_patient_table(options.patients)
    with opened_workers(options.cluster, 1) as workers:
        models = [loader.facts(workers) for loader in loaders]
        evaluator = CaseEvaluator(
            tuple(replace(each, expected=own) for each, own in zip(loaders, models, strict=True)),
            form,
            patients,
            tuple(column.column for column in columns),
            views,
        )
        tasks = [CaseTask(number, *each) for number, each in enumerate(cases)]
        outcomes = evaluate_all(evaluator, tasks, workers, step)
    for role in ("slice_selection", "segmentation"):
        document.add_digests(role, tuple(facts.digests[role] for facts in models))
    document.warn_of_split(split)
    _add(document, outcomes, split, options.bootstrap)
    if columns:
        section = subgroups_section(outcomes, columns, options.bootstrap)
        document.sections["subgroups"] = section
    groups = {column.column: groups_of(outcomes, column) for column in columns}
    document.tables[CASES_CSV] = [
        case.cells({column: own[index] for column, own in groups.items()})
        for index, case in enumerate(outcomes.cases)
    ]
    return [page for case in outcomes.cases for page in case.pages]


def _add(
    document: EvaluationDocument, outcomes: CaseOutcomes, split: str, bootstrap: BootstrapOptions
) -> None:
    """Note what came of the cases: levels, tissues, and what was refused."""
    document.data[STAGE] = {
        "kind": "cases table",
        "digest": text_digest("".join(sorted(case.digest for case in outcomes.cases))),
        "split": split,
        "cases": len(outcomes.cases),
        "patients": len({case.names.patient for case in outcomes.cases}),
        "refused_cases": len(outcomes.refused),
    }
    if outcomes.refused:
        count = len(outcomes.refused)
        cases = "1 case was" if count == 1 else f"{count} cases were"
        document.warn(f"{cases} refused, and in no number; refused.csv says why")
    document.refused += outcomes.refused
    models = range(len(outcomes.cases[0].levels))
    add_levels(document, STAGE, [outcomes.levels(model) for model in models], bootstrap)
    tissues = [outcomes.tissues(model) for model in models]
    add_tissues(document, tissues, outcomes.without_mask(), bootstrap)
    areas = [
        AreaCase(row.patient, row.tissue, row.measured.area_cm2, row.true.area_cm2, row.is_flagged)
        for row in tissues[0]
        if row.measured is not None and row.true is not None
    ]
    add_intervals(document, areas, STAGE, document.models["slice_selection"])


def _of_split(
    cases: Sequence[tuple[Case, SeriesNames]], truths: Truths
) -> tuple[list[tuple[Case, SeriesNames]], str]:
    """Return the cases of a split and its name, empty where the table has no splits.

    Raises:
        UsageError: The split has no case.
    """
    has_splits = any(case.split for case, _ in cases)
    wanted = truths.split or (TEST_SPLIT if has_splits else "")
    chosen = [(case, names) for case, names in cases if not wanted or case.split == wanted]
    if not chosen and truths.cases is not None:
        there = ", ".join(sorted({case.split or "no split" for case, _ in cases}))
        raise UsageError(
            f"{truths.cases.name}: expected cases of the split {wanted}, found {there}",
            hint="Name another one with --split.",
        )
    return chosen, wanted


def read_patient_table(path: Path | None) -> PatientTable:
    """Read the table of patients."""
    table = PatientTable() if path is None else read_patients(path)
    if path is not None and not any(column != "study" for column, _ in table.rows):
        raise UsageError(
            f"{path.name}: expected a column patient_id or study_uid, found study alone",
            hint="'study' is a name that a run of bodycomp analyze gave; an evaluation has none.",
        )
    return table


VIEWS_FOLDER: Final = ".views"
"""Cases until the page is written; never in what is left."""


def evaluate(
    options: EvaluateOptions, progress: Progress, load: LoadAnalyzer = load_analyzer
) -> EvaluationDocument:
    """Evaluate, and write ``evaluation.json`` and its tables into ``options.out``.

    Raises:
        OutputError: The folder has content that may not be replaced.
        InputNotFoundError, ModelError, TrainingSetError, CasesError, UsageError: An input cannot
            be used.
        RunInterruptedError: Ctrl-C or SIGTERM; nothing is left.
    """
    refuse_other(options.out, "an earlier evaluation", EVALUATION_NAME, overwrite=options.overwrite)
    remove_interrupted(options.out)
    document = EvaluationDocument()
    with (
        SignalWatch(partial(_interrupted, options)),
        atomic_folder(options.out, overwrite=options.overwrite) as folder,
    ):
        evaluate_segmentation_set(options, progress, document, folder)
        evaluate_masks(options, progress, document)
        evaluate_slice_set(options, progress, document)
        views = folder / VIEWS_FOLDER
        views.mkdir()
        pages = evaluate_cases(options, progress, document, load, views)
        content = write_evaluation(folder, document, options.bootstrap)
        if options.models is not None and options.truths.cases is not None:
            write_evaluation_page(folder / PAGE_NAME, content, pages, options.models)
        shutil.rmtree(views)
    return document


def _interrupted(options: EvaluateOptions, number: int) -> RunInterruptedError:
    return RunInterruptedError(
        f"the evaluation was ended by {signal.Signals(number).name}; nothing of "
        f"it is left in {options.out}",
        signal_number=number,
        hint="Start it again with the same command.",
    )
