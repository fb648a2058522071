"""``reviews.jsonl``: everything that people said of results or changed in them, in its order.

One line of JSON per event; lines are added and never changed. What counts for a case is the last
word of its history, as long as it is about the result that is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from bodycomp import __version__
from bodycomp.errors import OutputError
from bodycomp.storage import atomic_file
from bodycomp.study.journal import plain_number
from bodycomp.study.measured_run import CaseKey, MeasuredRun
from bodycomp.study.out_folder import HISTORY_NAME
from bodycomp.tables import Cell

ACCEPT: Final = "accept"
REJECT: Final = "reject"
EVENT_SCHEMA: Final = "bodycomp.review-event"
EVENT_SCHEMA_VERSION: Final = 1


class EventKind(StrEnum):
    """Where an event comes from."""

    REVIEW = "review"
    REMEASURE = "remeasure"


class Change(StrEnum):
    """What an event did to the measurements of a case."""

    NONE = ""
    CORRECTED = "corrected"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewEvent:
    """One person's word on one case.

    Attributes:
        at: When they gave it, ISO 8601 with offset; the latest counts.
        verdict: ``accept``, ``reject`` or empty.
        comment: In their words; the reason of a correction.
        row: The corrected row, with the columns of corrections; None unless corrected.
        stage: Name of the folder that held the corrected results before they counted.
        painting: ``Painting.digest`` of what was painted on the page; empty if nothing was.
        original: ``MeasuredRun.row_digest`` of what it is about.
        applied_at: When the tool took it in; this and ``original`` are known once it counts.
    """

    case: CaseKey
    kind: EventKind
    at: str
    by: str = field(repr=False)
    verdict: str = ""
    comment: str = field(default="", repr=False)
    change: Change = Change.NONE
    row: Mapping[str, Cell] | None = field(default=None, repr=False)
    stage: str = ""
    painting: str = ""
    original: str = ""
    applied_at: str = ""

    def to_line(self) -> str:
        """Return the event as one line of JSON."""
        own: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        head = {"schema": EVENT_SCHEMA, "schema_version": EVENT_SCHEMA_VERSION}
        document = head | {"software": __version__} | self.case._asdict() | own
        del document["case"]
        return (
            json.dumps(document, ensure_ascii=False, allow_nan=False, default=plain_number) + "\n"
        )

    @classmethod
    def from_line(cls, line: str) -> ReviewEvent:
        """Read an event.

        Raises:
            ValueError: The line is damaged, or of a newer version.
        """
        try:
            document = json.loads(line)
            if document["schema_version"] > EVENT_SCHEMA_VERSION:
                raise ValueError("written by a newer version")
            case = CaseKey(*(str(document[name]) for name in CaseKey._fields))
            document.setdefault("painting", "")  # earlier versions had none
            own = {f.name: document[f.name] for f in fields(cls) if f.name != "case"}
            own |= {"kind": EventKind(own["kind"]), "change": Change(own["change"])}
            return cls(case=case, **own)
        except (TypeError, KeyError) as error:
            raise ValueError("damaged") from error


@dataclass(frozen=True, slots=True)
class CaseState:
    """What counts for one case: the last review of what is measured now, and the last correction.

    ``at`` is that of the last word of all, ISO 8601; empty if there was none.
    """

    verdict: str = ""
    comment: str = ""
    reviewer: str = ""
    reviewed_at: str = ""
    corrected: ReviewEvent | None = None
    at: str = ""

    @property
    def row(self) -> Mapping[str, Cell] | None:
        """The corrected row; None if that of the networks counts."""
        return None if self.corrected is None else self.corrected.row

    def after(self, event: ReviewEvent) -> CaseState:
        """Return the state once an event counts; a correction alone waits to be reviewed anew."""
        corrected = {Change.NONE: self.corrected, Change.CORRECTED: event, Change.RESTORED: None}
        is_review = event.kind is EventKind.REVIEW
        words = (event.verdict, event.comment, event.by, event.at) if is_review else ("",) * 4
        return CaseState(*words, corrected=corrected[event.change], at=event.at)

    def is_newer_than(self, moment: str) -> bool:
        """Whether the last word was given after a moment."""
        return bool(self.at) and datetime.fromisoformat(self.at) > datetime.fromisoformat(moment)


def read_history(out_dir: Path) -> tuple[ReviewEvent, ...]:
    """Return all events of a run; none if nobody reviewed it.

    Raises:
        OutputError: The history is damaged, or written by a newer version.
    """
    path = out_dir / HISTORY_NAME
    if not path.exists():
        return ()
    events = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            events.append(ReviewEvent.from_line(line))
        except ValueError as error:
            raise OutputError(
                f"{path} line {number}: expected an event of a review, found one that is {error}",
                hint="Restore the file from a copy, or remove that line to continue without it.",
            ) from error
    return tuple(events)


def write_history(out_dir: Path, events: Iterable[ReviewEvent]) -> None:
    """Replace the history by one with more events; it is on the disk when this returns."""
    with atomic_file(out_dir / HISTORY_NAME, durable=True) as temporary:
        temporary.write_text("".join(event.to_line() for event in events), encoding="utf-8")


def states_of(run: MeasuredRun, events: Sequence[ReviewEvent]) -> dict[CaseKey, CaseState]:
    """Return what counts for every case that has a history.

    Events about a result that was measured anew since, or is gone, count no more.
    """
    states: dict[CaseKey, CaseState] = {}
    for event in events:
        if event.case in run.rows and event.original == run.row_digest(event.case):
            states[event.case] = states.get(event.case, CaseState()).after(event)
    return states
