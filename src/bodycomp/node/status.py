"""How a node does, from its spool, whether or not it runs; nothing here names a patient."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from bodycomp.errors import InputNotFoundError, OutputError
from bodycomp.node.config import NodeConfig
from bodycomp.node.ledger import LEDGER_NAME, Ledger, Sent, State, Study
from bodycomp.node.spool import reopened
from bodycomp.storage import locked_folder

_DAY_SECONDS: Final = 86400.0
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a page and a command show.

    Attributes:
        counts: State -> number of studies.
        studies: Rows of those that are not done, and of the last that are, as text.
        destinations: A row for each.
        last_day: Studies that were done within 24 hours.
        seconds: Median time that measuring one of them took; None without any.
    """

    running: bool
    counts: Mapping[str, int]
    studies: tuple[Mapping[str, str], ...]
    destinations: tuple[Mapping[str, str], ...]
    last_day: int
    seconds: float | None

    def lines(self) -> list[str]:
        """Return it as text."""
        took = "" if self.seconds is None else f", measured in {self.seconds:.1f} s (median)"
        rows = [
            f"{row['study']}  {row['state']:<10}  {row['age']:>7}  {row['reason']}"
            for row in self.studies
        ]
        sent = [
            f"to {row['destination']}: {row['delivered']} delivered, {row['pending']} pending, "
            f"{row['failed']} failed" + (f" ({row['reason']})" if row["reason"] else "")
            for row in self.destinations
        ]
        return [
            "the node is running" if self.running else "the node is not running",
            ", ".join(f"{self.counts[state]} {state}" for state in State),
            f"done in the last 24 hours: {self.last_day}{took}",
            *sent,
            *rows,
        ]


def node_status(config: NodeConfig, ledger: Ledger, *, running: bool) -> NodeStatus:
    """Return how a node does now."""
    now, studies = time.time(), ledger.studies()
    recent = [
        each for each in studies if each.state == State.DONE and now - each.since < _DAY_SECONDS
    ]
    took = [each.took_seconds for each in recent if each.took_seconds]
    first = sorted(studies, key=lambda each: (each.state == State.DONE, -each.since))
    return NodeStatus(
        running,
        {state.value: 0 for state in State} | Counter(each.state for each in studies),
        tuple(_row(each, now) for each in first[:_SHOWN]),
        tuple(_destination(ledger, each.name) for each in config.destinations),
        len(recent),
        median(took) if took else None,
    )


def _row(study: Study, now: float) -> dict[str, str]:
    return {
        "study": study.name,
        "state": study.state,
        "age": _age(now - study.since),
        "sender": study.peer,
        "measured": str(study.measured_times),
        "decision": study.decision,
        "reason": study.reason,
    }


def _age(seconds: float) -> str:
    """Return a time for people.

    >>> _age(30), _age(5400), _age(200000)
    ('30 s', '1.5 h', '2.3 d')
    """
    for limit, unit, name in ((120, 1, "s"), (5400, 60, "min"), (2 * 86400, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}" if unit < 3600 else f"{seconds / unit:.1f} {name}"
    return f"{seconds / 86400:.1f} d"


def _destination(ledger: Ledger, name: str) -> dict[str, Any]:
    rows = ledger.deliveries_to(name)
    counts = Counter(each.state for each in rows)
    reasons = [each.reason for each in rows if each.reason]
    return {"destination": name, "reason": reasons[-1] if reasons else ""} | {
        state.value: str(counts[state]) for state in Sent
    }


def is_running(folder: Path) -> bool:
    """Whether a node uses a spool."""
    try:
        with locked_folder(folder):
            return False
    except OutputError:
        return True


def open_ledger(config: NodeConfig) -> Ledger:
    """Open the ledger of a spool that is there.

    Raises:
        InputNotFoundError: There is none.
    """
    folder = config.node.spool
    if not (folder / LEDGER_NAME).is_file():
        raise InputNotFoundError(
            f"expected the spool of a node, found none at {folder}",
            hint="It is made by the first 'bodycomp serve start'.",
        )
    return Ledger(folder)


def read_status(config: NodeConfig) -> NodeStatus:
    """Return how a node does, from outside.

    Raises:
        InputNotFoundError: There is no spool.
    """
    ledger = open_ledger(config)
    try:
        return node_status(config, ledger, running=is_running(config.node.spool))
    finally:
        ledger.close()


def retry_studies(config: NodeConfig, names: tuple[str, ...]) -> list[str]:
    """Have studies that were set aside or refused tried again; return their names.

    Args:
        config: Of the node.
        names: Of studies; none for all that were set aside.

    Raises:
        InputNotFoundError: There is no spool, or no such study in it.
    """
    ledger = open_ledger(config)
    try:
        with ledger.transaction():
            known = {each.name: each for each in ledger.studies(State.SET_ASIDE, State.REFUSED)}
            unknown = [name for name in names if name not in known]
            if unknown:
                raise InputNotFoundError(
                    f"expected studies that were set aside or refused, found {', '.join(unknown)}",
                    hint="'bodycomp serve status' lists them.",
                )
            chosen = [
                each
                for each in known.values()
                if each.name in names or (not names and each.state == State.SET_ASIDE)
            ]
            for each in chosen:
                ledger.put(*reopened(each, ledger.deliveries(each.name), each.peer))
    finally:
        ledger.close()
    return [each.name for each in chosen]
