"""Pulling studies: each lands whole, and a pull that was killed continues where it was."""

from __future__ import annotations

import json
import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from bodycomp.archive.landing import Landing
from bodycomp.archive.options import (
    PULLED_NAME,
    Peer,
    PullOptions,
    PullReport,
    Status,
    StudyOutcome,
    parse_archive,
)
from bodycomp.archive.protocol import RETURNED, Archive
from bodycomp.archive.query import Answer, Level, Query
from bodycomp.archive.rows import Row, wanted_rows
from bodycomp.dicom.candidate import study_key
from bodycomp.dicom.derived.identity import PseudonymKey
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.errors import ArchiveError, ArchiveUnreachableError, RunInterruptedError, UsageError
from bodycomp.json_file import to_plain
from bodycomp.progress import Progress, no_progress
from bodycomp.signals import SignalWatch
from bodycomp.storage import atomic_folder, locked_folder, refuse_other, remove_leftovers
from bodycomp.study.journal import Journal, open_journal
from bodycomp.study.options import SERIES_PREFIX, STUDY_PREFIX
from bodycomp.study.pseudonyms import read_or_make_key, series_pseudonym, study_pseudonym
from bodycomp.tables import CsvTable, growing_table

_LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")
LEDGER_NAME: Final = "pulled.jsonl"
COLUMNS: Final = ("row", "study", "status", "series", "files", "reason")
WAITS_S: Final = [2.0, 10.0, 30.0]
"""Waits before what failed is tried again; then a study is given up, or the run if it is the
archive that cannot be reached."""


@dataclass(frozen=True, slots=True)
class RowRecord:
    """What came of one row; its key is a pseudonym of what was asked for."""

    key: str
    outcomes: tuple[StudyOutcome, ...]

    def is_there(self, out: Path) -> bool:
        """Whether all of it was pulled, and nobody removed it since."""
        return all(
            each.status is Status.PULLED and (out / each.study).is_dir() for each in self.outcomes
        )

    def to_line(self) -> bytes:
        """Return the record as one line of JSON."""
        return json.dumps(to_plain(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> RowRecord:
        """Read a record; raises ValueError where the line is damaged."""
        try:
            document = json.loads(line)
            outcomes = [each | {"status": Status(each["status"])} for each in document["outcomes"]]
            return cls(document["key"], tuple(StudyOutcome(**each) for each in outcomes))
        except (TypeError, KeyError) as error:
            raise ValueError("damaged record") from error


def pull_studies(options: PullOptions, progress: Progress = no_progress) -> PullReport:
    """Pull studies into a folder that ``analyze`` takes.

    The same call continues a pull that was interrupted or killed: series that are there are not
    asked for again, rows without a study, or with one that failed, are. Files are as the archive
    has them, under pseudonyms.

    Raises:
        ArchiveUnreachableError: The archive cannot be reached, or does not let us in.
        InputNotFoundError: A table, key or token is not there.
        OutputError: The folder holds something else, or another pull writes to it.
        UsageError: A query, table or certificate cannot be used, or a library is missing.
        RunInterruptedError: SIGTERM ended the pull.
    """
    rows = wanted_rows(options)
    watch = SignalWatch(partial(_ended, options.out_dir), (signal.SIGTERM,))
    with watch, quiet_pydicom(), _opened(options) as archive:
        archive.connect()
        out = options.out_dir
        if options.dry_run:
            return _Pull(archive, PseudonymKey(b""), out, progress).report(rows)
        refuse_other(out, "a folder of pulled studies", LEDGER_NAME, overwrite=True)
        out.mkdir(mode=0o700, parents=True, exist_ok=True)  # what comes names patients
        with locked_folder(out), open_journal(out / LEDGER_NAME, RowRecord) as journal:
            remove_leftovers(out)
            key = read_or_make_key(out, options.pseudonym_key)
            with growing_table(out / PULLED_NAME, COLUMNS, ()) as table:
                return _Pull(archive, key, out, progress, journal, table).report(rows)


def _ended(out_dir: Path, number: int) -> RunInterruptedError:
    return RunInterruptedError(
        f"the pull was ended by SIGTERM; what came is kept in {out_dir}",
        signal_number=number,
        hint="The same command continues from there.",
    )


def _opened(options: PullOptions) -> Archive:
    place = parse_archive(options.archive)
    try:
        if isinstance(place, Peer):
            from bodycomp.archive.dimse import DimseArchive  # noqa: PLC0415 - an extra

            return DimseArchive(place, options)
        from bodycomp.archive.web import WebArchive  # noqa: PLC0415 - an extra

        return WebArchive(place, options)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"expected {error.name} to reach archives with, found none",
            hint="Install it with: pip install 'bodycomp[archive]'",
        ) from error


@dataclass
class _Pull:
    """One pass over the rows; without a ledger and a table it asks alone."""

    archive: Archive
    key: PseudonymKey
    out: Path
    progress: Progress
    ledger: Journal[RowRecord] | None = None
    table: CsvTable | None = None
    earlier: int = field(default=0, init=False)
    has_answered: bool = field(default=False, init=False)

    def report(self, rows: Sequence[Row]) -> PullReport:
        """Ask row by row, and report each outcome as soon as it is known."""
        outcomes = []
        for done, row in enumerate(rows):
            self.progress("rows", done, len(rows))
            for found in self._row(row.query):
                outcome = replace(found, row=row.line)
                outcomes.append(outcome)
                _say(outcome)
                if self.table is not None:
                    self.table.append(to_plain(outcome))
        self.progress("rows", len(rows), len(rows))
        return PullReport(tuple(outcomes), self.out, self.earlier)

    def _row(self, query: Query) -> Iterator[StudyOutcome]:
        """Pull what a query finds, unless the ledger has all of it."""
        code = self.key.code("row", str(query))
        known = self.ledger.records.get(code) if self.ledger else None
        if known is not None and known.is_there(self.out):
            self.earlier += len(known.outcomes)
            yield from known.outcomes
            return
        outcomes = []
        for outcome in self._found(query):
            outcomes.append(outcome)
            yield outcome
        if self.ledger is not None:
            self.ledger.append(RowRecord(code, tuple(outcomes)))

    def _found(self, query: Query) -> Iterator[StudyOutcome]:
        """Yield what came of each study that matches, or why there is none."""
        try:
            answers = self._asked(Level.STUDY, query.of(Level.STUDY))
        except ArchiveUnreachableError:
            raise
        except ArchiveError as error:
            yield StudyOutcome(Status.FAILED, reason=error.message)
            return
        studies = [answer for answer in answers if query.matches(Level.STUDY, answer)]
        if not studies:
            other = f"{len(answers)} answers that do not match the query" if answers else ""
            yield StudyOutcome(Status.NOT_FOUND, reason=other)
        for done, answer in enumerate(studies, start=1):
            yield self._study(query, answer)
            if len(studies) > 1:
                self.progress("studies", done, len(studies))

    def _study(self, query: Query, answer: Answer) -> StudyOutcome:
        uid, patient = _one(answer, "StudyInstanceUID"), _one(answer, "PatientID")
        name = study_pseudonym(self.key, STUDY_PREFIX + study_key(patient, uid))
        try:
            keys = query.of(Level.SERIES)
            every = self._asked(Level.SERIES, {"StudyInstanceUID": uid} | keys)
            series = [each for each in every if query.matches(Level.SERIES, each)]
            if not series:
                reason = f"no series matches {', '.join(keys)}"
                return StudyOutcome(Status.NO_SERIES, name, reason=reason)
            if self.ledger is None:
                return StudyOutcome(
                    Status.THERE, series=len(series), files=sum(map(_count, series))
                )
            return self._landed(name, uid, series)
        except ArchiveUnreachableError:
            raise
        except ArchiveError as error:
            return StudyOutcome(Status.FAILED, name, reason=error.message)

    def _landed(self, name: str, uid: str, series: Sequence[Answer]) -> StudyOutcome:
        place = self.out / name
        # Hidden until all of it is there; one that is there may lack what another query asks for.
        stage = place if place.is_dir() else self.out / f".{name}"
        fetched = [self._series(stage, uid, each) for each in series]
        if stage != place:
            stage.rename(place)
        self.earlier += not any(fetched)
        folders = list(place.iterdir())
        return StudyOutcome(
            Status.PULLED, name, len(folders), sum(len(list(each.iterdir())) for each in folders)
        )

    def _series(self, stage: Path, study_uid: str, answer: Answer) -> bool:
        """Have a series sent unless it is there; return whether it was."""
        uid = _one(answer, "SeriesInstanceUID")
        folder = stage / series_pseudonym(self.key, SERIES_PREFIX + uid)
        if folder.is_dir():
            return False

        def fetch() -> None:
            with atomic_folder(folder, durable=True) as temporary:
                landing = Landing(temporary, self.key, study_uid, uid)
                self.archive.fetch(study_uid, uid, landing)
                landing.check_complete(_count(answer))

        try:
            _patiently(fetch, ArchiveError, WAITS_S)
        except ArchiveUnreachableError as error:
            self.archive.connect()  # raises, unless it is this series alone
            raise ArchiveError(error.message) from error
        return True

    def _asked(self, level: Level, keys: dict[str, str]) -> list[Answer]:
        """Return the answers that name a study or series, each once."""
        names = dict.fromkeys(RETURNED[level], "") | keys
        waits = WAITS_S if self.has_answered else ()
        answers = _patiently(
            lambda: list(self.archive.find(level, names)), ArchiveUnreachableError, waits
        )
        self.has_answered = True
        named = {_one(each, RETURNED[level][0]): each for each in answers}
        return [each for uid, each in named.items() if uid]


def _patiently(task: Callable[[], _T], kind: type[ArchiveError], waits_s: Sequence[float]) -> _T:
    """Do something that may fail for a while, with errors of this kind."""
    for wait_s in waits_s:
        try:
            return task()
        except kind as error:
            _LOG.warning("%s; next try in %g s", error.message, wait_s)
            time.sleep(wait_s)
    return task()


def _one(answer: Answer, name: str) -> str:
    return next(iter(answer.get(name, ())), "")


def _count(series: Answer) -> int:
    """Return how many images a series has by the archive; 0 where it does not say."""
    text = _one(series, "NumberOfSeriesRelatedInstances")
    return int(text) if text.isdecimal() else 0


def _say(outcome: StudyOutcome) -> None:
    if outcome.status not in (Status.PULLED, Status.THERE):
        where = f"row {outcome.row}" if outcome.row else outcome.study or "query"
        _LOG.warning("%s: %s %s", where, outcome.status, outcome.reason and f"({outcome.reason})")
