"""When to let ``torch.compile`` prepare a network: on a GPU, if the run is long enough to pay.

On the CPU it cost 54 s (U-Net) and 163 s (DenseNet) at the start and gained nothing.
"""

from __future__ import annotations

import logging
from typing import Final

from bodycomp.errors import UsageError
from bodycomp.training.devices import Devices
from bodycomp.training.training import Training

log = logging.getLogger(__name__)

PAYS_AFTER_S: Final = 600.0
"""Compiling takes a minute or two and may gain a tenth or more of the rest."""


def check_compile(choice: str, devices: Devices) -> None:
    """Refuse what cannot help.

    Raises:
        UsageError: ``on`` without a GPU.
    """
    if choice == "on" and devices.accelerator == "cpu":
        raise UsageError(
            "--compile on is for GPUs: on a CPU it takes minutes to start and gains nothing",
            hint="Leave it out; auto compiles where it pays.",
        )


def compile_if_it_pays(training: Training) -> None:
    """Compile the network in place, so that the names of its weights in checkpoints stay."""
    choice = training.options.compile
    if training.devices.accelerator == "cpu" or choice == "off":
        return
    if choice == "auto" and _expected_s(training) < PAYS_AFTER_S:
        return
    log.info("compiling the network; the first steps take a minute or two")
    training.network.compile(dynamic=False)


def _expected_s(training: Training) -> float:
    """Return how long the steps that are left would take as they are, by trying one."""
    steps = max(0, training.last_step - training.state.step)
    slices = len(training.plan.share(training.state.step).indices)
    whole_s = steps * training.trials.cost(slices).seconds
    minutes = training.options.max_minutes
    return whole_s if minutes is None else min(whole_s, 60 * minutes)
