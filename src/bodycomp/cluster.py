"""Work on the machines of a cluster, by Dask: one that runs, one of batch jobs, or processes here.

A task carries its item, and a small value comes back; what it makes lies in files that all machines
see. Dask gives the tasks of a lost worker to another one. An item that takes far longer than the
others is given to a second worker, and the first result counts.
"""

from __future__ import annotations

import importlib
import json
import logging
import pickle
import statistics
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from bodycomp.cluster_calls import SAME, Call, Outcome, answer
from bodycomp.errors import ClusterError, UsageError
from bodycomp.options import Record, option
from bodycomp.processes import (
    Item,
    ProcessWorkers,
    Result,
    Work,
    Workers,
)

_LOG: Final = logging.getLogger(__name__)
_LOCAL: Final = "local"
_BATCH_SYSTEMS: Final = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "oar": "OARCluster",
    "htcondor": "HTCondorCluster",
}
"""Name -> class of dask-jobqueue."""

_DASHBOARD: Final = "127.0.0.1:0"
"""Any port of this machine alone."""

_CONNECT_S: Final = 30
_TICK_S: Final = 1.0
_AHEAD: Final = 2
"""Items under way for each thread of the cluster: one is done, the next one is there already."""

_MACHINES: Final = 2
"""Machines that may be unfit for an item before the run ends."""

_STRAGGLER_S: Final = 60.0
_STRAGGLER_SHARE: Final = 4.0
"""An item is a straggler after this time, and this multiple of the others' median."""

_INSTALL: Final = "Install it with: pip install 'bodycomp[cluster]'"
_SHARED: Final = (
    "All machines must see inputs, models and output at the same paths, as on a shared file system."
)
_RESUME: Final = "What is finished is kept; the same command continues from there (with --resume)."


def cluster_option() -> str:
    """Declare where the work is spread to; empty for this machine."""
    return option(
        "",
        "--cluster",
        metavar="ADDRESS",
        record=Record.NOTHING,
        help="spread the work over a Dask cluster: the scheduler's address (tcp://HOST:8786) or "
        "file (.json); slurm:jobs=10,cores=4,memory=16GB,... starts one by batch jobs, local:4 "
        "one of processes here (docs/cluster.md; needs dask)",
    )


@contextmanager
def opened_workers(cluster: str, processes: int) -> Iterator[Workers]:
    """Yield the workers of a cluster, or so many processes where it has no name.

    Raises:
        ClusterError: It cannot be reached or started.
        UsageError: Dask is not installed, or the name means nothing.
    """
    if not cluster:
        yield ProcessWorkers(processes)
        return
    distributed = _module("distributed")
    system, _, words = cluster.partition(":")
    with ExitStack() as stack:
        try:
            if system == _LOCAL:
                place = stack.enter_context(_local_cluster(distributed, words))
            elif system in _BATCH_SYSTEMS:
                place = stack.enter_context(_batch_cluster(system, words))
            else:
                place = cluster
            if isinstance(place, str) and place.endswith(".json"):
                place = json.loads(Path(place).read_text(encoding="utf-8"))["address"]
            client = distributed.Client(place, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
            raise ClusterError(
                f"expected a cluster at {cluster}, found none that can be used ({error})",
                hint="Name the address that 'dask scheduler' prints, or see docs/cluster.md.",
            ) from error
        yield ClusterWorkers(stack.enter_context(client))


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"expected {name} to use a cluster, found none", hint=_INSTALL) from error


def _local_cluster(distributed: Any, words: str) -> Any:
    if not words.isdigit() or not int(words):
        raise UsageError(f"expected {_LOCAL}:N for N processes, found {_LOCAL}:{words}")
    return distributed.LocalCluster(
        n_workers=int(words),
        threads_per_worker=1,
        memory_limit=0,
        dashboard_address=_DASHBOARD,
        **_closed(),
    )


def _batch_cluster(system: str, words: str) -> Any:
    """Return a cluster whose workers are batch jobs; ended jobs are replaced by new ones."""
    given: dict[str, Any] = {}
    for word in filter(None, words.split(",")):
        name, equals, text = word.partition("=")
        if not (name and equals and text):
            raise UsageError(
                f"expected NAME=VALUE after {system}:, found {word!r}",
                hint=f"For instance --cluster {system}:jobs=10,cores=4,memory=16GB",
            )
        given[name] = int(text) if text.isdigit() else text
    jobs = given.pop("jobs", 1)
    given.setdefault(
        "processes", given.get("cores")
    )  # networks gain more by processes than threads
    setting = f"jobqueue.{system}.shared-temp-directory"
    folder = _module("dask").config.get(setting, None) or str(Path.cwd())
    given.setdefault("shared_temp_directory", folder)  # certificates, until the end
    kept = {name: value for name, value in given.items() if value is not None}
    batch = getattr(_module("dask_jobqueue"), _BATCH_SYSTEMS[system])
    own = {"scheduler_options": {"dashboard_address": _DASHBOARD}}
    cluster = batch(**own, **kept, **_closed())
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    return cluster


def _closed() -> dict[str, Any]:
    """Return options of a cluster of our own: whoever reached its port could run code by it."""
    _module("cryptography")
    return {"security": True, "protocol": "tls"}


@dataclass(eq=False)
class _Task:
    """An item under way, at one worker or two; ``unfit`` machines had it before."""

    item: Any
    began: float = field(default_factory=time.monotonic)
    keys: list[str] = field(default_factory=list)
    unfit: int = 0


class ClusterWorkers:
    """The workers of a Dask cluster."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._most = 0
        self._counted = -_TICK_S
        self._are_missed = False

    def results(
        self, work: Work[Item, Result], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each item with what was made of it, as ``Workers``."""
        spread = _Spread(self._client, work)
        waiting = iter(items)
        is_more = True
        try:
            while True:
                while is_more and len(spread.tasks) < self._ahead():
                    try:
                        spread.submit(_Task(next(waiting)))
                    except StopIteration:
                        is_more = False
                if not spread.tasks:
                    return
                found = spread.next_result()
                if found is not None:
                    yield found
                elif not is_more:
                    spread.double_stragglers()
        finally:
            spread.close()

    def _ahead(self) -> int:
        """Return how many items may be under way; asks the scheduler once in a while."""
        now = time.monotonic()
        if now - self._counted >= _TICK_S:
            known = _asked(self._client.scheduler_info, n_workers=0)
            self._most = _AHEAD * max(1, int(known["total_threads"]))
            self._counted = now
            if not known["n_workers"] and not self._are_missed:
                _LOG.warning("the cluster has no worker; waiting for one")
            self._are_missed = not known["n_workers"]
        return self._most


class _Spread:
    """The items of one work that are under way on a cluster."""

    def __init__(self, client: Any, work: Work[Any, Any]) -> None:
        self.tasks: dict[str, _Task] = {}
        self._client = client
        self._work = work
        self._futures: dict[str, Any] = {}
        self._finished: SimpleQueue[Any] = SimpleQueue()
        self._seconds: deque[float] = deque(maxlen=1000)
        self._killed: type[Exception] = _module("distributed").KilledWorker

    def submit(self, task: _Task, workers: list[str] | None = None) -> None:
        """Send an item to one of these workers, or to any."""
        key = f"bodycomp-{uuid.uuid4().hex}"
        packed = pickle.dumps((self._work.do, task.item))
        call = Call(packed, self._work.paths(task.item))
        options = {"key": key, "pure": False, "workers": workers}
        future = _asked(self._client.submit, answer, call, **options)
        task.keys.append(key)
        self.tasks[key], self._futures[key] = task, future
        future.add_done_callback(self._finished.put)

    def next_result(self) -> tuple[Any, Any] | None:
        """Return the next item that is done, None if there is none for a while."""
        try:
            future = self._finished.get(timeout=_TICK_S)
        except Empty:
            if self._client.status not in ("running", "connecting"):
                raise _lost() from None
            return None
        task = self.tasks.get(future.key)
        if task is None:  # the item's other worker was faster
            return None
        outcome = self._outcome(future)
        if outcome is not None and outcome.unfit and self._again(task, future.key, outcome):
            return None
        self._forget(task, future.key)
        self._seconds.append(time.monotonic() - task.began)
        if outcome is None:
            _LOG.warning("an item ended the workers that had it; it is done by this process")
            return task.item, (self._work.alone or self._work.do)(task.item)
        if outcome.error is not None:
            raise outcome.error
        return task.item, outcome.result

    def _outcome(self, future: Any) -> Outcome | None:
        """Return what came of a future; None if it ended several workers."""
        try:
            found: Outcome = future.result()
        except self._killed:
            return None
        except Exception as error:
            if future.status == "error":
                raise ClusterError(
                    f"a worker cannot do the work ({type(error).__name__}: {error})",
                    hint=SAME,
                ) from error
            raise _lost() from error
        return found

    def _again(self, task: _Task, key: str, outcome: Outcome) -> bool:
        """Give an item of an unfit machine to another one, and the machine no more.

        Returns False where the item can only be done here, as its files are gone.

        Raises:
            ClusterError: Several machines are unfit, or no other is left.
            OSError: Their disks are full.
        """
        if outcome.error is None and not all(p.exists() for p in self._work.paths(task.item)):
            return False
        task.unfit += 1
        others = [worker for worker in _asked(self._client.processing) if worker != outcome.worker]
        if task.unfit >= _MACHINES or not others:
            raise outcome.error or ClusterError(
                f"expected workers that see the same files as this machine, found {outcome.worker} "
                "where they are missing",
                hint=_SHARED,
            )
        _LOG.warning("the worker %s gets no more work: %s", outcome.worker, outcome.unfit)
        _asked(self._client.retire_workers, [outcome.worker])
        del self.tasks[key], self._futures[key]
        self.submit(task, others)
        return True

    def double_stragglers(self) -> None:
        """Give items that take far longer than others to a second worker, too."""
        usual = statistics.median(self._seconds) if self._seconds else 0.0
        limit = time.monotonic() - max(_STRAGGLER_S, _STRAGGLER_SHARE * usual)
        late = [task for task in set(self.tasks.values()) if task.began < limit]
        if not any(len(task.keys) == 1 for task in late):
            return
        processing = _asked(self._client.processing)
        held = {key: worker for worker, keys in processing.items() for key in keys}
        for task in late:
            worker = held.get(task.keys[0])
            others = [each for each in processing if each != worker]
            if len(task.keys) == 1 and worker is not None and others:
                self.submit(task, others)

    def _forget(self, task: _Task, done: str) -> None:
        for key in task.keys:
            if self.tasks.pop(key, None) is not None:
                future = self._futures.pop(key)
                if key != done:  # one that is done goes with its last name
                    future.cancel()

    def close(self) -> None:
        """Let go of what is still under way."""
        if self._futures and self._client.status == "running":
            with suppress(ClusterError):  # then nothing is under way any more
                _asked(self._client.cancel, list(self._futures.values()))


def _asked(ask: Callable[..., Any], *what: Any, **options: Any) -> Any:
    """Ask the scheduler; ClusterError if it does not answer."""
    try:
        return ask(*what, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise _lost() from error


def _lost() -> ClusterError:
    return ClusterError("the cluster's scheduler was lost", hint=_RESUME)
