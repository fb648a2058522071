"""A corrected mask given back, or a level moved -> new measurements of one series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bodycomp.analysis.pipeline import Segmenter
from bodycomp.errors import ReviewError
from bodycomp.progress import Progress, no_progress
from bodycomp.review.correction import (
    Corrector,
    LevelChange,
    networks_labels,
)
from bodycomp.review.found_scans import found_scans, segmenter_of
from bodycomp.review.history import Change, EventKind, ReviewEvent
from bodycomp.review.measure_mask import GivenMask, given_mask
from bodycomp.review.options import RemeasureOptions
from bodycomp.review.recorded import recorded_masks
from bodycomp.review.session import ReviewSession, corrected_folder, now, opened_session
from bodycomp.study.measured_run import CaseKey, MeasuredRun
from bodycomp.study.outputs import LABELS_NAME
from bodycomp.tables import Cell


@dataclass(frozen=True, slots=True)
class Remeasured:
    """One level that was corrected: the networks' row, and the one that counts now."""

    case: CaseKey
    before: Mapping[str, Cell]
    after: Mapping[str, Cell]


def remeasure(
    options: RemeasureOptions,
    progress: Progress = no_progress,
    *,
    segmenter: Segmenter | None = None,
) -> tuple[Remeasured, ...]:
    """Measure levels of one series anew, with a mask or at a place that a person gave.

    The networks' results stay; the corrected ones lie beside them and in ``reviewed.csv``. A
    segmenter takes the place of the model in ``options.scans.models_dir``. Returns what changed;
    nothing where the correction says what counts already.

    Raises:
        InputNotFoundError: The run, the mask, an input or the key is not there.
        ReviewError: The series, the level or the slice is not in the run, the scan is not among
            the inputs, or the mask has no label where the level is measured.
        SeriesError: The mask is damaged, not on the scan's grid, or has labels without a meaning.
        ModelError: The models are not those of the run.
        OutputError: Something else is writing to the run's folder, or it is damaged.
    """
    with opened_session(options.scans.out_dir) as session:
        cases = _cases(session.run, options)
        if options.mask is None or segmenter is not None:
            segmenter = segmenter_of(session.run, options.scans, segmenter)
        with found_scans(session.run, options.scans, progress) as scans:
            key, scan = scans.load(cases[0])
            mask = None
            if options.mask is not None:
                levels = sorted({case.level for case in session.run.rows})
                mask = given_mask(options.mask, options.labels, scan, levels)
                scan = scan.with_notes(mask.notes)
            corrector = Corrector(session.run, key, scan, scans.outputs, segmenter)
            work = _SeriesCorrection(session, corrector, options, mask)
            events = [event for case in cases if (event := work.event(case)) is not None]
            work.check_some_was_covered()
        session.finish(events)
        return tuple(
            Remeasured(event.case, session.run.rows[event.case], session.row(event.case))
            for event in events
        )


def _cases(run: MeasuredRun, options: RemeasureOptions) -> list[CaseKey]:
    """Return the levels that are meant.

    Raises:
        ReviewError: The series or the level is not in the run, or one of several is to be named.
    """
    cases = [
        case for case in run.rows if options.series in (case.series, f"{case.study}/{case.series}")
    ]
    if not cases:
        raise ReviewError(
            f"expected a series of this run, found {options.series!r}",
            hint="Take the name from the column 'series' of results.csv.",
        )
    levels = ", ".join(case.level for case in cases)
    if options.level:
        cases = [case for case in cases if case.level == options.level]
        if not cases:
            raise ReviewError(
                f"expected a level that was looked for ({levels}), found {options.level!r}"
            )
    elif options.is_moved and len(cases) > 1:
        raise ReviewError(
            f"expected one of the levels {levels} to be named, found none",
            hint="Say which one is moved with --level.",
        )
    return cases


@dataclass
class _SeriesCorrection:
    """What a person gave for one series, taken to its levels one after the other."""

    _session: ReviewSession
    _corrector: Corrector
    _options: RemeasureOptions
    _mask: GivenMask | None
    _at: str = field(default_factory=now)
    _covered: bool = False
    _measured: set[int] = field(default_factory=set)

    def event(self, case: CaseKey) -> ReviewEvent | None:
        """Measure a level anew and stage its results; None if nothing changes.

        Raises:
            ReviewError: It cannot be measured there.
        """
        run, state = self._session.run, self._session.state(case)
        in_effect, networks = self._session.row(case), run.rows[case]
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
            by, at, why = change.by, change.at, change.reason
            own = ReviewEvent(case=case, kind=EventKind.REMEASURE, at=at, by=by, comment=why)
            return replace(own, change=Change.RESTORED)
        return self._corrector.event(change, choice, EventKind.REMEASURE)

    def check_some_was_covered(self) -> None:
        """Refuse a mask that has labels on no slice of any level, with a ReviewError."""
        if self._covered:
            return
        measured = sorted(self._measured)
        found = "none" if self._mask is None else self._mask.where
        raise ReviewError(
            f"expected labels where a level is measured (slice {', '.join(map(str, measured))}), "
            f"found {found}",
            hint="Counted from 0 at the feet. If a level lies there say so with --level and "
            "--slice.",
        )

    def _change(
        self, case: CaseKey, in_effect: Mapping[str, Cell]
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
            networks_labels=networks_labels(self._session.run, case, in_effect)
            if index is None
            else None,
            by=self._options.by.strip(),
            at=self._at,
            reason=self._options.reason,
        )

    def _slice_at(self, z_mm: float) -> int:
        volume = self._corrector.scan.volume
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
        recorded = recorded_masks(folder / LABELS_NAME, self._corrector.scan.volume)
        given = self._mask.labels
        return recorded is not None and all(
            np.array_equal(given[index], recorded[index]) for index in indices
        )


def _place(row: Mapping[str, Cell]) -> tuple[Cell, Cell]:
    return row["slice_index"], row["level_z_mm"]
