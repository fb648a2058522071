"""The journal of a run, and the tables that grow with it.

One line of JSON per study, on the disk before the study counts as finished. A line that a crash cut
short is dropped, and its study is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import chain, groupby
from pathlib import Path
from typing import IO, Any, Final, Generic, Protocol, Self, TypeVar

from bodycomp.errors import OutputError
from bodycomp.storage import lock_file
from bodycomp.study.options import (
    PARQUET_NAME,
    REFUSED_NAME,
    RESULTS_NAME,
    AnalyzedSeries,
    RefusedSeries,
    StudyReport,
)
from bodycomp.study.search import Worklist
from bodycomp.study.series_table import SeriesRow
from bodycomp.tables import Cell, CsvTable, growing_table, write_parquet, write_table

JOURNAL_NAME: Final = "journal.jsonl"


class Line(Protocol):
    """A record of a journal; a later one of the same key takes its place."""

    @property
    def key(self) -> str:
        """What it is about."""

    def to_line(self) -> bytes:
        """Return it as one line of JSON."""

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read it; raises ValueError where the line is damaged."""


Record = TypeVar("Record", bound=Line)


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """What came of one study, under pseudonyms.

    Attributes:
        sources: The series that were to be analyzed.
        analyzed: Series -> its rows of ``results.csv``.
    """

    study: str
    sources: tuple[str, ...]
    analyzed: Mapping[str, tuple[Mapping[str, Cell], ...]] = field(repr=False)
    refused: tuple[RefusedSeries, ...] = ()

    @property
    def key(self) -> str:
        """The study."""
        return self.study

    def to_line(self) -> bytes:
        """Return the record as one line of JSON."""
        document = {
            "study": self.study,
            "sources": self.sources,
            "analysed": dict(self.analyzed),
            "refused": [asdict(item) for item in self.refused],
        }
        return json.dumps(document, default=plain_number).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> StudyRecord:
        """Read a record.

        Raises:
            ValueError: The line is damaged.
        """
        try:
            document = json.loads(line)
            return cls(
                document["study"],
                tuple(document["sources"]),
                {series: tuple(rows) for series, rows in document["analysed"].items()},
                tuple(RefusedSeries(**item) for item in document["refused"]),
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError("damaged record") from error


class StoredRecords(Mapping[str, Record]):
    """Key -> its last record, read when asked for: memory holds places in the file alone."""

    def __init__(self, path: Path, kind: type[Record]) -> None:
        self._path = path
        self._kind = kind
        self._places: dict[str, tuple[int, int]] = {}

    def note(self, key: str, start: int, length: int) -> None:
        """Note where the last record of a key is."""
        self._places[key] = start, length

    def __getitem__(self, key: str) -> Record:
        start, length = self._places[key]
        with self._path.open("rb") as file:
            file.seek(start)
            line = file.read(length)
        try:
            record = self._kind.from_line(line)
            if record.key == key:
                return record
        except ValueError:
            pass
        raise OutputError(f"{self._path}: expected the record of {key}, found another one")

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Journal(Generic[Record]):
    """An open journal; the file is locked, so that two runs never share a folder.

    Attributes:
        records: Key -> its last record, those of an earlier run included.
    """

    def __init__(self, file: IO[bytes], path: Path, kind: type[Record]) -> None:
        self._file = file
        self.records = StoredRecords(path, kind)
        self._end = 0
        for line in file:
            try:
                record = kind.from_line(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            self._note(record, line)
        file.truncate(self._end)
        file.seek(self._end)

    def append(self, record: Record) -> None:
        """Add a record; it is on the disk when this returns."""
        line = record.to_line()
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._note(record, line)

    def _note(self, record: Record, line: bytes) -> None:
        self.records.note(record.key, self._end, len(line))
        self._end += len(line)


@contextmanager
def open_journal(path: Path, kind: type[Record]) -> Iterator[Journal[Record]]:
    """Open a journal of such records, or begin one.

    Raises:
        OutputError: Another run is writing to it.
    """
    path.touch()
    with path.open("r+b") as file:
        lock_file(file, path.parent)
        yield Journal(file, path, kind)


def refuse_running(path: Path) -> None:
    """Check that no other run is writing to the journal.

    Raises:
        OutputError: One is.
    """
    if path.exists():
        with path.open("r+b") as file:
            lock_file(file, path.parent)


def plain_number(value: Any) -> Any:
    """Return a NumPy scalar as Python's own number, which keeps every digit."""
    return value.item()


REFUSED_COLUMNS: Final = tuple(f.name for f in fields(RefusedSeries))


class Ledger:
    """Finished studies, on the disk as soon as they are known.

    The journal decides; the tables are made from it again whenever a run begins, and in the end
    in the order of the worklist, so that an interruption leaves no trace in them.
    """

    def __init__(
        self, out_dir: Path, columns: Sequence[str], work: Worklist, journal: Journal[StudyRecord]
    ) -> None:
        self._out_dir = out_dir
        self._columns = columns
        self._work = work
        self._journal = journal
        self._planned = planned_series(work)
        self._finished: dict[str, None] = {}
        self._in_place: set[tuple[str, str]] = set()
        for record in journal.records.values():
            if self._holds(record):
                self._note(record)
        self.resumed = sum(study in self._planned for study in self._finished)

    def _note(self, record: StudyRecord) -> None:
        """Note a study, and series that were tried in place of those that were planned."""
        self._finished[record.study] = None
        tried = (*record.analyzed, *(item.series for item in record.refused))
        planned = set(record.sources)
        self._in_place |= {(record.study, name) for name in tried if name not in planned}

    def _holds(self, record: StudyRecord) -> bool:
        """Whether a record counts: its study is asked for as it was, and its results are there.

        Studies that are no longer among the inputs keep their results.
        """
        if self._planned.get(record.study, record.sources) != record.sources:
            return False
        place = self._out_dir / record.study
        return all((place / series).is_dir() for series in record.analyzed)

    def is_finished(self, study: str) -> bool:
        """Whether a study needs no more work."""
        return study in self._finished

    @contextmanager
    def tables(self) -> Iterator[None]:
        """Keep the tables open; at the end they are written once more, in order."""
        try:
            with ExitStack() as stack:
                out = self._out_dir
                results = growing_table(out / RESULTS_NAME, self._columns, self.result_rows())
                refused = growing_table(out / REFUSED_NAME, REFUSED_COLUMNS, self._refused_rows())
                self._results: CsvTable = stack.enter_context(results)
                self._refused: CsvTable = stack.enter_context(refused)
                yield
        finally:
            write_table(out / RESULTS_NAME, self._columns, self.result_rows())
            write_table(out / REFUSED_NAME, REFUSED_COLUMNS, self._refused_rows())

    def add(self, record: StudyRecord) -> None:
        """Note that a study is finished; its folder must be on the disk already."""
        self._journal.append(record)
        self._note(record)
        for row in chain.from_iterable(record.analyzed.values()):
            self._results.append(row)
        for refusal in record.refused:
            self._refused.append(asdict(refusal))

    def write_parquet(self) -> None:
        """Write the table of results as Parquet, too."""
        write_parquet(self._out_dir / PARQUET_NAME, self._columns, self.result_rows())

    def result_rows(self) -> Iterator[Mapping[str, Cell]]:
        """Yield the rows of ``results.csv`` in the order of the worklist."""
        for record in self._in_order():
            yield from chain.from_iterable(record.analyzed.values())

    def series_rows(self) -> Iterator[SeriesRow]:
        """Yield the rows of ``series.csv``, as far as is known of each series."""
        for study, rows in groupby(self._work.series, key=lambda row: row.study):
            record = self._journal.records[study] if study in self._finished else None
            yield from (row if record is None else _settled_row(row, record) for row in rows)

    def not_chosen(self) -> tuple[RefusedSeries, ...]:
        """Return the series that were left alone; not those tried in place of better ones."""
        return tuple(
            item
            for item in self._work.not_chosen
            if (item.study, item.series) not in self._in_place
        )

    def _refused_rows(self) -> Iterable[Mapping[str, Cell]]:
        found = (refusal for record in self._in_order() for refusal in record.refused)
        known = chain(self._work.refused, self.not_chosen())
        return (asdict(refusal) for refusal in chain(known, found))

    def _in_order(self) -> Iterator[StudyRecord]:
        gone = (study for study in self._finished if study not in self._planned)
        for study in (*self._planned, *gone):
            if study in self._finished:
                yield self._journal.records[study]

    def report(self) -> StudyReport:
        """Return what the run did, with what was finished before it was resumed."""
        fallbacks = chain.from_iterable(self._work.fallbacks.values())
        uids = {source.study: source.study_uid for source in (*self._work.sources, *fallbacks)}
        work, out = self._work, self._out_dir
        analyzed: list[AnalyzedSeries] = []
        refused = list(work.refused)
        for record in self._in_order():
            refused += record.refused
            for series in record.analyzed:
                place, uid = out / record.study / series, uids.get(record.study, "")
                analyzed.append(AnalyzedSeries(place, self._journal.records, uid))
        counts = (work.file_count, work.unreadable_count, self.resumed)
        return StudyReport(tuple(analyzed), tuple(refused), self.not_chosen(), out, *counts)


def planned_series(work: Worklist) -> dict[str, tuple[str, ...]]:
    """Return study -> the series to analyse, in the order of the worklist."""
    planned: dict[str, tuple[str, ...]] = {}
    for source in work.sources:
        planned[source.study] = (*planned.get(source.study, ()), source.series)
    return planned


def _settled_row(row: SeriesRow, record: StudyRecord) -> SeriesRow:
    """Return the row of a series as it was in the end: measured, refused, or as planned."""
    refused = next((item for item in record.refused if item.series == row.series), None)
    if refused is not None:
        return replace(row, chosen="no", kind=refused.kind, reason=refused.reason)
    if row.series in record.analyzed and row.chosen == "no":
        reason = f"measured in place of better ones, which failed; {row.reason}"
        return replace(row, chosen="yes", reason=reason)
    return row
