"""Both trainings of the demo side by side, each as the command that a user would type.

On a few cores two processes with half of them each get more steps done than one after the other
with all: the small arrays of a DenseNet leave a second thread little to do.
"""

from __future__ import annotations

import csv
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from bodycomp.errors import TrainingError

POLL_S: Final = 1.0
LOG_LINES_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class DemoTraining:
    """One training: its network, which names the run, and time for its steps and validations."""

    network: str
    data_dir: Path
    models_dir: Path
    minutes: float
    options: tuple[str, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows ``bodycomp`` on the command line."""
        return (
            "train",
            self.network,
            str(self.data_dir),
            str(self.models_dir),
            *("--name", self.network, "--max_minutes", f"{self.minutes:.2f}"),
            *self.options,
        )

    @property
    def command_line(self) -> str:
        """The command as a user would type it."""
        return shlex.join(("bodycomp", *self.arguments))

    @property
    def log(self) -> Path:
        """What the training says."""
        return self.models_dir / f"{self.network}.log"

    def latest_metrics(self) -> dict[str, str]:
        """Return the last row of the run's ``metrics.csv``, empty before the first epoch."""
        try:
            with (self.models_dir / self.network / "metrics.csv").open(newline="") as stream:
                rows = list(csv.DictReader(stream))
        except FileNotFoundError:
            return {}
        return rows[-1] if rows else {}


TrainingProgress = Callable[[DemoTraining, float], None]
"""Called about once a second for each training with the minutes that it has run."""


_METRICS: Final = ("val_dice_mean", "val_found_L3", "val_located_error_mm_L3")


@contextmanager
def training_bars(trainings: Sequence[DemoTraining]) -> Iterator[TrainingProgress]:
    """Yield a progress function with a bar per training, or a line per epoch without a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:16}"),
        BarColumn(),
        TextColumn("{task.fields[status]}"),
    )
    shown = dict.fromkeys((training.network for training in trainings), "")
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks = {
            training.network: bars.add_task(training.network, total=training.minutes, status="")
            for training in trainings
        }

        def show(training: DemoTraining, minutes: float) -> None:
            row = training.latest_metrics()
            status = f"{minutes:.1f} of {training.minutes:.1f} min" + "".join(
                f"  {name.removeprefix('val_')} {float(row[name]):.3g}"
                for name in _METRICS
                if row.get(name)
            )
            bars.update(tasks[training.network], completed=minutes, status=status)
            epoch = row.get("epoch", "")
            if epoch != shown[training.network] and not console.is_terminal:
                sys.stderr.write(f"  {training.network}: {status}\n")
            shown[training.network] = epoch

        yield show


def train_side_by_side(trainings: Sequence[DemoTraining], progress: TrainingProgress) -> None:
    """Run the trainings at the same time, the cores shared among them.

    Raises:
        TrainingError: One failed; the others are stopped, and the message ends with its log.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // len(trainings))
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    began = time.monotonic()
    with ExitStack() as stack:
        processes = []
        for training in trainings:
            training.models_dir.mkdir(parents=True, exist_ok=True)
            log = stack.enter_context(training.log.open("wb"))
            command = [sys.executable, "-m", "bodycomp", *training.arguments]
            process = subprocess.Popen(command, stderr=log, stdout=log, env=environment)  # noqa: S603 - our own command
            stack.callback(_stop, process)
            processes.append(process)
        while any(process.poll() is None for process in processes):
            time.sleep(POLL_S)
            for training, process in zip(trainings, processes, strict=True):
                if process.poll() not in (None, 0):
                    raise _failure(training)
                progress(training, (time.monotonic() - began) / 60)
    for training, process in zip(trainings, processes, strict=True):
        if process.returncode != 0:
            raise _failure(training)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a training that still runs to end in good order, and wait for it."""
    if process.poll() is None:
        process.terminate()
        process.wait()


def _failure(training: DemoTraining) -> TrainingError:
    lines = training.log.read_text(errors="replace").splitlines()
    return TrainingError(
        f"the training of the {training.network} network failed:\n"
        + "\n".join(lines[-LOG_LINES_SHOWN:]),
        hint=f"Its whole log is {training.log}; the command was\n{training.command_line}",
    )
