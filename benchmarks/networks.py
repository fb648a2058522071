"""Training steps of both default networks: ours, a plain PyTorch loop, Keras on TensorFlow."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from statistics import median

import torch
from torch import nn

from benchmarks.machine import Machine, measure_machine
from benchmarks.step_rounds import Steps, time_in_turns, torch_command
from benchmarks.step_work import densenet_work, rows, unet_work
from benchmarks.step_worker import BATCH
from bodycomp.networks.densenet import DenseNet, DenseNetConfig
from bodycomp.networks.fast import speed_up
from bodycomp.networks.losses import segmentation_loss, slice_selection_loss
from bodycomp.networks.unet import UNet, UNetConfig

KERAS_PYTHON = Path(".venv-keras/bin/python")
KERAS_WORKER = Path(__file__).parent / "keras_rival" / "worker.py"
TITLES = {"unet": "U-Net", "densenet": "DenseNet"}
ROUNDS = {"unet": 7, "densenet": 15}


def run() -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    machine = measure_machine()
    limits = [
        ("machine, best rate in float32", f"{machine.float32 / 1e9:.0f} G operations/s"),
        ("machine, best rate in bfloat16", f"{machine.bfloat16 / 1e9:.0f} G operations/s"),
        ("machine, copying (read and written)", f"{machine.copy / 1e9:.0f} GB/s"),
    ]
    return [
        *limits,
        *rows(),
        *gradient_rows(),
        *step_rows("unet", machine),
        *step_rows("densenet", machine),
    ]


def step_rows(name: str, machine: Machine) -> list[tuple[str, str]]:
    """Time one network against its rivals, and against itself with parts left out."""
    title, rounds = TITLES[name], ROUNDS[name]
    rivals = {"plain PyTorch, float32": torch_command(name, "plain")}
    if KERAS_PYTHON.exists():
        rivals["Keras on TensorFlow, float32"] = [str(KERAS_PYTHON), str(KERAS_WORKER), name]
    parts = {
        "ours, operators alone": torch_command(name, "ours-operators"),
        "ours, float32": torch_command(name, "ours-fp32"),
    }
    found = []
    for others in (rivals, parts):  # not all at once: together they need 24 GB
        steps = time_in_turns({"ours": torch_command(name, "ours")} | others, rounds=rounds)
        ours = steps["ours"]
        found += [(f"{title}, {how}", _told(taken, ours)) for how, taken in steps.items()]
    count = unet_work if name == "unet" else densenet_work
    work = count(BATCH, value_bytes=2, written_out=False)
    limit_s = max(work.operations / machine.bfloat16, work.bytes / machine.copy)
    share = f"{limit_s:.2f} s at the machine's best; ours is at {limit_s / ours.median_s:.0%} of it"
    return [*found, (f"{title}, limit of a step of {BATCH}", share)]


def _told(taken: Steps, ours: Steps) -> str:
    return (
        f"{BATCH / taken.median_s:6.2f} images/s, step {taken.median_s:.2f} s, "
        f"{taken.median_s / ours.median_s:.2f} x ours, peak {taken.peak_bytes / 1e9:.1f} GB"
    )


def gradient_rows(draws: int = 8) -> list[tuple[str, str]]:
    """Compare whole gradients in float32, by our kernels and by plain modules, with float64.

    Where rounding moves a feature across the kink of its relu, its gradient is there or is not,
    in either formulation. Hence the same with the kink taken out, by a slope of 1 below zero.
    """
    found = []
    for title, slope in itertools.product(TITLES.values(), (1.0, 0.0)):
        pairs = [_gradient_errors(title, seed, slope) for seed in range(draws)]
        for how, errors in zip(("ours", "plain"), zip(*pairs, strict=True), strict=True):
            found.append(
                (
                    f"{title}, gradient against float64, slope {slope:g}, {how}",
                    f"{min(errors):.1e} to {max(errors):.1e}, median {median(errors):.1e}",
                )
            )
    return found


def _gradient_errors(title: str, seed: int, slope: float) -> tuple[float, float]:
    """Return the relative errors of the whole gradient, by kernels and by plain modules."""
    torch.manual_seed(seed)
    network: nn.Module = (
        UNet(UNetConfig(activation="leaky_relu"))
        if title == "U-Net"
        else DenseNet(DenseNetConfig(activation="leaky_relu"))
    )
    for module in network.modules():
        if isinstance(module, nn.LeakyReLU):
            module.negative_slope = slope
    images = torch.rand(4, 1, 64, 64)
    truth = torch.rand(4, 1)
    loss = slice_selection_loss()
    if title == "U-Net":
        loss, truth = segmentation_loss(), torch.randint(0, 4, (4, 64, 64), dtype=torch.uint8)
    ours, exact = speed_up(copy.deepcopy(network)), copy.deepcopy(network).double()
    for net, given in ((ours, images), (network, images), (exact, images.double())):
        torch.autograd.backward(loss(net(given), truth))
    own, theirs, real = (_gradient(net) for net in (ours, network, exact))
    return float((own - real).norm() / real.norm()), float((theirs - real).norm() / real.norm())


def _gradient(network: nn.Module) -> torch.Tensor:
    return torch.cat(
        [p.grad.double().flatten() for p in network.parameters() if p.grad is not None]
    )
