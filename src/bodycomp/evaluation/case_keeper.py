"""Cases of an evaluation as the page shows them, made while the scans are in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from bodycomp.anatomy import NOT_ANNOTATED_LABEL
from bodycomp.evaluation.annotated_case import AnnotatedCase
from bodycomp.evaluation.case_run import CaseOutcome
from bodycomp.evaluation.level_rows import LevelRow
from bodycomp.evaluation.tissue_rows import TissueRow
from bodycomp.report.case_view import CaseTruth, case_name, make_case_view, write_case_view
from bodycomp.report.page_content import PageCase
from bodycomp.report.reformat import coronal_and_sagittal
from bodycomp.report.result_rows import Cell, SeriesKey
from bodycomp.results import LevelResult, SeriesResult

SERIES: Final = "scan"
"""Name of the only series of a case."""


class CaseKeeper:
    """Writes a file for every level of every case whose place is known, and lists them.

    Args:
        folder: Where the files go; they are needed until the page is written.
    """

    def __init__(self, folder: Path) -> None:
        self.cases: list[PageCase] = []
        self._folder = folder

    def __call__(self, outcome: CaseOutcome, case: AnnotatedCase, result: SeriesResult) -> None:
        """Keep one case; see ``case_run.CaseSeen``."""
        key = SeriesKey(outcome.names.case, SERIES)
        views = coronal_and_sagittal(case.scan.volume)
        number = len(self.cases)
        for level, row in zip(result.levels, outcome.models[0].levels, strict=True):
            if row.is_present is None or not (row.is_present or row.is_found):
                continue
            view = make_case_view(case.scan, result, level, key, _truth(case, level), views)
            own = [t for t in outcome.models[0].tissues if t.level == row.level]
            cells = {**view["cells"], **evaluation_cells(row, own)}
            path = self._folder / f"{number}-{case_name(row.level)}"
            view["cells"] = cells
            write_case_view(path, view)
            self.cases.append(PageCase(cells, path))


def evaluation_cells(row: LevelRow, tissues: list[TissueRow]) -> Mapping[str, Cell]:
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
