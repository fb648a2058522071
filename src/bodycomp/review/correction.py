"""A level that a person moved, or a mask that they corrected -> what is measured then.

Moving a level in a review and giving back a corrected mask are both done here, so that both give
the numbers that the analysis would have given at that slice and with that mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.masks import compare_masks
from bodycomp.analysis.level_measuring import LevelMeasurer
from bodycomp.analysis.measurement import with_intervals
from bodycomp.analysis.pipeline import Segmenter
from bodycomp.anatomy import Tissue
from bodycomp.errors import ReviewError
from bodycomp.reference.table import (
    ReferenceTable,
    reference_columns,
    shipped_references,
)
from bodycomp.report.result_rows import (
    CORRECTED,
    SeriesKey,
    correction_cells,
    result_rows,
    tissues_of,
)
from bodycomp.results import (
    Correction,
    LevelStatus,
    Quantity,
    SeriesResult,
    SliceChoice,
)
from bodycomp.review.history import Change, EventKind, ReviewEvent
from bodycomp.review.measure_mask import GivenMask, file_digest
from bodycomp.review.recorded import (
    recorded_caution,
    recorded_choice,
    recorded_masks,
    recorded_subject,
)
from bodycomp.review.session import corrected_folder, new_stage
from bodycomp.scan import Scan
from bodycomp.storage import flush_folder
from bodycomp.study.measured_run import CaseKey, MeasuredRun
from bodycomp.study.outputs import LABELS_NAME, RESULT_NAME, OutputChoice, write_series
from bodycomp.tables import Cell

MOVED_REASON: Final = "level moved by a reviewer"


@dataclass(frozen=True, eq=False, kw_only=True)
class LevelChange:
    """What a person changed of one case.

    Attributes:
        slice_index: Slice that the level was moved to; None if it stays.
        z_mm: Where the level lies, between slices; None for the slice's own position.
        mask: None if the network's is taken.
        networks_labels: The network's masks where the level was moved to before, if there are any.
    """

    case: CaseKey
    slice_index: int | None = None
    z_mm: float | None = None
    mask: GivenMask | None = None
    networks_labels: Path | None = None
    by: str = field(repr=False)
    at: str
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, eq=False)
class Corrector:
    """Measures corrected levels of one series, with the options of its run.

    The segmenter labels slices for which no mask is given.
    """

    run: MeasuredRun
    key: SeriesKey
    scan: Scan
    outputs: OutputChoice
    segmenter: Segmenter | None = None

    def choice(self, change: LevelChange, row: Mapping[str, Cell]) -> SliceChoice:
        """Return where the level lies after a change.

        Raises:
            ReviewError: The slice is not in the scan, or the level lies nowhere.
        """
        volume = self.scan.volume
        now = recorded_choice(self._document(change.case), row, volume.slice_z_mm)
        index = change.slice_index
        if index is None:
            if now.slice_index is None:
                raise ReviewError(
                    f"{change.case} was not found, so that there is no slice to measure",
                    hint="Say where it lies, with --slice or --z-mm.",
                )
            return now
        if now.height_mm is not None:
            raise ReviewError(
                f"{change.case} lies between two levels: expected one of these to be moved",
                hint="Move it with --level, then analyze again.",
            )
        if not 0 <= index < len(volume):
            raise ReviewError(
                f"{change.case}: expected a slice from 0 to {len(volume) - 1}, found {index}"
            )
        z_mm = float(volume.slice_z_mm[index]) if change.z_mm is None else change.z_mm
        moved = replace(now, status=LevelStatus.FOUND, reason=MOVED_REASON, slice_index=index)
        return replace(
            moved,
            z_mm=z_mm,
            confidence=None,
            confidence_basis="",
            slope_ratio=None,
            members_z_mm=(),
        )

    def slices_of(self, case: CaseKey, choice: SliceChoice) -> tuple[int, ...]:
        """Return the slices that are measured for a level."""
        return self._measurer(case).slices_of(choice)

    def event(self, change: LevelChange, choice: SliceChoice, kind: EventKind) -> ReviewEvent:
        """Measure a level, write its results into a hidden folder, and return the event of it.

        Raises:
            ReviewError: The given mask has no label on a slice of the level.
        """
        measurer = self._measurer(change.case, self._caution(change, choice))
        masks = self._masks(change, measurer.slices_of(choice))
        level = measurer.measure(choice, masks)
        if change.mask is None and self.segmenter and self.run.settings.get("intervals"):
            level = with_intervals(level, self.segmenter, self.scan.volume, measurer.tissues)
        correction = self._correction(change, choice, masks)
        slice_selection, segmentation = self.run.models
        result = SeriesResult(
            tissues=measurer.tissues,
            levels=(replace(level, correction=correction),),  # nothing else of its series
            models={"slice_selection": slice_selection, "segmentation": segmentation},
            subject=measurer.scan.subject,
            acquisition=measurer.scan.acquisition,
            references=measurer.references,
        )
        stage = new_stage(self.run, change.case)
        scan = write_series(stage, self.key, self.scan, result, self.outputs)
        flush_folder(stage)
        (cells,) = result_rows(self.key, scan, result)
        return ReviewEvent(
            case=change.case,
            kind=kind,
            at=change.at,
            by=change.by,
            comment=change.reason,
            change=Change.CORRECTED,
            row=cells | correction_cells(correction),
            stage=stage.name,
        )

    def _document(self, case: CaseKey) -> Path:
        return self.run.folder(case) / RESULT_NAME

    def _measurer(self, case: CaseKey, caution: str = "") -> LevelMeasurer:
        row = self.run.rows[case]
        scan = replace(self.scan, subject=recorded_subject(row, self.scan.subject))
        range_mm = float(self.run.settings["range_mm"])
        return LevelMeasurer(
            scan,
            tissues_of(row),
            range_mm,
            by_hand=True,
            caution=caution,
            references=self._references(row),
        )

    def _references(self, row: Mapping[str, Cell]) -> tuple[ReferenceTable, ...]:
        """Return the references of the run, as far as its table has their columns."""
        keys = [tissue.key for tissue in tissues_of(row)]
        tables = (*shipped_references(), *self.run.references)
        return tuple(each for each in tables if set(reference_columns([each], keys)) <= row.keys())

    def _caution(self, change: LevelChange, choice: SliceChoice) -> str:
        """Return what is to be said of the models that still have a part in a level."""
        if change.mask is None:
            return self.segmenter.caution if self.segmenter else ""
        if _is_moved(self._before(change.case), choice):
            return ""
        return recorded_caution(self._document(change.case), change.case.level)

    def _before(self, case: CaseKey) -> SliceChoice:
        """Return where the networks found a level."""
        z_mm = self.scan.volume.slice_z_mm
        return recorded_choice(self._document(case), self.run.rows[case], z_mm)

    def _masks(
        self, change: LevelChange, indices: tuple[int, ...]
    ) -> Mapping[int, NDArray[np.uint8]]:
        mask = change.mask
        if mask is None:
            if self.segmenter is None:
                raise ReviewError(
                    f"{change.case}: expected the models or a mask, found neither",
                    hint="Name the models that were used with --models.",
                )
            return self.segmenter(self.scan.volume, indices)
        empty = [index for index in indices if not mask.annotated[index]]
        if empty:
            raise ReviewError(
                f"{change.case} is measured on slice {', '.join(map(str, empty))}: expected "
                f"labels there in the mask, found {mask.where}",
                hint="Counted from 0 at the feet. If the level lies elsewhere say so with --level "
                "and --slice.",
            )
        return {index: mask.labels[index] for index in indices}

    def _correction(
        self, change: LevelChange, choice: SliceChoice, masks: Mapping[int, NDArray[np.uint8]]
    ) -> Correction:
        row = self.run.rows[change.case]
        before = self._before(change.case)
        is_moved = _is_moved(before, choice)
        what = (("level",) if is_moved else ()) + (("mask",) if change.mask else ())
        tissues = tissues_of(row)
        there = change.networks_labels if is_moved else None
        labels = there or self.run.folder(change.case) / LABELS_NAME
        areas = {tissue.key: row[f"{tissue.key}_area_cm2"] for tissue in tissues}
        return Correction(
            what=what,
            by=change.by,
            at=change.at,
            reason=change.reason,
            slice_index_before=before.slice_index,
            z_mm_before=before.z_mm,
            areas_before_cm2={k: float(a) for k, a in areas.items() if isinstance(a, float | int)},
            mask_digest_before=file_digest(labels),
            mask_digest=change.mask.digest if change.mask else "",
            dice=_undefined(tissues, "the level was moved to slices without a mask of the networks")
            if is_moved and there is None
            else _dice(masks, recorded_masks(labels, self.scan.volume), tissues),
        )


def _is_moved(before: SliceChoice, after: SliceChoice) -> bool:
    return (after.slice_index, after.z_mm) != (before.slice_index, before.z_mm)


def _dice(
    masks: Mapping[int, NDArray[np.uint8]],
    networks: NDArray[np.uint8] | None,
    tissues: tuple[Tissue, ...],
) -> Mapping[str, Quantity]:
    if networks is None:
        return _undefined(tissues, "the networks' masks are not there")
    ours = np.vstack(list(masks.values()))
    theirs = np.vstack([networks[index] for index in masks])
    found = compare_masks(ours, theirs, tissues, None)
    return {tissue.key: found[tissue.key].dice for tissue in tissues}


def _undefined(tissues: tuple[Tissue, ...], reason: str) -> Mapping[str, Quantity]:
    return {tissue.key: Quantity(None, reason) for tissue in tissues}


def networks_labels(run: MeasuredRun, case: CaseKey, row: Mapping[str, Cell]) -> Path | None:
    """Return the network's masks where a row says that a level was moved to.

    None where a person changed them as well, and where the level was not moved.
    """
    return corrected_folder(run, case) / LABELS_NAME if row.get(CORRECTED) == "level" else None
