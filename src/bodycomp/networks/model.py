"""A network together with its card, built from the card and filled with weights that fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from bodycomp.errors import ModelError, UsageError
from bodycomp.networks.card import ModelCard, Task
from bodycomp.networks.densenet import DenseNet, DenseNetConfig
from bodycomp.networks.ensemble import Ensemble, member_cards
from bodycomp.networks.fast import speed_up
from bodycomp.networks.names import DENSENET, ENSEMBLE, PATCH_UNET, PROJECTION, RESNET, UNET
from bodycomp.networks.patch_unet import PatchUNet, PatchUNetConfig
from bodycomp.networks.projection_net import ProjectionConfig, ProjectionNet
from bodycomp.networks.resnet import ResNet, ResNetConfig
from bodycomp.networks.unet import UNet, UNetConfig


@dataclass(frozen=True, eq=False)
class Model:
    """A network ready to run.

    Attributes:
        network: In evaluation mode, on the CPU.
        digest: SHA-256 of all that its results depend on, hexadecimal; of the file for Keras.
    """

    network: nn.Module
    card: ModelCard
    digest: str


@dataclass(frozen=True)
class _Architecture:
    task: Task
    outputs_key: str
    config: Callable[..., Any]
    network: Callable[[Any], nn.Module]


_ARCHITECTURES: Final = {
    UNET: _Architecture("segmentation", "num_classes", UNetConfig, UNet),
    PATCH_UNET: _Architecture("segmentation", "num_classes", PatchUNetConfig, PatchUNet),
    DENSENET: _Architecture("slice_selection", "num_outputs", DenseNetConfig, DenseNet),
    RESNET: _Architecture("slice_selection", "num_outputs", ResNetConfig, ResNet),
    PROJECTION: _Architecture("slice_selection", "num_outputs", ProjectionConfig, ProjectionNet),
}


def network_config(architecture: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole config of a card from the values that are not left to their defaults."""
    return asdict(_ARCHITECTURES[architecture].config(**values))


def build_network(card: ModelCard) -> nn.Module:
    """Return the network that ``card`` describes in its fast form, with fresh initial weights.

    Raises:
        ModelError: Unknown architecture, one that does not serve the card's task, or a config
            that is invalid or does not have one output per class or level.
    """
    if card.architecture == ENSEMBLE:
        members = [build_network(member) for member in member_cards(card)]
        return Ensemble(members, card.task)
    architecture = _ARCHITECTURES.get(card.architecture)
    if architecture is None:
        raise ModelError(
            f"model card: unknown architecture {card.architecture!r}",
            hint=f"Known architectures: {', '.join((*_ARCHITECTURES, ENSEMBLE))}.",
        )
    if architecture.task != card.task:
        raise ModelError(f"model card: architecture {card.architecture} does not do {card.task}")
    try:
        network = speed_up(architecture.network(architecture.config(**card.config)))
    except (TypeError, ValueError, UsageError) as error:
        raise ModelError(f"model card: config of {card.architecture}: {error}") from error
    outputs = getattr(network.config, architecture.outputs_key)
    if outputs != card.num_outputs:
        raise ModelError(
            f"model card: expected {card.num_outputs} outputs for its classes or levels, "
            f"found {architecture.outputs_key} {outputs}"
        )
    return network


def network_with_weights(card: ModelCard, weights: Mapping[str, Tensor]) -> nn.Module:
    """Return the card's network with ``weights``, in evaluation mode.

    The network is built without memory first, so that weights are compared before anything is
    allocated and torch's random state stays as it is. Its kernels lie in channels-last order,
    which suits running; a U-Net trains faster in ``torch.contiguous_format``.

    Raises:
        ModelError: A weight is missing, unknown, of another shape or type, or not finite.
    """
    with torch.device("meta"):
        network = build_network(card)
    # Models that ship have half of the bytes; what was rounded to 16 bits is computed in 32.
    weights = {name: t.float() if t.dtype == torch.float16 else t for name, t in weights.items()}
    check_weights(network, weights)
    network.load_state_dict(dict(weights), assign=True)
    # With weights in this layout the CPU's convolutions run a third faster without gradients.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it
    return network.eval()


def check_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Check that ``weights`` are exactly those of ``network``, and finite.

    Raises:
        ModelError: They are not; the message names the first few that differ.
    """
    expected = network.state_dict()
    missing = sorted(expected.keys() - weights.keys())
    unknown = sorted(weights.keys() - expected.keys())
    if missing or unknown:
        raise ModelError(
            f"weights do not fit the card: {len(missing)} missing {missing[:3]}, "
            f"{len(unknown)} unknown {unknown[:3]}"
        )
    for name, tensor in expected.items():
        found = weights[name]
        if found.shape != tensor.shape or found.dtype != tensor.dtype:
            raise ModelError(
                f"weight {name}: expected {tuple(tensor.shape)} {tensor.dtype}, "
                f"found {tuple(found.shape)} {found.dtype}"
            )
        if found.is_floating_point() and not bool(found.isfinite().all()):
            raise ModelError(f"weight {name}: expected finite numbers, found NaN or infinity")
