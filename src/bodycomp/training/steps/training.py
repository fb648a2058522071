"""All that the steps of a training change and a checkpoint keeps, and one step of it."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD, AdamW, Optimizer

from bodycomp.data.augmentation_options import STRONG_AUGMENTATION, AugmentationOptions
from bodycomp.data.datasets import RawBatch, Sample, network_input
from bodycomp.errors import RunInterruptedError
from bodycomp.networks.card import ModelCard
from bodycomp.networks.synchronized_norm import SynchronizedNorm
from bodycomp.signals import SignalWatch
from bodycomp.training.machine.devices import Devices, autocast, prepare_process
from bodycomp.training.machine.ranks import Ranks
from bodycomp.training.options import RunOptions
from bodycomp.training.steps.averaging import WeightAverage
from bodycomp.training.steps.batch_loader import AheadOnDevice, make_loader
from bodycomp.training.steps.divergence import rate_factor
from bodycomp.training.steps.monitor import StepMonitor
from bodycomp.training.steps.sampling import BatchPlan, step_seed
from bodycomp.training.steps.schedules import Position, learning_rate_factor
from bodycomp.training.steps.state import STATE_KEY, TrainingState
from bodycomp.training.steps.trials import Trials
from bodycomp.training.task import Splits, Task

WEIGHT_DECAY: Final = 1e-4
SGD_MOMENTUM: Final = 0.9
GRADIENT_NORM_LIMIT: Final = 1.0

VALIDATION_COST: Final = 0.4
"""Time of evaluating an image as a share of training on it: forward without backward."""

AVERAGE_KEY: Final = "bodycomp_average"
SCALER_KEY: Final = "MixedPrecision"
"""Where a checkpoint keeps the average of the weights and the gradient's scale; the names of all
its keys are those of version 0.1.0."""

NORM_MEMORY: Final = 0.1
"""Early in a training batch norm's running statistics span this share of the steps so far; with
the final momentum of 0.01 alone, the first hundred steps would be seen by initial statistics."""


class Training:
    """A network in training.

    Making one readies the process: its threads, memory and device. Which samples, which variation
    and which learning rate a step has follows from its number in ``state``.

    Attributes:
        network: On its device.
        replica: What a step calls: the network, or that with its gradient averaged over processes.
        card: The model's, but for what the training adds at the end of an epoch.
        average: Of the weights, if one is wanted.
        monitor: What all processes know of the last steps.
    """

    def __init__(
        self,
        task: Task,
        model: tuple[nn.Module, ModelCard],
        splits: Splits,
        devices: Devices,
        ranks: Ranks,
    ) -> None:
        options = task.options
        self.task, self.splits, self.devices, self.ranks = task, splits, devices, ranks
        self.network, self.card = model
        self.device = devices.of(ranks)
        prepare_process(self.network, devices, ranks, deterministic=options.deterministic)
        self.plan = BatchPlan(
            splits.sizes()["train"], options.batch_size, options.seed, ranks.rank, ranks.world
        )
        self.state = TrainingState(step=self.first_step)
        self.average = WeightAverage(self.network, options.average) if options.average else None
        for each in (self.network, *([self.average.network] if self.average else [])):
            each.to(self.device)
        self.replica = self.network
        self.optimizer = make_optimizer(self.network, options, devices)
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=devices.precision == "16-mixed"
        )
        self.monitor = StepMonitor(ranks, self.plan.steps_per_epoch)
        self.signals = SignalWatch(self._interrupted)
        norms = (layer for layer in self.network.modules() if isinstance(layer, _BatchNorm))
        self._norms = [(norm, norm.momentum or 0.0) for norm in norms]

    def distribute(self) -> None:
        """Average gradients over the processes from now on; they have met by then."""
        if self.ranks.world > 1:
            index = self.device.index
            self.replica = DistributedDataParallel(
                self.network, device_ids=None if index is None else [index]
            )

    @property
    def options(self) -> RunOptions:
        """Of the run."""
        return self.task.options

    @property
    def trials(self) -> Trials:
        """Steps to try out, which change nothing."""
        return Trials(self.task, self.network, self.splits, self.devices)

    @property
    def evaluated_network(self) -> nn.Module:
        """The network to validate and export: the average of the weights, if there is one."""
        return self.network if self.average is None else self.average.network

    @property
    def first_step(self) -> int:
        """Number of the first step; not 0 if the user named another first epoch."""
        return self.options.first_epoch * self.plan.steps_per_epoch

    @property
    def last_step(self) -> int:
        """Number of steps after which the training ends."""
        return self.options.epochs * self.plan.steps_per_epoch

    @property
    def epoch(self) -> int:
        """Number of the running epoch, or of the one that the last step ended."""
        return self.state.epoch(self.plan.steps_per_epoch)

    @property
    def is_out_of_patience(self) -> bool:
        """Whether the best score lies as many epochs back as the user waits at most."""
        patience = self.options.patience
        return patience is not None and self.state.epochs_since_best >= patience

    @property
    def is_over(self) -> bool:
        """Whether the epochs, the time or the patience is used up."""
        is_done = self.state.step >= self.last_step
        return is_done or self.state.out_of_time or self.is_out_of_patience

    @property
    def stop_signal(self) -> int:
        """The signal to stop at, 0 for none; several processes stop once all know of it."""
        return (self.signals.received or 0) if self.ranks.world == 1 else self.monitor.signal

    def batches(self) -> Iterable[RawBatch]:
        """Return the batches from the current step to the last."""
        shares = self.plan.shares(self.state.step, self.last_step)
        loader = make_loader(self.splits.train, shares, num_workers=self.devices.num_workers)
        return AheadOnDevice(loader, self.device) if self.device.type == "cuda" else loader

    def step(self, raw: RawBatch) -> None:
        """Take one step: forward, backward, update.

        Raises:
            DivergedError: A loss or the gradient is not finite, or losses are far too high.
        """
        self.begin_step()
        with autocast(self.device, self.devices.precision):
            images, truth = self.varied(raw)
            loss = self.task.loss(self.replica(images), truth)
        self.observe(loss)
        self.optimizer.zero_grad()
        weight = self.plan.share(self.state.step).weight  # the mean over processes is the batch's
        self.scaler.scale(loss * weight).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        self._clip_gradient()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.state.step += 1
        if self.average is not None:
            self.average.update(self.network, self.state.step - self.first_step)

    def begin_step(self) -> None:
        """Set the learning rate and the memory of batch norm."""
        self.state.used_rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = self.state.used_rate
        for norm, final_momentum in self._norms:
            norm.momentum = max(final_momentum, 1 / (1 + NORM_MEMORY * (self.state.step + 1)))
            if isinstance(norm, SynchronizedNorm):
                norm.counts = self.plan.share(self.state.step).weight > 0

    def learning_rate(self) -> float:
        """Return the learning rate of the next step."""
        position = Position(
            self.plan.epoch_of(self.state.step), self.options.epochs, self.elapsed_share()
        )
        half_time = self.options.decay_half_time
        factor = learning_rate_factor(self.options.schedule, position, half_time_epochs=half_time)
        return self.options.learning_rate * factor * rate_factor(self.state)

    def elapsed_share(self) -> float:
        """Return the time used as a share of the time allowed, one validation set aside.

        It is the same in all processes, and as old as the last step.
        """
        if self.options.max_minutes is None:
            return 0.0
        allowed_s = 60 * self.options.max_minutes
        return self.monitor.elapsed_s / max(allowed_s - self.monitor.validation_s, 0.1 * allowed_s)

    def next_validation_s(self) -> float:
        """Estimate the time of the next validation, by the last one or by the steps so far."""
        if self.state.validation_s or not self.state.epoch_images:
            return self.state.validation_s
        per_image_s = self.state.epoch_s / self.state.epoch_images
        return VALIDATION_COST * per_image_s * self.splits.sizes()["val"] / self.ranks.world

    def varied(self, raw: RawBatch) -> Sample:
        """Make a raw batch network input, varied by random numbers of seed and step alone."""
        raw = (raw[0].to(self.device), raw[1].to(self.device))
        if not self.options.augmentation:
            return network_input(raw[0], self.card.preprocessing), raw[1]
        seed = step_seed(self.options.seed, self.state.step, self.ranks.rank)
        return self.splits.train.varied(
            raw,
            torch.Generator().manual_seed(seed),
            STRONG_AUGMENTATION if self.options.strong_augmentation else AugmentationOptions(),
        )

    def observe(self, loss: Tensor) -> None:
        """Share the loss of this process's samples with the others, and act on it."""
        share = self.plan.share(self.state.step)
        images = len(share.indices) if share.weight > 0 else 0
        self.state.epoch_images += images
        signal_number = float(self.signals.received or 0)
        known = (signal_number, self.state.elapsed_s, self.next_validation_s())
        self.monitor.observe(self.state, images, loss, known)

    def _clip_gradient(self) -> None:
        """Limit the gradient's norm.

        In 16-bit floating point an overflow is normal; the gradient's scaling deals with it.
        """
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        norm = nn.utils.clip_grad_norm_(weights, GRADIENT_NORM_LIMIT)
        if not self.scaler.is_enabled():
            self.monitor.check_gradient(self.state, norm)

    def settle(self) -> None:
        """Wait for all steps, and see that they left a state that is worth keeping."""
        self.monitor.settle(self.state, list(self.network.state_dict().values()))

    def checkpoint(self) -> dict[str, Any]:
        """Return what a resume needs; every process takes part."""
        values = self.state.to_dict()
        loss, images = self.ranks.sum_values(self.state.epoch_loss, self.state.epoch_images)
        kept: dict[str, Any] = {
            "state_dict": self._named().state_dict(),
            "optimizer_states": [self.optimizer.state_dict()],
            STATE_KEY: values | {"epoch_loss": loss, "epoch_images": int(images)},
        }
        if self.average is not None:
            kept[AVERAGE_KEY] = self.average.state_dict()
        if self.scaler.is_enabled():
            kept[SCALER_KEY] = self.scaler.state_dict()
        return kept

    def load(self, path: Path) -> None:
        """Resume from a checkpoint; sums over processes continue in the first one.

        Steps back, and the time that they cost, are newer than the state that they lead to.
        """
        kept = torch.load(path, map_location="cpu", weights_only=True)
        self._named().load_state_dict(kept["state_dict"])
        self.optimizer.load_state_dict(kept["optimizer_states"][0])
        if self.average is not None:
            self.average.load_state_dict(kept[AVERAGE_KEY])
        if self.scaler.is_enabled() and SCALER_KEY in kept:
            self.scaler.load_state_dict(kept[SCALER_KEY])
        before, self.state = self.state, TrainingState.from_dict(kept[STATE_KEY])
        if len(before.step_backs) > len(self.state.step_backs):
            self.state.step_backs = before.step_backs
            self.state.elapsed_s = before.elapsed_s
        self.monitor.forget(self.state.elapsed_s, self.state.validation_s)
        if not self.ranks.is_first:
            self.state.start_epoch()

    def _named(self) -> nn.Module:
        """Return the network under the names that its weights have in a checkpoint."""
        return nn.ModuleDict({"network": self.network})

    def _interrupted(self, number: int) -> RunInterruptedError:
        waited = "without waiting for its last step"
        return interrupted(number, waited if self.signals.received else "before or after its steps")


def make_optimizer(network: nn.Module, options: RunOptions, devices: Devices) -> Optimizer:
    """Return the optimizer; biases and norms do not decay.

    On GPUs AdamW does all weights in one kernel; with 16-bit gradients it would unscale them
    itself, after the clipping.
    """
    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if options.optimizer == "sgd":
        return SGD(groups, lr=options.learning_rate, momentum=SGD_MOMENTUM, nesterov=True)
    is_fused = devices.accelerator == "cuda" and devices.precision != "16-mixed"
    return AdamW(groups, lr=options.learning_rate, fused=is_fused or None)


def interrupted(number: int, where: str) -> RunInterruptedError:
    """Return the error that says where the training was interrupted and how to resume."""
    return RunInterruptedError(
        f"training was interrupted by {signal.Signals(number).name} {where}",
        signal_number=number,
        hint="The same command with --resume and this run's --name resumes from there.",
    )
