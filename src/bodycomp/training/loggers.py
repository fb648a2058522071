"""Where metrics go besides the run's folder: MLflow and Weights & Biases, when asked for.

Nothing that may name people leaves the run's folder: no paths, no name of the run, no host and no
user. ``loggers.json`` in the folder tells which run of the logger belongs to it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final

from lightning.pytorch.loggers import Logger, TensorBoardLogger

from bodycomp.errors import UsageError
from bodycomp.json_file import write_json
from bodycomp.training.options import RunOptions
from bodycomp.training.run_folder import RunFolder, time_stamp

PROJECT: Final = "bodycomp"


def check_loggers(options: RunOptions) -> None:
    """Refuse loggers that are not installed.

    Raises:
        UsageError: A package is missing; the hint says how to get it.
    """
    for name in options.loggers:
        if find_spec(name) is None:
            raise UsageError(
                f"--logger {name} needs a package that is not installed",
                hint=f"pip install 'bodycomp[{name}]'",
            )


def make_loggers(
    options: RunOptions, folder: RunFolder, training: Mapping[str, Any]
) -> list[Logger]:
    """Return TensorBoard's logger and those that were asked for.

    Args:
        options: With the names of the loggers.
        folder: Of the run; a resumed run goes on in the logger's earlier one.
        training: What may be told of the training; see ``fit.provenance``.

    Raises:
        UsageError: A logger cannot be used, for instance because nothing answers.
    """
    loggers: list[Logger] = [TensorBoardLogger(folder.path, "tensorboard", "")]
    if not options.loggers:
        return loggers
    place = folder.path / "loggers.json"
    earlier: dict[str, str] = json.loads(place.read_text("utf-8")) if place.is_file() else {}
    title = f"{options.task} {time_stamp()}"
    for name in options.loggers:
        try:
            is_new = name not in earlier
            logger, earlier[name] = MAKERS[name](title, earlier.get(name), folder)
            if is_new:  # MLflow refuses options that have changed, such as --epochs at a resume
                logger.log_hyperparams(dict(training))
        except Exception as error:  # whatever a package of somebody else's raises
            raise UsageError(
                f"--logger {name} cannot be used: {type(error).__name__}: "
                f"{str(error).splitlines()[0] if str(error) else ''}",
                hint="See to its settings, or leave it out.",
            ) from error
        loggers.append(logger)
    write_json(place, earlier, durable=True)
    return loggers


def _mlflow(title: str, run_id: str | None, folder: RunFolder) -> tuple[Logger, str]:
    from lightning.pytorch.loggers import MLFlowLogger  # noqa: PLC0415 - only when asked for

    local = f"sqlite:///{(folder.path.parent / 'mlflow.db').absolute()}"
    logger = MLFlowLogger(
        experiment_name=PROJECT,
        run_name=title,
        run_id=run_id,
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or local,
        # MLflow would tell the user's name and the program's path otherwise.
        tags={"mlflow.user": "", "mlflow.source.name": PROJECT},
    )
    _ = logger.experiment
    return logger, str(logger.run_id)


def _wandb(title: str, run_id: str | None, folder: RunFolder) -> tuple[Logger, str]:
    import wandb  # noqa: PLC0415 - only when asked for
    from lightning.pytorch.loggers import WandbLogger  # noqa: PLC0415

    quiet = wandb.Settings(
        console="off",  # messages name folders
        disable_code=True,
        disable_git=True,
        x_disable_meta=True,  # host, user, command line
        x_disable_machine_info=True,
    )
    logger = WandbLogger(
        name=title,
        id=run_id,
        resume="allow",
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        save_dir=folder.path,
        settings=quiet,
    )
    return logger, str(logger.experiment.id)


MAKERS: Final[dict[str, Callable[[str, str | None, RunFolder], tuple[Logger, str]]]] = {
    "mlflow": _mlflow,
    "wandb": _wandb,
}
