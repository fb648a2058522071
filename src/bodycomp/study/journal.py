"""The journal of a run: which studies are finished, safe against kills and power cuts.

One line of JSON per study, on the disk before the study counts as finished. A line that a crash cut
short is dropped, and its study is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from bodycomp.report.result_rows import Cell
from bodycomp.storage import lock_file
from bodycomp.study.options import RefusedSeries

JOURNAL_NAME: Final = "journal.jsonl"


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


class Journal:
    """An open journal; the file is locked, so that two runs never share a folder.

    Attributes:
        records: Study -> its last record, as found when it was opened.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.records: dict[str, StudyRecord] = {}
        end = 0
        for line in file:
            try:
                record = StudyRecord.from_line(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            self.records[record.study] = record
            end += len(line)
        file.truncate(end)
        file.seek(end)

    def append(self, record: StudyRecord) -> None:
        """Add a record; it is on the disk when this returns."""
        self._file.write(record.to_line())
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Open a journal, or begin one.

    Raises:
        OutputError: Another run is writing to it.
    """
    path.touch()
    with path.open("r+b") as file:
        lock_file(file, path.parent)
        yield Journal(file)


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
