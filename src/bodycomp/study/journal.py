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
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final, Generic, Protocol, Self, TypeVar

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


class Journal(Generic[Record]):
    """An open journal; the file is locked, so that two runs never share a folder.

    Attributes:
        records: Key -> its last record, as found when it was opened.
    """

    def __init__(self, file: IO[bytes], kind: type[Record]) -> None:
        self._file = file
        self.records: dict[str, Record] = {}
        end = 0
        for line in file:
            try:
                record = kind.from_line(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            self.records[record.key] = record
            end += len(line)
        file.truncate(end)
        file.seek(end)

    def append(self, record: Record) -> None:
        """Add a record; it is on the disk when this returns."""
        self._file.write(record.to_line())
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def open_journal(path: Path, kind: type[Record]) -> Iterator[Journal[Record]]:
    """Open a journal of such records, or begin one.

    Raises:
        OutputError: Another run is writing to it.
    """
    path.touch()
    with path.open("r+b") as file:
        lock_file(file, path.parent)
        yield Journal(file, kind)


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
        self._records = {
            study: record for study, record in journal.records.items() if self._holds(record)
        }
        self.resumed = sum(study in self._planned for study in self._records)

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
        return study in self._records

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
        self._records[record.study] = record
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
        for row in self._work.series:
            record = self._records.get(row.study)
            yield row if record is None else _settled_row(row, record)

    def not_chosen(self) -> tuple[RefusedSeries, ...]:
        """Return the series that were left alone; not those tried in place of better ones."""
        tried = {
            (record.study, series)
            for record in self._records.values()
            for series in (*record.analyzed, *(item.series for item in record.refused))
        }
        return tuple(
            item for item in self._work.not_chosen if (item.study, item.series) not in tried
        )

    def _refused_rows(self) -> Iterable[Mapping[str, Cell]]:
        found = (refusal for record in self._in_order() for refusal in record.refused)
        known = chain(self._work.refused, self.not_chosen())
        return [asdict(refusal) for refusal in chain(known, found)]

    def _in_order(self) -> list[StudyRecord]:
        gone = [study for study in self._records if study not in self._planned]
        order = (*self._planned, *gone)
        return [self._records[study] for study in order if study in self._records]

    def report(self) -> StudyReport:
        """Return what the run did, with what was finished before it was resumed."""
        fallbacks = chain.from_iterable(self._work.fallbacks.values())
        uids = {source.study: source.study_uid for source in (*self._work.sources, *fallbacks)}
        records, work, out = self._in_order(), self._work, self._out_dir
        analyzed = [
            AnalyzedSeries(study, series, out / study / series, tuple(rows), uids.get(study, ""))
            for study, record in ((each.study, each) for each in records)
            for series, rows in record.analyzed.items()
        ]
        refused = (*work.refused, *(item for record in records for item in record.refused))
        counts = (work.file_count, work.unreadable_count, self.resumed)
        return StudyReport(tuple(analyzed), refused, self.not_chosen(), out, *counts)


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
