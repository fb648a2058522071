"""What a worker of a cluster is sent, does and sends back."""

from __future__ import annotations

import importlib
import os
import pickle
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from bodycomp import __version__
from bodycomp.errors import ClusterError, is_disk_full
from bodycomp.processes import is_debugging, log_nothing

SAME: Final = "All machines need the same Python, bodycomp and packages."


@dataclass(frozen=True, slots=True)
class Call:
    """One item on its way to a worker; Dask logs what it is given, and shall show nothing of it.

    A worker ends where it cannot unpickle what it is sent, as with other code; so what is to be
    done is ``packed``, and opened in the end.
    """

    packed: bytes = field(repr=False)
    paths: tuple[Path, ...] = field(repr=False)
    folder: Path = field(repr=False, default_factory=Path.cwd)
    version: str = __version__
    debug: bool = field(default_factory=is_debugging)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call; ``unfit`` says what its machine lacks."""

    worker: str
    result: Any = field(default=None, repr=False)
    error: BaseException | None = field(default=None, repr=False)
    unfit: str = ""


_ONE_AT_A_TIME: Final = threading.Lock()
"""A worker may have threads; networks, pictures and the working folder are of one process."""

_quiet = cache(log_nothing)


def answer(call: Call) -> Outcome:
    """Do a call on a worker. Errors are values: those that are raised there are logged."""
    worker = importlib.import_module("distributed").get_worker().address
    _quiet(debug=call.debug)
    if call.version != __version__:
        found = f"expected bodycomp {call.version} on every worker, found {__version__}"
        return Outcome(worker, error=ClusterError(f"{found} at {worker}", hint=SAME))
    try:
        do, item = pickle.loads(call.packed)  # noqa: S301 - of the client, which may run any code
    except Exception as error:
        found = f"the worker {worker} cannot read its work ({type(error).__name__}: {error})"
        return Outcome(worker, error=ClusterError(found, hint=SAME))
    with _ONE_AT_A_TIME:
        try:
            os.chdir(call.folder)  # relative paths count from the client's
            missing = sum(not path.exists() for path in call.paths)
        except OSError:
            missing = 1
        if missing:
            return Outcome(worker, unfit="it does not see the files of its work")
        try:
            return Outcome(worker, do(item))
        except Exception as error:
            return Outcome(worker, error=_portable(error), unfit=_full_disk(error))


def _portable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what was made on the line itself
    except Exception:  # whatever a library keeps in its errors
        return ClusterError(f"a worker failed with {type(error).__name__}; see --debug")
    return error


def _full_disk(error: BaseException | None) -> str:
    while error is not None:
        if is_disk_full(error):
            return "its disk is full"
        error = error.__cause__
    return ""
