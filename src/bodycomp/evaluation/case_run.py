"""Models on the cases of a table, scan by scan; memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.loading import AnalyzerLoader
from bodycomp.analysis.members import MemberScores
from bodycomp.analysis.pipeline import Analyzer
from bodycomp.anatomy import NOT_ANNOTATED_LABEL
from bodycomp.errors import ModelError
from bodycomp.evaluation.annotated_case import (
    AnnotatedCase,
    case_facts,
    read_case,
)
from bodycomp.evaluation.end_to_end import TissueRow, tissue_rows
from bodycomp.evaluation.level_rows import LevelRow, SeriesNames, SeriesScores, level_row
from bodycomp.evaluation.options import AnnotationFormat
from bodycomp.imaging.volume import Volume
from bodycomp.preparation.cases import Case
from bodycomp.preparation.refusals import RefusedCase, all_refused, refusal
from bodycomp.processes import Work, Workers
from bodycomp.report.case_view import CaseTruth, case_name, make_case_view, write_case_view
from bodycomp.report.page_content import PageCase
from bodycomp.report.result_rows import SeriesKey
from bodycomp.report.volume_views import coronal_and_sagittal
from bodycomp.results import LevelResult, SeriesResult
from bodycomp.scan import Scan
from bodycomp.study.patients import PatientTable
from bodycomp.tables import Cell

SERIES: Final = "scan"
"""Name of the only series of a case on the page."""


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """What came of one case: rows of levels and tissues of each pair of models.

    ``where`` is its row of the table, ``facts`` are of the columns that subgroups are made by.
    ``without_mask`` are levels in the scan without a mask within 5 mm, where masks are given;
    ``pages`` are its levels on the page.
    """

    where: str
    names: SeriesNames
    facts: Mapping[str, str]
    levels: tuple[tuple[LevelRow, ...], ...]
    tissues: tuple[tuple[TissueRow, ...], ...]
    digest: str
    without_mask: tuple[str, ...]
    notes: tuple[str, ...] = ()
    pages: tuple[PageCase, ...] = ()

    def cells(self, groups: Mapping[str, str]) -> Mapping[str, Cell]:
        """Return a row of ``cases.csv``: where it stands in the user's table, and its subgroups."""
        return {
            "case": self.names.case,
            "patient": self.names.patient,
            "where": self.where,
            **{f"group_{column}": group for column, group in groups.items()},
            "levels_without_mask": " ".join(self.without_mask),
            "notes": "; ".join(self.notes),
        }


@dataclass(frozen=True, slots=True)
class CaseOutcomes:
    """All cases that could be evaluated, in the table's order, and those that could not."""

    cases: tuple[CaseOutcome, ...]
    refused: tuple[RefusedCase, ...]

    def levels(self, model: int = 0) -> list[LevelRow]:
        """Return the levels of all cases by one pair of models."""
        return [row for case in self.cases for row in case.levels[model]]

    def tissues(self, model: int = 0) -> list[TissueRow]:
        """Return the tissues of all cases by one pair of models."""
        return [row for case in self.cases for row in case.tissues[model]]

    def without_mask(self) -> list[str]:
        """Return the levels without a mask, once for every case."""
        return [level for case in self.cases for level in case.without_mask]


@dataclass(frozen=True, slots=True)
class CaseTask:
    """A case to evaluate, its number and its names."""

    number: int
    case: Case
    names: SeriesNames


def _keep(
    folder: Path, number: int, outcome: CaseOutcome, case: AnnotatedCase, result: SeriesResult
) -> Iterator[PageCase]:
    """Keep every level whose place is known, for the page, while the scan is in memory."""
    key = SeriesKey(outcome.names.case, SERIES)
    views = coronal_and_sagittal(case.scan.volume)
    for level, row in zip(result.levels, outcome.levels[0], strict=True):
        if row.is_present is None or not (row.is_present or row.is_found):
            continue
        view = make_case_view(case.scan, result, level, key, _truth(case, level), views)
        own = [t for t in outcome.tissues[0] if t.level == row.level]
        cells = view["cells"] = {**view["cells"], **_cells(row, own)}
        path = folder / f"{number}-{case_name(row.level)}"
        write_case_view(path, view)
        yield PageCase(cells, path)


def _cells(row: LevelRow, tissues: list[TissueRow]) -> Mapping[str, Cell]:
    """Return the columns that an evaluation adds to a row of results."""
    error_mm = row.error_mm
    cells: dict[str, Cell] = {
        "error_mm": error_mm,
        "absolute_error_mm": None if error_mm is None else abs(error_mm),
        "true_z_mm": row.true_z_mm,
    }
    for tissue in tissues:
        cells |= {
            f"{tissue.tissue}_true_area_cm2": None if tissue.true is None else tissue.true.area_cm2,
            f"{tissue.tissue}_total_error_cm2": tissue.total_error_cm2,
            f"{tissue.tissue}_slice_error_cm2": tissue.slice_error_cm2,
            f"{tissue.tissue}_segmentation_error_cm2": tissue.segmentation_error_cm2,
            f"{tissue.tissue}_dice": tissue.agreement.dice.value,
        }
    return cells


def _truth(case: AnnotatedCase, level: LevelResult) -> CaseTruth:
    name = level.choice.level
    index = case.mask_slice(name)
    masks = {}
    if index is not None and case.masks is not None:
        labels = case.masks.labels[index]
        masks[index] = np.where(labels == NOT_ANNOTATED_LABEL, 0, labels).astype(np.uint8)
    return CaseTruth(masks, case.levels.true_z_mm(name))


@dataclass(frozen=True, eq=False)
class CaseEvaluator:
    """Evaluates cases one by one, here or on a worker.

    The first of the ``loaders`` gives the pair of models that is evaluated; what it says of cases
    is kept in the folder ``views``; ``patients`` gives heights, weights and sexes where the files
    do not.
    """

    loaders: tuple[AnalyzerLoader, ...]
    form: AnnotationFormat = field(default_factory=AnnotationFormat)
    patients: PatientTable = field(default_factory=PatientTable)
    fact_names: tuple[str, ...] = ()
    views: Path | None = None

    def __call__(self, task: CaseTask) -> CaseOutcome | RefusedCase:
        """Evaluate a case; one that cannot be read is refused.

        Raises:
            ModelError: A network gave something other than numbers.
        """
        try:
            return self._evaluate(task)
        except ModelError:
            raise  # not the fault of this case
        except Exception as error:  # a damaged file can make any library raise anything
            return replace(refusal(task.case, error), patient=task.names.patient)

    def paths(self, task: CaseTask) -> tuple[Path, ...]:
        """Return what a worker must see."""
        return (task.case.scan, *([] if self.views is None else [self.views]))

    def _evaluate(self, task: CaseTask) -> CaseOutcome:
        case, names = task.case, task.names
        read = read_case(case, self.form)
        subject = self.patients.complete(_keys(case, read.scan), read.scan.subject)
        read = replace(read, scan=replace(read.scan, subject=subject))
        results = [self._analyze(load(), read, names) for load in self.loaders]
        levels = {row.level for _, rows, _ in results for row in rows if row.is_present}
        has_masks = read.masks is not None
        outcome = CaseOutcome(
            where=case.where,
            names=names,
            facts=case_facts(case, read.scan, self.fact_names),
            levels=tuple(rows for _, rows, _ in results),
            tissues=tuple(rows for _, _, rows in results),
            digest=read.digest(),
            without_mask=tuple(
                level for level in sorted(levels) if has_masks and read.mask_slice(level) is None
            ),
            notes=read.scan.notes,
        )
        if self.views is None:
            return outcome
        kept = _keep(self.views, task.number, outcome, read, results[0][0])
        return replace(outcome, pages=tuple(kept))

    @staticmethod
    def _analyze(
        analyzer: Analyzer, case: AnnotatedCase, names: SeriesNames
    ) -> tuple[SeriesResult, tuple[LevelRow, ...], tuple[TissueRow, ...]]:
        volume, scorer = case.scan.volume, analyzer.scorer
        members = MemberScores(scorer, volume)
        scores = SeriesScores(members, len(volume), scorer.scale_mm)
        result = analyzer.analyze(case.scan, score=scores, members=members)
        levels = []
        for column, found in enumerate(result.levels):
            true_z_mm = case.levels.true_z_mm(found.choice.level)
            near = scores.near(column, volume.slice_z_mm, true_z_mm)
            levels.append(level_row(names, found.choice, case.levels, near))
        masks = _masks_at_true_levels(analyzer, case, result.levels)
        tissues = [
            row
            for found in result.levels
            for row in tissue_rows(names, case, found, analyzer.segmenter, masks)
        ]
        return result, tuple(levels), tuple(tissues)


def _keys(case: Case, scan: Scan) -> Mapping[str, str]:
    """Return what a table of patients may know the case by, as ``analyze`` has it.

    Where a file has no Patient ID, its patient is known by the code of the cases table.
    """
    patient = scan.patient_id.strip() or case.patient
    return {"study_uid": scan.study_uid, "patient_id": patient}


def evaluate_all(
    evaluator: CaseEvaluator,
    tasks: Sequence[CaseTask],
    workers: Workers,
    done: Callable[[int], None],
) -> CaseOutcomes:
    """Evaluate all cases; one that cannot be read is refused, and the others are evaluated.

    Raises:
        ModelError: A network gave something other than numbers.
        CasesError: Every case is refused.
    """
    found: dict[int, CaseOutcome | RefusedCase] = {}
    for task, outcome in workers.results(Work(evaluator, evaluator.paths), tasks):
        found[task.number] = outcome
        done(1)
    ordered = [found[task.number] for task in tasks]
    outcomes = [each for each in ordered if isinstance(each, CaseOutcome)]
    refused = [each for each in ordered if isinstance(each, RefusedCase)]
    if not outcomes:
        raise all_refused(refused)
    return CaseOutcomes(tuple(outcomes), tuple(refused))


def _masks_at_true_levels(
    analyzer: Analyzer, case: AnnotatedCase, levels: Sequence[LevelResult]
) -> dict[int, NDArray[np.uint8]]:
    """Return the network's masks of the annotated slices at the true levels."""
    known = {index: mask for level in levels for index, mask in level.masks.items()}
    wanted = {case.mask_slice(level.choice.level) for level in levels}
    missing = sorted(index for index in wanted if index is not None and index not in known)
    volume: Volume = case.scan.volume
    made = analyzer.segmenter(volume, missing) if missing else {}
    return {**known, **made}
