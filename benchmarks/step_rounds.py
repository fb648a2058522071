"""Training steps of several implementations in turns, each in a process of its own."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Steps:
    """What one implementation took: seconds of each step, peak memory in bytes."""

    seconds: tuple[float, ...]
    peak_bytes: int

    @property
    def median_s(self) -> float:
        """Median of the steps."""
        return statistics.median(self.seconds)


def time_in_turns(
    commands: Mapping[str, Sequence[str]], *, rounds: int, warm_up: int = 2
) -> dict[str, Steps]:
    """Start one worker per command and let them do a step each, round by round.

    Workers that wait sleep, so that they do not disturb the one at work.
    """
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    workers = {
        name: subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        for name, command in commands.items()
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(warm_up + rounds):
        for name, worker in workers.items():
            seconds = float(_ask(worker))
            if turn >= warm_up:
                times[name].append(seconds)
    results = {}
    for name, worker in workers.items():
        told, _ = worker.communicate()
        results[name] = Steps(tuple(times[name]), int(told))
    return results


def _ask(worker: subprocess.Popen[str]) -> str:
    if worker.stdin is None or worker.stdout is None:
        raise TypeError("workers have pipes")
    worker.stdin.write("\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(
            f"a worker ended with code {worker.wait()} (-9: out of memory): {worker.args!r}"
        )
    return answer


def torch_command(network: str, variant: str) -> list[str]:
    """Return the command of a PyTorch worker."""
    return [sys.executable, "-m", "benchmarks.step_worker", network, variant]
