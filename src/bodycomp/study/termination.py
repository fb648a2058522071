"""SIGTERM ends a run in good order, as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from bodycomp.errors import RunInterruptedError


class Terminated(KeyboardInterrupt):
    """SIGTERM came; no handler of errors takes it for the fault of a series."""


@contextmanager
def ended_by_sigterm(out_dir: Path) -> Iterator[None]:
    """Run the body until SIGTERM comes; a second one does not disturb the end.

    Signals reach the main thread alone; elsewhere this does nothing.

    Raises:
        RunInterruptedError: SIGTERM ended the body; what was finished is kept.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except Terminated:
        raise RunInterruptedError(
            f"the analysis was ended by SIGTERM; finished studies are kept in {out_dir}",
            signal_number=signal.SIGTERM,
            hint="The same command with --resume goes on from there.",
        ) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
