"""A corrected mask given back, or a level moved -> new measurements of one series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bodycomp.analysis.pipeline import Segmenter
from bodycomp.errors import ReviewError
from bodycomp.progress import Progress, no_progress
from bodycomp.report.result_rows import Cell
from bodycomp.review.correcting import (
    check_segmenter,
    found_scans,
    run_segmenter,
)
from bodycomp.review.correction import Corrector
from bodycomp.review.given_mask import given_mask
from bodycomp.review.remeasure_options import RemeasureOptions
from bodycomp.review.reviewed_table import row_in_effect
from bodycomp.review.series_correction import SeriesCorrection
from bodycomp.review.session import opened_session
from bodycomp.study.measured_run import Case, MeasuredRun


@dataclass(frozen=True, slots=True)
class Remeasured:
    """One level that was corrected.

    Attributes:
        case: The level.
        before: The row of the networks.
        after: The corrected row; that of the networks where their result was put back.
    """

    case: Case
    before: Mapping[str, Cell]
    after: Mapping[str, Cell]


def remeasure(
    options: RemeasureOptions,
    progress: Progress = no_progress,
    *,
    segmenter: Segmenter | None = None,
) -> tuple[Remeasured, ...]:
    """Measure levels of one series anew, with a mask or at a place that a person gave.

    The networks' results stay; the corrected ones lie beside them and in ``reviewed.csv``.

    Args:
        options: What is corrected.
        progress: Told about each step.
        segmenter: Used instead of the model in ``options.scans.models_dir``.

    Returns:
        What changed; nothing where the correction says what counts already.

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
        if options.mask is None and segmenter is None:
            scans_of = options.scans
            segmenter = run_segmenter(session.run, scans_of.models_dir, scans_of.device)
        if segmenter is not None:
            check_segmenter(session.run, segmenter)
        with found_scans(session.run, options.scans, progress) as scans:
            source = scans.source(cases[0])
            loaded = scans.load(source)
            corrector = Corrector(session.run, loaded, segmenter)
            corrector.check_same_scan(cases[0])
            mask = None
            if options.mask is not None:
                levels = sorted({case.level for case in session.run.rows})
                mask = given_mask(options.mask, options.labels, source.scan(loaded), levels)
                corrector = replace(corrector, loaded=loaded.with_notes(mask.notes))
            work = SeriesCorrection(session, scans, corrector, options, mask)
            events = [event for case in cases if (event := work.event(case)) is not None]
            work.check_some_was_covered()
        session.finish(events)
        return tuple(
            Remeasured(
                event.case,
                session.run.rows[event.case],
                row_in_effect(session.run, event.case, session.state(event.case)),
            )
            for event in events
        )


def _cases(run: MeasuredRun, options: RemeasureOptions) -> list[Case]:
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
