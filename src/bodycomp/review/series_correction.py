"""A mask or a place that a person gave -> what changes at each level of a series."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bodycomp.errors import ReviewError
from bodycomp.report.result_rows import Cell
from bodycomp.report.review_rows import CORRECTED
from bodycomp.review.corrected_folders import corrected_folder
from bodycomp.review.correcting import FoundScans, corrected_event, now, stage_correction
from bodycomp.review.correction import Corrector, GivenMask, LevelChange, slices_in_words
from bodycomp.review.history import Change, EventKind, ReviewEvent
from bodycomp.review.recorded_level import recorded_masks
from bodycomp.review.remeasure_options import RemeasureOptions
from bodycomp.review.reviewed_table import row_in_effect
from bodycomp.review.session import ReviewSession
from bodycomp.study.measured_run import Case
from bodycomp.study.outputs import LABELS_NAME


class SeriesCorrection:
    """What a person gave for one series, taken to its levels one after the other.

    Args:
        session: The run and what counts so far.
        scans: The run's series among the inputs.
        corrector: Measures this series.
        options: What the person gave.
        mask: The mask among it, on the series' grid.
    """

    def __init__(
        self,
        session: ReviewSession,
        scans: FoundScans,
        corrector: Corrector,
        options: RemeasureOptions,
        mask: GivenMask | None,
    ) -> None:
        self._session = session
        self._scans = scans
        self._corrector = corrector
        self._options = options
        self._mask = mask
        self._at = now()
        self._covered = False
        self._measured: set[int] = set()

    def event(self, case: Case) -> ReviewEvent | None:
        """Measure a level anew and stage its results; None if nothing changes.

        Raises:
            ReviewError: It cannot be measured there.
        """
        run, state = self._session.run, self._session.state(case)
        in_effect, networks = row_in_effect(run, case, state), run.rows[case]
        row, change = self._change(case, in_effect)
        if not (row["slice_index"] is not None or change.slice_index is not None or self._is_named):
            return None  # not found by the networks either
        choice = self._corrector.choice(change, row)
        indices = self._corrector.slices_of(case, choice)
        self._measured.update(indices)
        if not (self._is_named or self._covers(indices)):
            return None
        self._covered = True
        place = (choice.slice_index, choice.z_mm)
        now_in = corrected_folder(run, case) if state.corrected else run.folder(case)
        if place == _place(in_effect) and self._is_mask_of(now_in, indices):
            return None
        if place == _place(networks) and self._is_mask_of(run.folder(case), indices):
            return self._restored(change)
        result = self._corrector.measure(change, choice)
        staged = stage_correction(self._scans, self._corrector, change, result)
        return corrected_event(run, change, EventKind.REMEASURE, staged)

    def check_some_was_covered(self) -> None:
        """Check that the mask was good for any level.

        Raises:
            ReviewError: It has labels on no slice of any level.
        """
        if self._covered:
            return
        measured = sorted(self._measured)
        found = "none" if self._mask is None else slices_in_words(self._mask)
        raise ReviewError(
            f"expected labels where a level is measured (slice {', '.join(map(str, measured))}), "
            f"found {found}",
            hint="Counted from 0 at the feet. If a level lies there say so with --level and "
            "--slice.",
        )

    def _change(
        self, case: Case, in_effect: Mapping[str, Cell]
    ) -> tuple[Mapping[str, Cell], LevelChange]:
        """Return the row from which the level is moved, and the change.

        A move to the slice where the level lies is none; one to the networks' slice takes their
        place between slices, too.
        """
        row, index, z_mm = in_effect, self._options.slice_index, self._options.z_mm
        networks = self._session.run.rows[case]
        if z_mm is not None:
            index = self._slice_at(z_mm)
        elif index is not None and index in (in_effect["slice_index"], networks["slice_index"]):
            row, index = in_effect if index == in_effect["slice_index"] else networks, None
        return row, LevelChange(
            case=case,
            slice_index=index,
            z_mm=z_mm,
            mask=self._mask,
            networks_labels=self._networks_labels(case, in_effect) if index is None else None,
            by=self._options.by.strip(),
            at=self._at,
            reason=self._options.reason,
        )

    def _networks_labels(self, case: Case, in_effect: Mapping[str, Cell]) -> Path | None:
        """Return the network's masks where a level was moved to, unless a person drew over them."""
        if in_effect.get(CORRECTED) != "level":
            return None
        return corrected_folder(self._session.run, case) / LABELS_NAME

    def _slice_at(self, z_mm: float) -> int:
        volume = self._corrector.loaded.volume
        low, high = float(volume.slice_z_mm[0]), float(volume.slice_z_mm[-1])
        if not low <= z_mm <= high:
            raise ReviewError(f"expected a z from {low:.1f} to {high:.1f} mm, found {z_mm:g}")
        return volume.nearest_slice(z_mm)

    @property
    def _is_named(self) -> bool:
        """Whether the person named the level, so that it is never passed over."""
        return bool(self._options.level)

    def _covers(self, indices: tuple[int, ...]) -> bool:
        """Whether the mask has labels on any of these slices; none given covers all."""
        return self._mask is None or bool(self._mask.annotated[list(indices)].any())

    def _is_mask_of(self, folder: Path, indices: tuple[int, ...]) -> bool:
        """Whether the mask is the one that was measured there; none given is the same."""
        if self._mask is None:
            return True
        recorded = recorded_masks(folder / LABELS_NAME, self._corrector.loaded.volume)
        given = self._mask.labels
        return recorded is not None and all(
            np.array_equal(given[index], recorded[index]) for index in indices
        )

    def _restored(self, change: LevelChange) -> ReviewEvent:
        return ReviewEvent(
            case=change.case,
            kind=EventKind.REMEASURE,
            at=change.at,
            by=change.by,
            comment=change.reason,
            change=Change.RESTORED,
            original=self._session.run.row_digest(change.case),
            applied_at=now(),
        )


def _place(row: Mapping[str, Cell]) -> tuple[Cell, Cell]:
    return row["slice_index"], row["level_z_mm"]
