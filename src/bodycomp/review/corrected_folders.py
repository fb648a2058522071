"""Folders of corrected results, which appear together with the history that tells of them.

They are made under a hidden name; once the history has the event they get their own name. What a
kill interrupts is carried through, or removed, when the run is opened next.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bodycomp.review.history import Change, ReviewEvent, states_of
from bodycomp.storage import remove_interrupted
from bodycomp.study.inputs import UNPACKED_FOLDERS
from bodycomp.study.measured_run import Case, MeasuredRun
from bodycomp.study.options import SERIES_PREFIX, STUDY_PREFIX
from bodycomp.study.out_folder import CORRECTED_NAME, HISTORY_NAME, REVIEWED_NAME

_STAGE: Final = ".correcting-"


def corrected_folder(run: MeasuredRun, case: Case) -> Path:
    """Return where the corrected results of a case lie, if there are any."""
    return run.folder(case) / CORRECTED_NAME / case.level


def new_stage(run: MeasuredRun, case: Case) -> Path:
    """Make and return a hidden folder for corrected results of a case."""
    stage = run.folder(case) / f"{_STAGE}{case.level}-{uuid.uuid4().hex[:8]}"
    stage.mkdir()
    return stage


def settle(run: MeasuredRun, events: Sequence[ReviewEvent]) -> None:
    """Give staged folders that count their name, and remove what counts no more."""
    states = states_of(run, events)
    for case in dict.fromkeys(event.case for event in events if event.change is not Change.NONE):
        if case not in run.rows:
            continue
        state = states.get(case)
        place = corrected_folder(run, case)
        if state is None or state.corrected is None:
            shutil.rmtree(place, ignore_errors=True)
        else:
            _put_in_place(run.folder(case) / state.corrected.stage, place)
        if place.parent.is_dir() and not any(place.parent.iterdir()):
            place.parent.rmdir()
    remove_stages(run)


def _put_in_place(stage: Path, place: Path) -> None:
    if stage.is_dir():  # else it was done before
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(exist_ok=True)
        stage.rename(place)


def remove_stages(run: MeasuredRun) -> None:
    """Remove folders that were staged and never counted."""
    for stage in run.out_dir.glob(f"{STUDY_PREFIX}*/{SERIES_PREFIX}*/{_STAGE}*"):
        shutil.rmtree(stage)


def clear_interrupted(run: MeasuredRun) -> None:
    """Remove files that a killed review or correction was writing or had unpacked."""
    for folder in run.out_dir.glob(UNPACKED_FOLDERS):
        shutil.rmtree(folder)
    for name in (HISTORY_NAME, REVIEWED_NAME):
        remove_interrupted(run.out_dir / name)
