"""Silence for libraries of DICOM, whose messages quote the values that they are about."""

from __future__ import annotations

import logging
import threading
import warnings
from contextlib import ContextDecorator, ExitStack
from typing import Final

_LOGGERS: Final = ("pydicom", "highdicom", "pynetdicom", "dicomweb_client")
_SILENT: Final = logging.CRITICAL + 1


class _Silence(ContextDecorator):
    """Levels of loggers and filters of warnings, which belong to all threads.

    The first one in changes them, the last one out changes them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._undo = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._undo.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore", category=UserWarning)
                for name in _LOGGERS:
                    logger = logging.getLogger(name)
                    self._undo.callback(logger.setLevel, logger.level)
                    logger.setLevel(_SILENT)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._undo.close()


_SILENCE: Final = _Silence()


def quiet_pydicom() -> _Silence:
    """Let no message of pydicom and its kin out, neither by ``logging`` nor as a warning.

    What breaks the standard in a file is quoted there: UIDs, names, dates of birth. It is entered
    once around a search or a series, by any number of threads; calls may be nested.
    """
    return _SILENCE
