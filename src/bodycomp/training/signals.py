"""Ctrl-C and SIGTERM: end in good order, between two steps."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Self

from bodycomp.errors import RunInterruptedError

log = logging.getLogger(__name__)

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class SignalWatch:
    """Turns signals into ``RunInterruptedError``, or into a note while steps are running.

    Outside ``defer`` a signal raises at once. Within, the first one is noted in ``received`` for
    the training loop to act on, and a second Ctrl-C no longer waits. Only the main thread of a
    process receives signals; elsewhere this does nothing.
    """

    def __init__(self, *, ignore: bool = False) -> None:
        """Prepare; ``ignore`` leaves all signals to another process of the same training."""
        self.received: int | None = None
        self._ignore = ignore
        self._deferred = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._install()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def defer(self) -> None:
        """Note signals from now on; called when the steps begin, after Lightning's own handlers."""
        self._deferred = True
        self._install()

    def stop_deferring(self) -> None:
        """Raise at signals again."""
        self._deferred = False
        self._install()

    def _install(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        handler: Callable[[int, FrameType | None], None] | signal.Handlers
        handler = signal.SIG_IGN if self._ignore else self._handle
        for number in SIGNALS:
            previous = signal.signal(number, handler)
            self._previous.setdefault(number, previous)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if not self._deferred:
            raise interrupted(number, "before or after its steps")
        if self.received is not None and number == signal.SIGINT:
            raise interrupted(number, "without waiting for its last step")
        self.received = number
        log.warning("%s: ending after this step", signal.Signals(number).name)


def interrupted(number: int, where: str) -> RunInterruptedError:
    """Return the error that says where the training was interrupted and how to go on."""
    return RunInterruptedError(
        f"training was interrupted by {signal.Signals(number).name} {where}",
        signal_number=number,
        hint="The same command with --resume and this run's --name goes on from there.",
    )


def ignore_signals(_: int = 0) -> None:
    """Leave signals to the process that trains; a Ctrl-C in a terminal reaches its helpers too."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
