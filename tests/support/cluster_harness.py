"""A Dask scheduler and workers, each a command of its own on loopback, that are killed.

``PYTHONPATH=tests python -m support.cluster_harness STUDIES RUNS`` does it at any size and prints
what happened.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

from support.kill_harness import analyze, differences, make_cohort


class DaskCluster:
    """A scheduler and workers until the end of ``with``; workers can be killed and started."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._count = workers
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        for _ in range(self._count):
            self.start_worker()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()

    @property
    def address(self) -> str:
        """The scheduler's file, which names its address."""
        return str(self._file)

    def start_worker(self, *options: str) -> None:
        """Start a worker of one thread that nobody starts again."""
        given = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0")
        self.workers.append(self._start("worker", *given, *options))

    def kill_worker(self, rng: random.Random) -> None:
        """End a worker as a machine that fails does."""
        worker = self.workers.pop(rng.randrange(len(self.workers)))
        worker.send_signal(signal.SIGKILL)
        worker.wait()

    def _start(self, command: str, *options: str) -> subprocess.Popen[bytes]:
        module = f"distributed.cli.dask_{command}"
        words = [sys.executable, "-m", module, "--scheduler-file", str(self._file), *options]
        paths = [str(Path(path).resolve()) for path in sys.path if path]
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(paths), OMP_NUM_THREADS="1")
        with (self._folder / f"{command}.log").open("ab") as log:
            process = subprocess.Popen(
                words, env=environment, stdout=log, stderr=log, cwd=self._folder
            )
        self._processes.append(process)
        if command == "scheduler":
            while not self._file.exists() and process.poll() is None:
                time.sleep(0.05)
        return process

    def logs(self) -> str:
        """Return what all of them logged."""
        return "".join(path.read_text() for path in sorted(self._folder.glob("*.log")))


def killed_run(place: Path, cluster: DaskCluster, name: str, seed: int) -> list[str]:
    """Analyze ``place/cohort`` while a worker is killed; return what differs from ``place/one``.

    A new worker takes the place of the one that was killed, so that the next run has as many.
    """
    rng = random.Random(seed)
    finished = len(list((place / "one").glob("study-*")))
    moment, delay_s = rng.randrange(finished), rng.uniform(0, 0.3)
    timers = []

    def kill(stage: str, done: int, _: int) -> None:
        if stage == "series" and done > moment and not timers:
            timers.append(threading.Timer(delay_s, cluster.kill_worker, [rng]))
            timers[0].start()

    analyze(place / "cohort", place / name, place / "key", cluster.address, kill)
    for timer in timers:
        timer.join()
    cluster.start_worker()
    return differences(place / "one", place / name)


def main() -> None:
    """Kill a worker in each of so many runs, and print what differs."""
    studies, runs = map(int, sys.argv[1:3])
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "key").write_text("ab" * 32)
        make_cohort(place / "cohort", studies)
        analyze(place / "cohort", place / "one", place / "key")
        with DaskCluster(place) as cluster:
            for run in range(runs):
                found = killed_run(place, cluster, f"run {run}", run)
                sys.stdout.write(f"run {run}: {found or 'no difference'}\n")
                sys.stdout.flush()
                wrong += found
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
