"""Ctrl-C and SIGTERM: work ends in good order, at once or between two of its steps."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Self

from bodycomp.errors import RunInterruptedError

log = logging.getLogger(__name__)

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal came; no handler of errors takes it for a fault of the work."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class SignalWatch:
    """Ends the work within on a signal, with a ``RunInterruptedError`` on the way out.

    While ``deferred``, the first signal is only noted in ``received`` for the work to act on; a
    second Ctrl-C no longer waits. Signals reach the main thread of a process alone; elsewhere this
    does nothing.

    Args:
        error: Makes the error from the signal's number, once the work has been cleared up.
        numbers: The signals.
    """

    def __init__(
        self, error: Callable[[int], RunInterruptedError], numbers: Sequence[int] = SIGNALS
    ) -> None:
        self.received: int | None = None
        self._error = error
        self._numbers = numbers
        self._is_deferred = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {n: signal.signal(n, self._handle) for n in self._numbers}
        return self

    def __exit__(self, _kind: object, value: BaseException | None, _trace: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if isinstance(value, Stopped):
            raise self._error(value.number) from None

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Note signals instead of ending the work within."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._is_deferred and (self.received is None or number != signal.SIGINT):
            self.received = number
            log.warning("%s: ending after this step", signal.Signals(number).name)
            return
        if number == signal.SIGTERM:  # a second one does not disturb the end
            signal.signal(number, signal.SIG_IGN)
        raise Stopped(number)


def ignore_signals(_: int = 0) -> None:
    """Leave signals to the main process; a Ctrl-C in a terminal reaches its helpers too."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
