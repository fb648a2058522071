"""The options that both trainings share; plain values, no torch, checked when they are made."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from bodycomp.errors import UsageError
from bodycomp.json_file import from_plain
from bodycomp.networks.names import ACTIVATIONS
from bodycomp.options import Record, check_options, declare, option, plain, words_of
from bodycomp.training.steps.schedules import SCHEDULES

PRECISIONS: Final = ("auto", "32", "bf16", "16")
LOGGERS: Final = ("mlflow", "wandb")
COMPILE: Final = ("auto", "on", "off")
NORMS: Final = ("auto", "frozen", "moving")
OPTIMIZERS: Final = ("adamw", "sgd")
ON_DIVERGENCE: Final = ("step-back", "stop")

AUTO_BATCH_SIZE: Final = 0
"""Stands for the largest batch size that memory holds."""

LARGE_ADAMW_RATE: Final = 0.02
"""Above this learning rate AdamW rarely trains; the earlier default of 0.1 lies far beyond."""

Networks = Mapping[str, Mapping[str, Any]]
"""Architecture -> its options, each with its default."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What both trainings share; each option is described beside its field.

    The fields without a description have one in the classes of the two trainings.

    Raises:
        UsageError: A value is out of range or a name unknown.
    """

    task: ClassVar[str] = ""
    networks: ClassVar[Networks] = {}

    data_dir: Path = field(
        metadata=declare("DATA_DIR", help="the training set", record=Record.LOCAL)
    )
    output_dir: Path = field(
        metadata=declare(
            "MODEL_OUTPUT_DIR",
            record=Record.LOCAL,
            help="folder of runs; this one becomes MODEL_OUTPUT_DIR/NAME",
        )
    )
    name: str = option(
        "",
        "--name -a",
        group="the run",
        record=Record.LOCAL,
        help="name of the run (default: time stamp); a run that exists is never overwritten",
    )
    loggers: tuple[str, ...] = option(
        (),
        "--logger",
        choices=LOGGERS,
        repeat=True,
        record=Record.LOCAL,
        help="send metrics to MLflow or Weights & Biases too, no paths and no names; may be "
        "given twice (TensorBoard and metrics.csv are always written)",
    )
    resume: bool = option(
        False, "--resume", record=Record.LOCAL, help="resume the run of this --name"
    )
    load_weights: Path | None = option(
        None,
        "--load_weights -w",
        metavar="MODEL",
        record=Record.LOCAL,
        help="start from the weights of a model or run folder, or of an earlier Keras .hdf5 "
        "file; the network must be the same",
    )
    norms: str = option(
        "auto",
        "--norms",
        choices=NORMS,
        help="statistics of batch norm: moving with the slices that are seen, or frozen as those "
        "of the model of --load_weights; auto (default): frozen for a segmentation that starts "
        "from a model that ships with bodycomp, else moving",
    )
    folds: int | None = option(
        None,
        "--folds",
        metavar="N",
        at_least=2,
        at_most=20,
        help="train N models, each without one of N folds of train and val together, by patient; "
        "folds that the manifest names are kept. The run holds fold-1 to fold-N and resumes as a "
        "whole; --max_minutes is for all of them",
    )
    fold: int | None = option(
        None,
        "--fold",
        metavar="K",
        at_least=1,
        help="with --folds: train this one alone, for folds as jobs of their own",
    )
    fold_by: str | None = option(
        None,
        "--fold_by",
        metavar="COLUMN",
        help="with --folds: also keep together what has the same value in this column of the "
        "manifest or the tables, such as site; patient makes new folds where some are named",
    )
    seed: int = option(
        0, "--seed", at_least=0, help="seed of weights, order and augmentation (default {default})"
    )
    keep_every_epoch: bool = option(
        False,
        "--keep_every_epoch",
        record=Record.FREE,
        help="keep a resumable checkpoint of every epoch, not of the last and the best alone",
    )
    epochs: int = option(
        100,
        "--epochs -e",
        group="optimisation",
        at_least=1,
        record=Record.FREE,
        help="epoch number to end at (default {default})",
    )
    batch_size: int = 16
    learning_rate: float = 3e-3
    optimizer: str = option(
        "adamw",
        "--optimizer",
        choices=OPTIMIZERS,
        help="{default} (default), or sgd with Nesterov momentum 0.9, for learning rates near 0.1",
    )
    schedule: str = option(
        "cosine",
        "--schedule",
        choices=SCHEDULES,
        help="learning rate over time: cosine to zero after a warm-up (default); step, the "
        "earlier implementation's x 0.1 after half of the epochs and x 0.01 after three "
        "quarters; half-life, see --decay_half_time; constant",
    )
    decay_half_time: float = option(
        20.0,
        "--decay_half_time -d",
        metavar="EPOCHS",
        positive=True,
        help="with --schedule half-life: epochs until the learning rate halves (default {default})",
    )
    loss: str = ""
    augmentation: bool = option(
        True,
        "--no_augmentation",
        help="train on the images as they are, without rotating, shifting, scaling or noise",
    )
    strong_augmentation: bool = option(
        False,
        "--strong_augmentation",
        help="vary more: smooth deformation, coarser pixels, blotches of iterative "
        "reconstruction; for models that shall hold on scanners and bodies unlike those trained on",
    )
    max_minutes: float | None = option(
        None,
        "--max_minutes",
        metavar="MINUTES",
        positive=True,
        record=Record.FREE,
        help="time for training and validation; the cosine schedule then ends when the time or "
        "the epochs do, whichever is first. Such a run depends on the machine's speed: it "
        "cannot be repeated exactly (default: no limit)",
    )
    average: float = option(
        0.1,
        "--average",
        metavar="SHARE",
        at_least=0,
        at_most=1,
        help="evaluate and export the average of the weights over this share of all steps so "
        "far (default {default}); 0: the weights as they are",
    )
    patience: int | None = option(
        None,
        "--patience",
        metavar="EPOCHS",
        at_least=1,
        record=Record.FREE,
        help="end when no epoch has been better than the best for this many; under the cosine "
        "schedule most of the gain comes last, so that it is for other schedules or for long "
        "trainings (default: train to the end)",
    )
    on_divergence: str = option(
        "step-back",
        "--on_divergence",
        choices=ON_DIVERGENCE,
        record=Record.FREE,
        help="when the loss is no longer finite, or far above its usual value for 20 steps: "
        "step-back (default) resumes from the last good state with 0.3 times the learning "
        "rate, at most three times; stop ends with advice",
    )
    arch: str = ""
    activation: str = option(
        "relu",
        "--activation -A",
        group="the network",
        choices=ACTIVATIONS,
        help="default {default}",
    )
    gpus: int = option(
        1,
        "--gpus -g",
        group="devices",
        at_least=0,
        record=Record.FREE,
        help="GPUs to train on (default {default}); 0, or a machine without any: the CPU",
    )
    precision: str = option(
        "auto",
        "--precision",
        choices=PRECISIONS,
        record=Record.FREE,
        help="32: float32; bf16, 16: mixed; auto (default): bf16 where the GPU or CPU has "
        "instructions for it, else 16 on a GPU and 32 on a CPU",
    )
    deterministic: bool = option(
        False,
        "--deterministic",
        record=Record.FREE,
        help="on GPUs: the same seed gives the same weights, bit for bit, where PyTorch has an "
        "algorithm for it, and warnings where it has none; slower. On a CPU it is so anyway, "
        "for the same number of threads",
    )
    compile: str = option(
        "auto",
        "--compile",
        choices=COMPILE,
        record=Record.FREE,
        help="on a GPU, let torch.compile prepare the network: auto (default) if the run is "
        "long enough for it to pay; never on the CPU, where it gains nothing",
    )
    num_workers: int | None = option(
        None,
        "--num_workers",
        metavar="N",
        at_least=0,
        record=Record.FREE,
        help="processes that load data, per device (default: none on the CPU, up to 8 per GPU)",
    )
    processes: int = option(
        1,
        "--processes",
        metavar="N",
        at_least=1,
        record=Record.FREE,
        help="without GPUs: processes that share each batch, to test distributed training on "
        "one machine (default {default}; one process uses all cores already)",
    )

    def __post_init__(self) -> None:
        check_options(self)
        _fill_network_options(self)
        if self.strong_augmentation and not self.augmentation:
            raise UsageError(
                "expected strong augmentation or none, found both",
                hint="Leave --no_augmentation or --strong_augmentation out.",
            )
        if self.norms == "frozen" and self.load_weights is None:
            raise UsageError(
                "expected a model to start from with --norms frozen, found none",
                hint="Fresh networks have no statistics yet: add --load_weights, or leave it out.",
            )
        if self.resume and not self.name:
            raise UsageError(
                "--resume needs the name of the run to continue, found none",
                hint="Add --name with the name of its folder.",
            )
        self._check_folds()

    def _check_folds(self) -> None:
        if self.folds is None and (self.fold, self.fold_by) != (None, None):
            raise UsageError(
                "expected --folds with --fold or --fold_by, found none",
                hint="--folds 5 is usual.",
            )
        if self.folds is not None and not self.name:
            raise UsageError(
                "--folds needs a name, found none",
                hint="Add --name: the folds lie in MODEL_OUTPUT_DIR/NAME.",
            )
        if self.fold is not None and self.folds is not None and self.fold > self.folds:
            raise UsageError(f"expected --fold from 1 to {self.folds}, found {self.fold}")

    @property
    def first_epoch(self) -> int:
        """Number of the first epoch."""
        return 0

    def network_values(self) -> dict[str, Any]:
        """Return the options that belong to the chosen architecture, by name."""
        return {name: getattr(self, name) for name in self.networks[self.arch]}

    def to_dict(self) -> dict[str, Any]:
        """Return every option as JSON-ready values."""
        values: dict[str, Any] = plain(dataclasses.asdict(self))
        return {"task": self.task} | values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_dict``."""
        options: Self = from_plain(cls, values)
        return options


def _fill_network_options(options: RunOptions) -> None:
    """Replace None by the default of the chosen architecture while a frozen value is made."""
    own = options.networks[options.arch]
    for arch, values in options.networks.items():
        for name in values.keys() - own.keys():
            if getattr(options, name) is not None:
                raise UsageError(
                    f"--{name} is an option of --arch {arch}, found it with --arch {options.arch}",
                    hint=f"Leave it out, or choose --arch {arch}.",
                )
    for name, default in own.items():
        if getattr(options, name) is None:
            object.__setattr__(options, name, default)


def command_line(options: RunOptions) -> str:
    """Return the shortest command that gives these options."""
    places: dict[str, Any] = {"data_dir": options.data_dir, "output_dir": options.output_dir}
    words = ["bodycomp", "train", options.task.replace("_", "-"), *map(str, places.values())]
    # What the architecture fills in is as it would be with the same architecture alone.
    usual = type(options)(**places, arch=options.arch)
    if options.arch != type(options)(**places).arch:
        words += ["--arch", options.arch]
    return shlex.join([*words, *words_of(options, usual)])
