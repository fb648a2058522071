"""What became of each study, in SQLite: on the disk when a call returns, whatever ends the process.

The images and the results are files of the spool; a row here says what they are worth.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from bodycomp.errors import OutputError

LEDGER_NAME: Final = "node.sqlite3"
_WAIT_SECONDS: Final = 30.0


class State(StrEnum):
    """Where a study stands."""

    RECEIVING = "receiving"
    QUEUED = "queued"
    DELIVERING = "delivering"
    DONE = "done"
    REFUSED = "refused"
    SET_ASIDE = "set aside"


SETTLED: Final = (State.DONE, State.REFUSED, State.SET_ASIDE)
"""States in which nothing more is to be done."""


class Sent(StrEnum):
    """Where the delivery of a study to one destination stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Study:
    """A study that was received; texts name nobody but ``uid``.

    Attributes:
        name: Pseudonym, and the name of its folder.
        uid: Study Instance UID.
        since: When it came into its state, seconds since 1970.
        peer: AE title that sent the last image.
        generation: Grows whenever images arrive for a study that counted as complete.
        measured_times: How often it was measured.
        attempts: How often measuring it ended its process.
        due: Not before this time.
        reason: Why it is where it is.
        decision: What the rules said.
        destinations: Names of where its results go, one a line.
        objects: Files to send, in their order, relative to its results, one a line.
        measured: The images that were measured, as ``spool.image_keys``.
        took_seconds: How long measuring took.
        overfull: 1 where images were turned away because it became too large.
    """

    name: str
    uid: str = field(repr=False)
    state: str = State.RECEIVING
    since: float = 0.0
    peer: str = ""
    generation: int = 1
    measured_times: int = 0
    attempts: int = 0
    due: float = 0.0
    reason: str = ""
    decision: str = ""
    destinations: str = ""
    objects: str = ""
    measured: bytes = field(default=b"", repr=False)
    took_seconds: float = 0.0
    overfull: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """The results of a study on their way to one destination.

    Attributes:
        since: When its state began; of a pending one, when it was first to be sent.
        due: Not to be tried before this time.
        reason: Why the last attempt failed.
    """

    study: str
    destination: str
    state: str = Sent.PENDING
    since: float = 0.0
    attempts: int = 0
    due: float = 0.0
    reason: str = ""


_KEYS: Final[dict[type, str]] = {Study: "name", Delivery: "study, destination"}
Row = TypeVar("Row", Study, Delivery)


class Ledger:
    """The open table of studies; any number of threads and processes may use it.

    Raises:
        OutputError: The file cannot be used, such as on a full disk.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = threading.RLock()
        self._inside = 0
        self._connection = sqlite3.connect(
            folder / LEDGER_NAME,
            timeout=_WAIT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self._prepare()
        except sqlite3.Error as error:
            raise OutputError(
                f"the ledger {folder / LEDGER_NAME} cannot be used: {error}",
                hint="Is the disk full? Nothing in it is lost; start again when there is room.",
            ) from error

    def _prepare(self) -> None:
        for setting in ("journal_mode=WAL", "synchronous=FULL"):
            self._connection.execute(f"PRAGMA {setting}")
        for kind, key in _KEYS.items():
            columns = ", ".join(each.name for each in fields(kind))
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {kind.__name__} ({columns}, PRIMARY KEY ({key}))"
            )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do everything within or nothing; others wait. May be nested."""
        with self._lock:
            if self._inside:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._inside += 1
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._inside -= 1

    def put(self, *rows: Study | Delivery) -> None:
        """Write rows in place of those of the same key."""
        with self.transaction():
            for row in rows:
                marks = ", ".join("?" * len(fields(row)))
                self._connection.execute(
                    f"REPLACE INTO {type(row).__name__} VALUES ({marks})",  # noqa: S608 - class name
                    tuple(str(v) if isinstance(v, StrEnum) else v for v in astuple(row)),
                )

    def study(self, name: str) -> Study | None:
        """Return a study, None if it is unknown."""
        found = self._rows(Study, "WHERE name = ?", name)
        return found[0] if found else None

    def studies(self, *states: State) -> list[Study]:
        """Return the studies in these states, or all; those that wait longest come first."""
        marks = ", ".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        return self._rows(Study, f"{where} ORDER BY since, name", *map(str, states))

    def deliveries(self, study: str) -> list[Delivery]:
        """Return the deliveries of a study."""
        return self._rows(Delivery, "WHERE study = ? ORDER BY destination", study)

    def deliveries_to(self, destination: str) -> list[Delivery]:
        """Return the deliveries to a destination, the oldest first."""
        return self._rows(Delivery, "WHERE destination = ? ORDER BY since", destination)

    def due_delivery(self, destination: str, now: float) -> tuple[Study, Delivery] | None:
        """Return what to send there next."""
        with self._lock:
            found = self._rows(
                Delivery,
                "WHERE destination = ? AND state = 'pending' AND due <= ? AND study IN "
                "(SELECT name FROM Study WHERE state = 'delivering') ORDER BY due, since LIMIT 1",
                destination,
                now,
            )
            study = self.study(found[0].study) if found else None
        return None if study is None else (study, found[0])

    def forget_deliveries(self, study: str) -> None:
        """Remove the deliveries of a study."""
        with self._lock:
            self._connection.execute("DELETE FROM Delivery WHERE study = ?", (study,))

    def forget(self, study: str) -> None:
        """Remove a study."""
        with self.transaction():
            self.forget_deliveries(study)
            self._connection.execute("DELETE FROM Study WHERE name = ?", (study,))

    def _rows(self, kind: type[Row], rest: str, *values: object) -> list[Row]:
        with self._lock:
            query = f"SELECT * FROM {kind.__name__} {rest}"  # noqa: S608 - constants of this file
            return [kind(*row) for row in self._connection.execute(query, values)]
