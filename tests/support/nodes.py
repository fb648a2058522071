"""Nodes with stand-ins for their models, an archive that they send to, and a sender.

``python -m support.nodes`` imports PyTorch once and forks nodes that can be killed, which saves
seconds for each: it reads configurations, one a line, and answers each with a process number.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import RunInterruptedError
from bodycomp.imaging.volume import Volume
from bodycomp.node import measuring
from bodycomp.node.config_file import read_config
from bodycomp.node.ledger import Ledger, State, Study
from bodycomp.node.run import run_node
from bodycomp.node.service import RECEIVED, SENT
from bodycomp.processes import _begin
from support.ports import free_port
from support.stand_ins import BodyIsMuscle, LevelAt

TITLE, SENDER = "BODYCOMP", "SCANNER"
EXPLICIT = "1.2.840.10008.1.2.1"


def stand_ins(_: Any) -> Any:
    """Models that find L3 at 60 mm, and take the whole body for muscle."""
    from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer  # noqa: PLC0415 - in the child

    return Analyzer(LevelAt(60.0), BodyIsMuscle(), AnalysisOptions())


def write_study(
    folder: Path, number: int, *, slices: int = 12, spacing_mm: float = 10.0, **header: Any
) -> list[Path]:
    """A small study whose muscle area tells which it is, feet first."""
    pixels = np.full((slices, 32, 40), -1000, np.int16)
    pixels[:, 8:24, 6 : 12 + number % 20] = 40 + number % 7
    volume = Volume(pixels, (2.0, 2.0), spacing_mm * np.arange(slices))
    given = {"patient_id": f"SECRET-{number}", "patient_name": "Doe^Jane"} | header
    head = SeriesHeader(seed=f"patient {number}", first_instance="feet", **given)
    return write_ct_series(folder, volume, head)


@dataclass
class Archive:
    """A storage SCP that keeps what it gets: SOP Instance UID -> every dataset, as it came."""

    port: int
    got: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    answer: Callable[[], int] = lambda: 0

    def stored(self, event: Any) -> int:
        self.got[str(event.request.AffectedSOPInstanceUID)].append(event.encoded_dataset())
        return self.answer()


@contextmanager
def archive(
    into: Archive | None = None, context: ssl.SSLContext | None = None
) -> Iterator[Archive]:
    """Run an archive, by TLS with a context; ``into`` goes on with an earlier one."""
    found = into or Archive(free_port())
    entity = AE("ARCHIVE")
    entity.add_supported_context("1.2.840.10008.1.1")
    for sop_class in SENT.values():
        entity.add_supported_context(sop_class, EXPLICIT)
    address = ("127.0.0.1", found.port)
    server = entity.start_server(
        address, block=False, ssl_context=context, evt_handlers=[(evt.EVT_C_STORE, found.stored)]
    )
    try:
        yield found
    finally:
        server.shutdown()


def write_config(
    folder: Path, archive_port: int, *extra: str, port: int | None = None, **node: Any
) -> Path:
    """A configuration that is quick to decide; ``extra`` are further lines at its end."""
    settings = {"quiet_seconds": 0.5, "min_free_gb": 0.0, "timeout_seconds": 60.0} | node
    lines = [
        "[node]",
        f'spool = "{folder / "spool"}"',
        f"port = {port or free_port()}",
        *(
            f"{name} = {str(value).lower() if isinstance(value, bool) else value}"
            for name, value in settings.items()
        ),
        "[[peers]]",
        f'ae_title = "{SENDER}"',
        "[[destinations]]",
        'name = "pacs"',
        'ae_title = "ARCHIVE"',
        'host = "127.0.0.1"',
        f"port = {archive_port}",
        "[deliver]",
        "first_wait_seconds = 0.3",
        "longest_wait_minutes = 0.02",
        *extra,
    ]
    if not any("[[rules]]" in line for line in extra):
        lines += ["[[rules]]", 'name = "all"', 'destinations = ["pacs"]']
    path = folder / "node.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Node:
    """A running node.

    Attributes:
        pid: Its process.
    """

    def __init__(self, config: Path) -> None:
        self.config, self.port = config, read_config(config).node.port
        self.pid = _forker().start(config)
        try:
            wait_for(lambda: listens(self.port) or not self.is_alive())
        except TimeoutError:
            self.end(signal.SIGKILL)
            raise

    def is_alive(self) -> bool:
        """Whether the process is there."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal and wait until the process is gone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        wait_for(lambda: not self.is_alive())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class _Forker:
    def __init__(self) -> None:
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.nodes"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.close)

    def start(self, config: Path) -> int:
        """Start a node and return its process number."""
        self._process.stdin.write(f"{config}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process; nodes end by themselves."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@cache
def _forker() -> _Forker:
    return _Forker()


def listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def send(
    port: int, files: Sequence[Path], *, title: str = SENDER, called: str = TITLE
) -> list[int]:
    """Send files by one association; statuses, -1 for what could not be sent."""
    entity = AE(title)
    entity.requested_contexts = [build_context(each, EXPLICIT) for each in RECEIVED]
    entity.dimse_timeout = entity.network_timeout = entity.acse_timeout = 60
    association = entity.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        if association.dul.socket is not None and association.dul.socket.socket is not None:
            association.dul.socket.socket.close()
        return [-1] * len(files)
    statuses = []
    for path in files:
        try:
            statuses.append(int(association.send_c_store(path).get("Status", -1)))
        except (RuntimeError, ValueError):
            statuses.append(-1)
    association.release()
    return statuses


def wait_for(condition: Callable[[], Any], seconds: float = 240.0) -> Any:
    """Wait until something is true, and return it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"not true within {seconds} s: {condition}")


def studies(config: Path) -> list[Study]:
    """What the ledger of a node says."""
    ledger = Ledger(read_config(config).node.spool)
    try:
        return ledger.studies()
    finally:
        ledger.close()


def settled(config: Path, count: int, *states: State, seconds: float = 240.0) -> list[Study]:
    """Wait until so many studies are in one of these states, by default done."""
    wanted = states or (State.DONE,)
    return wait_for(
        lambda: (found := [s for s in studies(config) if s.state in wanted])[count - 1 :] and found,
        seconds,
    )


def _run(config: Path) -> None:
    """Run a node in this process, which was forked."""
    log = (config.parent / "node.log").open("a")
    for number in (1, 2):
        os.dup2(log.fileno(), number)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = 1
    try:
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
        run_node(read_config(config), stand_ins)
    except RunInterruptedError as error:
        code = 128 + error.signal_number
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Fork nodes as they are asked for."""
    import bodycomp.study.run  # noqa: F401, PLC0415 - once, for all of them

    measuring.helper_processes = lambda count: ProcessPoolExecutor(
        count, mp_context=multiprocessing.get_context("fork"), initializer=_begin, initargs=(False,)
    )
    stand_ins(None)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _run(Path(line.strip()))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
