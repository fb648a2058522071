"""What both trainings do in a step: the part of Lightning's module that does not know the task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD, AdamW, Optimizer

from bodycomp.data.augmentation_options import AugmentationOptions
from bodycomp.data.batches import network_input, varied_input
from bodycomp.data.datasets import RawBatch, SampleSet
from bodycomp.networks.card import ModelCard
from bodycomp.networks.synchronised_norm import SynchronisedNorm
from bodycomp.training.averaging import WeightAverage
from bodycomp.training.batch_loader import AheadOnDevice, make_loader
from bodycomp.training.divergence import not_finite, rate_factor, watch_loss
from bodycomp.training.options import RunOptions
from bodycomp.training.placement import Placement, Sample
from bodycomp.training.readback import Readback, Reading
from bodycomp.training.sampling import BatchPlan, StepSampler, step_seed
from bodycomp.training.schedules import Position, learning_rate_factor
from bodycomp.training.signals import SignalWatch
from bodycomp.training.state import STATE_KEY, TrainingState
from bodycomp.training.task import Evaluation, Headline, Pick, Splits

WEIGHT_DECAY: Final = 1e-4
SGD_MOMENTUM: Final = 0.9

VALIDATION_COST: Final = 0.4
"""Time of judging an image as a share of training on it: forward without backward."""

AVERAGE_KEY: Final = "bodycomp_average"
"""Where a checkpoint keeps the average of the weights."""

NORM_MEMORY: Final = 0.1
"""Early in a training batch norm's running statistics span this share of the steps so far; with
the final momentum of 0.01 alone, the first hundred steps would be judged by initial statistics."""


class TrainingModule(LightningModule):
    """A network in training.

    Lightning sees one long epoch of all steps that are left; which samples, which variation and
    which learning rate a step has follows from its number in ``state``.
    """

    headline: ClassVar[Headline]
    has_masks: ClassVar[bool] = False
    """Whether the truth is masks, which move with the images."""

    def __init__(
        self, network: nn.Module, card: ModelCard, splits: Splits, options: RunOptions
    ) -> None:
        super().__init__()
        self.network = network
        self.card = card
        self.splits = splits
        self.options = options
        self.plan = BatchPlan(splits.sizes()["train"], options.batch_size, options.seed)
        self.state = TrainingState(step=options.first_epoch * self.plan.steps_per_epoch)
        self.average = WeightAverage(network, options.average) if options.average else None
        self.num_workers = 0
        self.fused_optimizer = False
        self.signals = SignalWatch()
        self._agreed_signal = 0
        self._agreed_s = (0.0, 0.0)
        self._norms: list[tuple[_BatchNorm, float]] = []
        self._readback = Readback()
        self._gradient_norm: Tensor | None = None

    def prepare(self, *, rank: int, world: int, num_workers: int) -> None:
        """Take this process's place among those of the training."""
        self.plan = replace(self.plan, rank=rank, world=world)
        self.num_workers = num_workers

    @abstractmethod
    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the mean loss of a batch."""

    @abstractmethod
    def evaluate(self, network: nn.Module, split: SampleSet, place: Placement) -> Evaluation:
        """Judge a network on a split, all processes together."""

    @abstractmethod
    def draw_examples(self, path: Path, network: nn.Module, picks: Sequence[Pick]) -> None:
        """Draw validation cases, at least one, as a PNG: image, truth and what the network says.

        The network runs where it is.
        """

    @property
    def judged_network(self) -> nn.Module:
        """The network to validate and export: the average of the weights, if there is one."""
        return self.network if self.average is None else self.average.network

    @property
    def is_out_of_patience(self) -> bool:
        """Whether the best score lies as many epochs back as the user wants to wait."""
        patience = self.options.patience
        return patience is not None and self.state.epochs_since_best >= patience

    def count_step(self) -> None:
        """Note that a step is done, and take its weights into their average."""
        self.state.step += 1
        if self.average is not None:
            first = self.options.first_epoch * self.plan.steps_per_epoch
            self.average.update(self.network, self.state.step - first)

    @property
    def stop_signal(self) -> int:
        """The signal to stop at, 0 for none; several processes stop once all know of it."""
        if self.plan.world == 1:
            return self.signals.received or 0
        return self._agreed_signal

    @property
    def last_step(self) -> int:
        """Number of steps after which the training ends."""
        return self.options.epochs * self.plan.steps_per_epoch

    @property
    def epoch(self) -> int:
        """Number of the running epoch, or of the one that the last step ended."""
        return max(self.state.step - 1, 0) // self.plan.steps_per_epoch

    def train_dataloader(self) -> Iterable[RawBatch]:
        """Return the batches from the current step to the last.

        At the end one more is there, never used: Lightning calls no hook of an empty training.
        """
        stop = max(self.last_step, self.state.step + 1)
        steps = StepSampler(self.plan, self.state.step, stop)
        loader = make_loader(self.splits.train, steps, num_workers=self.num_workers)
        return AheadOnDevice(loader, self.device) if self.device.type == "cuda" else loader

    def configure_optimizers(self) -> Optimizer:
        """Return the optimiser; biases and norms do not decay.

        On GPUs AdamW may do all weights in one kernel (``fused_optimizer``).
        """
        matrices = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": WEIGHT_DECAY},
            {"params": others, "weight_decay": 0.0},
        ]
        rate = self.options.learning_rate
        if self.options.optimizer == "sgd":
            return SGD(groups, lr=rate, momentum=SGD_MOMENTUM, nesterov=True)
        return AdamW(groups, lr=rate, fused=self.fused_optimizer or None)

    def on_after_batch_transfer(self, batch: RawBatch, dataloader_idx: int) -> Sample:
        """Make a raw batch network input, varied by random numbers of seed and step alone."""
        del dataloader_idx
        if not self.options.augmentation:
            return network_input(batch[0], self.card.preprocessing), batch[1]
        seed = step_seed(self.options.seed, self.state.step, self.plan.rank)
        return varied_input(
            batch,
            torch.Generator().manual_seed(seed),
            AugmentationOptions(),
            self.card.preprocessing,
            has_masks=self.has_masks,
        )

    def on_fit_start(self) -> None:
        """Follow the network to its device, and note what batch norm's momentum is to become."""
        if self.average is not None:
            self.average.network.to(self.device)
        norms = (layer for layer in self.network.modules() if isinstance(layer, _BatchNorm))
        self._norms = [(norm, norm.momentum or 0.0) for norm in norms]

    def on_train_batch_start(self, batch: Sample, batch_idx: int) -> int | None:
        """Set the learning rate and the memory of batch norm; -1 if no step is left."""
        del batch, batch_idx
        if self.state.step >= self.last_step or self.state.out_of_time or self.is_out_of_patience:
            return -1
        optimizer = self.optimizers(use_pl_optimizer=False)
        self.state.used_rate = self.learning_rate()
        for group in optimizer.param_groups:  # type: ignore[union-attr]
            group["lr"] = self.state.used_rate
        for norm, final_momentum in self._norms:
            norm.momentum = max(final_momentum, 1 / (1 + NORM_MEMORY * (self.state.step + 1)))
            if isinstance(norm, SynchronisedNorm):
                norm.counts = self.plan.share(self.state.step).weight > 0
        return None

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
        elapsed_s, validation_s = self._agreed_s
        return elapsed_s / max(allowed_s - validation_s, 0.1 * allowed_s)

    @property
    def agreed_elapsed_s(self) -> float:
        """Time used, the same in all processes, and as old as the last step."""
        return self._agreed_s[0]

    def training_step(self, batch: Sample, batch_idx: int) -> Tensor:
        """Return the loss of this process's share, weighted so that the mean over shares is it."""
        del batch_idx
        images, truth = batch
        loss = self.loss(self.network(images), truth)
        weight = self.plan.share(self.state.step).weight
        counted = len(images) if weight > 0 else 0
        self.state.epoch_images += counted
        self._take(self._readback.exchange(self.state.step, counted, self._agree(loss)))
        return loss * weight

    def _agree(self, loss: Tensor) -> Tensor:
        """Share with all processes what each must act on in the same step.

        Returns:
            This process's loss, the largest one (infinite for NaN), a signal, and two times in s.
        """
        times = (self.state.elapsed_s, self.next_validation_s())
        own = loss.detach().double().reshape(1)
        known = torch.tensor([self.signals.received or 0, *times], dtype=torch.float64)
        shared = torch.cat([own.nan_to_num(torch.inf, torch.inf), known.to(own.device)])
        if self.plan.world > 1:
            torch.distributed.all_reduce(shared, torch.distributed.ReduceOp.MAX)
        return torch.cat([own, shared])

    def _take(self, reading: Reading | None) -> None:
        """Act on a step's numbers.

        Raises:
            DivergedError: The loss of any process is not finite, or far too high for long.
        """
        if reading is None:
            return
        loss, largest, stop_signal, *agreed_s = reading.values
        self._agreed_signal, self._agreed_s = int(stop_signal), (agreed_s[0], agreed_s[1])
        if largest == torch.inf:
            raise not_finite("loss is", self.state, reading.step, self.epoch)
        watch_loss(self.state, reading.step, largest)
        self.state.epoch_loss += loss * reading.images

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Limit the gradient's norm, and see that it is finite before it reaches the weights.

        A GPU is not waited for: there ``settle`` looks before a state is kept. In 16-bit floating
        point an overflow is normal; the gradient's scaling deals with it.
        """
        del gradient_clip_algorithm
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        norm = nn.utils.clip_grad_norm_(weights, gradient_clip_val or torch.inf)
        if self.trainer.precision == "16-mixed":
            return
        self._gradient_norm = norm.detach()
        if norm.device.type == "cpu":
            self._check_gradient()

    def _check_gradient(self) -> None:
        norm, self._gradient_norm = self._gradient_norm, None
        if norm is not None and not norm.isfinite():
            raise not_finite("gradient is", self.state, self.state.step, self.epoch)

    def settle(self) -> None:
        """Act on all numbers that are not read yet; to be called before the state is used.

        Raises:
            DivergedError: A loss, a gradient or weights are not finite; in all processes.
        """
        self._take(self._readback.drain())
        self._check_gradient()
        values = self.network.state_dict().values()
        is_bad = ~torch.stack([value.isfinite().all() for value in values]).all()
        if self.plan.world > 1:
            is_bad = is_bad.int()
            torch.distributed.all_reduce(is_bad, torch.distributed.ReduceOp.MAX)
        if is_bad:
            step = max(0, self.state.step - 1)
            raise not_finite("weights are", self.state, step, self.epoch)

    def next_validation_s(self) -> float:
        """Estimate the time of the next validation, by the last one or by the steps so far."""
        if self.state.validation_s or not self.state.epoch_images:
            return self.state.validation_s
        per_image_s = self.state.epoch_s / self.state.epoch_images
        return VALIDATION_COST * per_image_s * self.splits.sizes()["val"] / self.plan.world

    def agree_on_time(self, elapsed_s: float, validation_s: float) -> None:
        """Take over the times that all processes have agreed on."""
        self._agreed_s = (elapsed_s, validation_s)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the training state; Lightning's own loop counters would not fit the resumed loop."""
        del checkpoint["loops"]
        values = self.state.to_dict()
        if self.plan.world > 1:
            sums = torch.tensor(
                [self.state.epoch_loss, self.state.epoch_images], device=self.device
            )
            torch.distributed.all_reduce(sums)
            values |= {"epoch_loss": float(sums[0]), "epoch_images": int(sums[1])}
        checkpoint[STATE_KEY] = values
        if self.average is not None:
            checkpoint[AVERAGE_KEY] = self.average.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the training state up again; sums over processes go on in the first one.

        Steps back, and the time that they cost, are newer than the state that they lead to.
        """
        diverged = self.state
        self.state = TrainingState.from_dict(checkpoint[STATE_KEY])
        if self.average is not None:
            self.average.load_state_dict(checkpoint[AVERAGE_KEY])
        self._readback, self._gradient_norm = Readback(), None
        if len(diverged.step_backs) > len(self.state.step_backs):
            self.state.step_backs = diverged.step_backs
            self.state.elapsed_s = diverged.elapsed_s
        self._agreed_s = (self.state.elapsed_s, self.state.validation_s)
        if self.plan.rank > 0:
            self.state.start_epoch()
