"""How a trained network is run: as it was trained, or in a form that does the same in less time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from bodycomp.errors import UsageError
from bodycomp.networks.allocator import keep_freed_memory
from bodycomp.networks.densenet import DenseNet
from bodycomp.networks.ensemble import Combine, Ensemble, members_of
from bodycomp.networks.fast import cpu_has_bfloat16
from bodycomp.networks.folded import FoldedDenseNet, FoldedPatchUNet, FoldedUNet
from bodycomp.networks.names import AUTO_ENGINE, BF16, ENGINES, FOLDED, REFERENCE
from bodycomp.networks.patch_unet import PatchUNet
from bodycomp.networks.unet import UNet

Run = Callable[[Tensor], Tensor]
"""Network input (B, channel, H, W) float32 on the engine's device -> logits, float32."""

_DTYPES: Final = {FOLDED: torch.float32, BF16: torch.bfloat16}


@dataclass(frozen=True, eq=False)
class Engine:
    """A network, or the members of an ensemble, ready to run.

    Attributes:
        name: One of ``names.ENGINES`` other than auto; of members that run in different ways, all.
        device: Where the input must be.
        members: For every member, the fastest way that the engine has; one of a single network.
        exact_members: The same within rounding of float32.
        combine: Logits of every member -> those of all together.
    """

    name: str
    device: torch.device
    members: tuple[Run, ...]
    exact_members: tuple[Run, ...]
    combine: Combine

    def run(self, images: Tensor) -> Tensor:
        """Return the logits of all together, in the fastest way."""
        return self.combine([member(images) for member in self.members])

    def run_exactly(self, images: Tensor) -> Tensor:
        """Return the same within rounding of float32."""
        return self.combine([member(images) for member in self.exact_members])

    @property
    def is_exact(self) -> bool:
        """Whether both ways are one."""
        return self.members == self.exact_members


def make_engine(network: nn.Module, device: torch.device, name: str = AUTO_ENGINE) -> Engine:
    """Return the engine of that name for a trained network.

    Folded forms are there for U-Net, patch U-Net and DenseNet on the CPU; ``auto`` takes them
    where they are, in bfloat16 if the processor has it, and the network itself elsewhere.

    Raises:
        UsageError: The name is unknown, or there is no such form of this network on this device.
    """
    if isinstance(network, Ensemble):
        engines = [make_engine(member, device, name) for member in members_of(network)]
        return Engine(
            "+".join(dict.fromkeys(engine.name for engine in engines)),
            device,
            tuple(run for engine in engines for run in engine.members),
            tuple(run for engine in engines for run in engine.exact_members),
            network.combine,
        )
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}", hint=f"Known engines: {', '.join(ENGINES)}.")
    foldable = device.type == "cpu" and isinstance(network, UNet | PatchUNet | DenseNet)
    if name == AUTO_ENGINE:
        name = REFERENCE
        if foldable:
            name = BF16 if cpu_has_bfloat16() else FOLDED
    elif name != REFERENCE and not foldable:
        raise UsageError(
            f"the engine {name} does not run {type(network).__name__} on {device.type}",
            hint="Use --engine auto, which takes what there is.",
        )
    if device.type == "cpu":
        keep_freed_memory()
    if name == REFERENCE:
        run = exactly = _as_trained(network, device)
    else:
        run = _folded(network, _DTYPES[name])
        exactly = run if name == FOLDED else _folded(network, torch.float32)
    return Engine(name, device, (run,), (exactly,), _only)


def _only(logits: Sequence[Tensor]) -> Tensor:
    return logits[0]


def _as_trained(network: nn.Module, device: torch.device) -> Run:
    placed = network.to(device=device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]  # stub lacks it

    def run(images: Tensor) -> Tensor:
        logits: Tensor = placed(images)
        return logits.float()

    return run


def _folded(network: nn.Module, dtype: torch.dtype) -> Run:
    with torch.inference_mode():
        if isinstance(network, UNet):
            return FoldedUNet(network, dtype)
        if isinstance(network, PatchUNet):
            return FoldedPatchUNet(network, dtype)
        if isinstance(network, DenseNet):
            return FoldedDenseNet(network, dtype)
    raise TypeError(f"there is no folded form of {type(network).__name__}")
