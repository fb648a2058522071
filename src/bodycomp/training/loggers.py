"""Where metrics go: TensorBoard, and MLflow and Weights & Biases when asked for.

Nothing that may name people leaves the run's folder: no paths, no name of the run, no host and no
user. ``loggers.json`` in the folder says which run of the logger belongs to it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any, Final, Protocol

from bodycomp.errors import UsageError
from bodycomp.json_file import write_json
from bodycomp.training.run_folder import RunFolder, time_stamp
from bodycomp.training.steps.training import Training

PROJECT: Final = "bodycomp"

MLFLOW_LONGEST: Final = 250
"""Characters of a parameter that every MLflow server takes."""


class MetricLogger(Protocol):
    """A place that metrics go to."""

    def log(self, numbers: Mapping[str, float], epoch: int) -> None:
        """Keep an epoch's metrics."""

    def close(self, *, succeeded: bool) -> None:
        """End the run there."""


class TensorBoardLogger:
    """Event files in the run's folder, made with the first metrics."""

    def __init__(self, folder: RunFolder) -> None:
        # It takes a second, which is not to be counted as one of the training.
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

        self._make_writer = partial(SummaryWriter, str(folder.path / "tensorboard"))
        self._writer: SummaryWriter | None = None

    def log(self, numbers: Mapping[str, float], epoch: int) -> None:
        """Write an epoch's metrics, at once."""
        if self._writer is None:
            self._writer = self._make_writer()
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self, *, succeeded: bool) -> None:
        """Close the files."""
        del succeeded
        if self._writer is not None:
            self._writer.close()


class MLflowLogger:
    """A run of MLflow, where ``MLFLOW_TRACKING_URI`` says or in the folder of runs."""

    def __init__(self, run_id: str | None, folder: RunFolder, facts: Mapping[str, Any]) -> None:
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - only when asked for

        local = f"sqlite:///{(folder.path.parent / 'mlflow.db').absolute()}"
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or local)
        self.run_id = run_id or self._new_run(facts)
        self._client.get_run(self.run_id)

    def _new_run(self, facts: Mapping[str, Any]) -> str:
        known = self._client.get_experiment_by_name(PROJECT)
        usable = known is not None and known.lifecycle_stage != "deleted"
        experiment = known.experiment_id if usable else self._client.create_experiment(PROJECT)
        # MLflow would tell the user's name and the program's path otherwise.
        tags = {"mlflow.user": "", "mlflow.source.name": PROJECT}
        run = self._client.create_run(experiment, run_name=_title(facts), tags=tags)
        run_id = str(run.info.run_id)
        for name, value in _flat(facts):
            self._client.log_param(run_id, name, str(value)[:MLFLOW_LONGEST])
        return run_id

    def log(self, numbers: Mapping[str, float], epoch: int) -> None:
        """Keep an epoch's metrics."""
        from mlflow.entities import Metric  # noqa: PLC0415

        now_ms = int(1000 * time.time())
        metrics = [Metric(name, value, now_ms, epoch) for name, value in numbers.items()]
        self._client.log_batch(self.run_id, metrics=metrics)

    def close(self, *, succeeded: bool) -> None:
        """Say how the run ended."""
        self._client.set_terminated(self.run_id, "FINISHED" if succeeded else "FAILED")


class WandbLogger:
    """A run of Weights & Biases."""

    def __init__(self, run_id: str | None, folder: RunFolder, facts: Mapping[str, Any]) -> None:
        import wandb  # noqa: PLC0415 - only when asked for

        quiet = wandb.Settings(
            console="off",  # messages name folders
            disable_code=True,
            disable_git=True,
            x_disable_meta=True,  # host, user, command line
            x_disable_machine_info=True,
        )
        self._run = wandb.init(
            name=_title(facts),
            id=run_id,
            resume="allow",
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=folder.path,
            settings=quiet,
        )
        self._run.define_metric("trainer/global_step")
        self._run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        self.run_id = str(self._run.id)
        if run_id is None:
            self._run.config.update(dict(facts), allow_val_change=True)

    def log(self, numbers: Mapping[str, float], epoch: int) -> None:
        """Keep an epoch's metrics."""
        self._run.log({**numbers, "trainer/global_step": epoch})

    def close(self, *, succeeded: bool) -> None:
        """End the run."""
        self._run.finish(exit_code=0 if succeeded else 1)


LOGGERS: Final[Mapping[str, type[MLflowLogger | WandbLogger]]] = {
    "mlflow": MLflowLogger,
    "wandb": WandbLogger,
}


def check_loggers(names: Sequence[str]) -> None:
    """Refuse loggers that are not installed."""
    for name in names:
        if find_spec(name) is None:
            raise UsageError(
                f"--logger {name} needs a package that is not installed",
                hint=f"pip install 'bodycomp[{name}]'",
            )


@contextmanager
def open_loggers(training: Training, folder: RunFolder) -> Iterator[list[MetricLogger]]:
    """Yield TensorBoard's logger and those that were asked for; only the first process has any.

    A resumed run continues in the logger's earlier one, which keeps its description: MLflow refuses
    a changed one. They end as the work within does.

    Raises:
        UsageError: A logger cannot be used, for instance because nothing answers.
    """
    loggers: list[MetricLogger] = [TensorBoardLogger(folder)] if training.ranks.is_first else []
    succeeded = False
    try:
        if loggers and training.options.loggers:
            loggers += _asked_for(training.options.loggers, folder, training.card.training)
        yield loggers
        succeeded = True
    finally:
        for logger in loggers:
            logger.close(succeeded=succeeded)


def _asked_for(
    names: Sequence[str], folder: RunFolder, facts: Mapping[str, Any]
) -> list[MetricLogger]:
    """Return loggers; ``facts`` is what may leave the run's folder, see ``fit.provenance``."""
    place = folder.path / "loggers.json"
    earlier: dict[str, str] = json.loads(place.read_text("utf-8")) if place.is_file() else {}
    made: list[MetricLogger] = []
    for name in names:
        try:
            logger = LOGGERS[name](earlier.get(name), folder, facts)
        except Exception as error:  # whatever a package of somebody else's raises
            raise UsageError(
                f"--logger {name} cannot be used: {type(error).__name__}: "
                f"{str(error).splitlines()[0] if str(error) else ''}",
                hint="See to its settings, or leave it out.",
            ) from error
        earlier[name] = logger.run_id
        made.append(logger)
    write_json(place, earlier, durable=True)
    return made


def _title(facts: Mapping[str, Any]) -> str:
    return f"{facts['options']['task']} {time_stamp()}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield names and values of nested mappings, their names joined by a slash."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
