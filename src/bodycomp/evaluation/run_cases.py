"""Both models on the scans of a cases table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bodycomp.analysis.loading import load_analyzer
from bodycomp.analysis.pipeline import Analyzer
from bodycomp.digests import text_digest
from bodycomp.errors import UsageError
from bodycomp.evaluation.case_run import CaseEvaluator, CaseOutcomes, CaseSeen
from bodycomp.evaluation.chosen_cases import ChosenCases, check_columns, choose_cases
from bodycomp.evaluation.comparison import paired
from bodycomp.evaluation.document import Evaluation
from bodycomp.evaluation.end_to_end import compare_tissues, end_to_end_section
from bodycomp.evaluation.level_rows import LevelRow
from bodycomp.evaluation.options import EvaluateOptions
from bodycomp.evaluation.slice_selection import compare_levels, slice_selection_section
from bodycomp.evaluation.subgroups import Grouping, groups_of, subgroups_section
from bodycomp.evaluation.tables import (
    CASES_CSV,
    END_TO_END_CSV,
    level_cells,
    tissue_cells,
    write_case_table,
    write_rows,
)
from bodycomp.preparation.report_files import write_refused
from bodycomp.progress import Progress
from bodycomp.report.result_rows import Cell
from bodycomp.study.patients import PatientTable, read_patients

STAGE = "cases"
SOURCE = "cases"


class LoadAnalyzer(Protocol):
    """Loads both models of a folder, as ``load_analyzer``."""

    def __call__(self, models_dir: Path, *, device: str, engine: str) -> Analyzer:
        """Return them, ready to run."""
        ...


def run_cases(
    options: EvaluateOptions,
    folder: Path,
    progress: Progress,
    evaluation: Evaluation,
    load: LoadAnalyzer = load_analyzer,
    seen: CaseSeen | None = None,
) -> list[list[LevelRow]]:
    """Evaluate on a cases table and return the levels of each pair of models.

    Raises:
        CasesError, UsageError: The table, the split or a column to group by cannot be used.
        ModelError: A model cannot be used.
    """
    if options.truths.cases is None or options.models is None:
        return []
    chosen = choose_cases(
        options.truths.cases,
        options.truths.split,
        options.form,
        identifiers=options.identifiers,
    )
    groupings = [Grouping.parse(text) for text in options.by]
    check_columns([grouping.column for grouping in groupings], chosen)
    analyzers = [
        load(models, device=options.device, engine=options.engine)
        for models in (options.models, options.against)
        if models
    ]
    names = tuple(grouping.column for grouping in groupings)
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(STAGE, done, len(chosen.cases))

    progress(STAGE, 0, len(chosen.cases))
    patients = read_patient_table(options.patients)
    evaluator = CaseEvaluator(analyzers, chosen.form, patients, names, seen)
    outcomes = evaluator.run(chosen.cases, step)
    for role in ("slice_selection", "segmentation"):
        digests = tuple(
            (a.scorer if role == "slice_selection" else a.segmenter).digest for a in analyzers
        )
        evaluation.add_digests(role, digests)
    evaluation.data[STAGE] = _data(chosen, outcomes)
    evaluation.warn(*chosen.warnings, *_refused_words(outcomes))
    evaluation.refused += outcomes.refused
    _summarise(options, evaluation, outcomes, groupings)
    _write(folder, outcomes, len(analyzers), [groups_of(outcomes, g) for g in groupings])
    return [outcomes.levels(model) for model in range(len(analyzers))]


def read_patient_table(path: Path | None) -> PatientTable:
    """Read the table of patients.

    Raises:
        InputNotFoundError, UsageError: As ``read_patients``, or it names nobody in a way that an
            evaluation knows.
    """
    table = PatientTable() if path is None else read_patients(path)
    if path is not None and not any(column != "study" for column, _ in table.rows):
        raise UsageError(
            f"{path.name}: expected a column patient_id or study_uid, found study alone",
            hint="'study' is a name that a run of bodycomp analyze gave; an evaluation has none.",
        )
    return table


def _summarise(
    options: EvaluateOptions,
    evaluation: Evaluation,
    outcomes: CaseOutcomes,
    groupings: Sequence[Grouping],
) -> None:
    bootstrap, sections = options.bootstrap, evaluation.sections
    levels = slice_selection_section(outcomes.levels(), bootstrap)
    sections.setdefault("slice_selection", {})[SOURCE] = levels
    if outcomes.tissues():
        sections["end_to_end"] = end_to_end_section(outcomes, bootstrap)
    if groupings:
        sections["subgroups"] = subgroups_section(outcomes, groupings, bootstrap)
    if options.against is None:
        return
    pairs = paired(
        [outcomes.levels(0), outcomes.levels(1)], lambda row: (row.case, row.level), "levels"
    )
    compared = compare_levels(pairs, bootstrap)
    evaluation.comparison.setdefault("slice_selection", {})[SOURCE] = compared
    tissues = paired(
        [outcomes.tissues(0), outcomes.tissues(1)],
        lambda row: (row.case, row.level, row.tissue),
        "tissues",
    )
    if tissues:
        evaluation.comparison["end_to_end"] = compare_tissues(tissues, bootstrap)


def _write(
    folder: Path,
    outcomes: CaseOutcomes,
    models: int,
    groups: Sequence[tuple[str, Sequence[str]]],
) -> None:
    tissues = [outcomes.tissues(model) for model in range(models)]
    write_rows(folder / END_TO_END_CSV, tissues, tissue_cells)
    of_case: list[Mapping[str, str]] = [
        {column: own[index] for column, own in groups} for index in range(len(outcomes.cases))
    ]
    write_case_table(folder / CASES_CSV, outcomes, of_case)
    if outcomes.refused:
        write_refused(folder, outcomes.refused)


def _data(chosen: ChosenCases, outcomes: CaseOutcomes) -> dict[str, Cell]:
    return {
        "kind": "cases table",
        "digest": text_digest("".join(sorted(case.digest for case in outcomes.cases))),
        "split": chosen.split,
        "cases": len(outcomes.cases),
        "patients": len({case.names.patient for case in outcomes.cases}),
        "refused_cases": len(outcomes.refused),
    }


def _refused_words(outcomes: CaseOutcomes) -> list[str]:
    count = len(outcomes.refused)
    if not count:
        return []
    cases = "1 case was" if count == 1 else f"{count} cases were"
    return [f"{cases} refused, and in no number; refused.csv says why"]


def case_cells(row: LevelRow) -> dict[str, Cell]:
    """Return a row of ``slice_selection.csv``."""
    return {"source": SOURCE, **level_cells(row)}
