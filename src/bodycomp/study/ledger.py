"""What a run knows so far: its journal, and the tables that grow with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from itertools import chain
from pathlib import Path
from typing import Final

from bodycomp.report.result_rows import Cell
from bodycomp.report.tables import CsvTable, growing_table, write_parquet, write_table
from bodycomp.study.journal import JOURNAL_NAME, Journal, StudyRecord, open_journal
from bodycomp.study.options import (
    PARQUET_NAME,
    REFUSED_NAME,
    RESULTS_NAME,
    AnalyzedSeries,
    RefusedSeries,
    StudyReport,
)
from bodycomp.study.search import Worklist
from bodycomp.study.series_table import SeriesRow, settled_row

REFUSED_COLUMNS: Final = tuple(f.name for f in fields(RefusedSeries))


class Ledger:
    """Finished studies, on the disk as soon as they are known.

    The journal decides; the tables are made from it again whenever a run begins, and in the end
    in the order of the worklist, so that an interruption leaves no trace in them.
    """

    def __init__(
        self, out_dir: Path, columns: Sequence[str], work: Worklist, journal: Journal
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
            yield row if record is None else settled_row(row, record)

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
        records = self._in_order()
        return StudyReport(
            analyzed=tuple(
                AnalyzedSeries(
                    record.study,
                    series,
                    self._out_dir / record.study / series,
                    tuple(rows),
                    uids.get(record.study, ""),
                )
                for record in records
                for series, rows in record.analyzed.items()
            ),
            refused=(*self._work.refused, *(item for record in records for item in record.refused)),
            not_chosen=self.not_chosen(),
            out_dir=self._out_dir,
            file_count=self._work.file_count,
            unreadable_count=self._work.unreadable_count,
            resumed_count=self.resumed,
        )


def planned_series(work: Worklist) -> dict[str, tuple[str, ...]]:
    """Return study -> the series to analyse, in the order of the worklist."""
    planned: dict[str, tuple[str, ...]] = {}
    for source in work.sources:
        planned[source.study] = (*planned.get(source.study, ()), source.series)
    return planned


@contextmanager
def open_ledger(out_dir: Path, columns: Sequence[str], work: Worklist) -> Iterator[Ledger]:
    """Open the ledger of a folder, with what an earlier run left there.

    Raises:
        OutputError: Another run is writing to the folder.
    """
    with open_journal(out_dir / JOURNAL_NAME) as journal:
        yield Ledger(out_dir, columns, work, journal)
