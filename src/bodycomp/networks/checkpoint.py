"""Model folders: ``weights.safetensors`` beside ``card.json``. Reading them executes no code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from bodycomp.anatomy import Tissue
from bodycomp.errors import InputNotFoundError, ModelError
from bodycomp.networks.card import ModelCard, Task
from bodycomp.networks.keras.load import load_keras
from bodycomp.networks.keras.options import KerasOptions
from bodycomp.networks.model import Model, build_network, network_with_weights
from bodycomp.networks.model_folder import (
    CARD_NAME,
    KERAS_SUFFIXES,
    WEIGHTS_NAME,
    card_text,
    model_folder,
    read_model_files,
)
from bodycomp.storage import atomic_folder

__all__ = [
    "Model",
    "ModelCard",
    "Task",
    "build_network",
    "import_keras",
    "load_model",
    "save_model",
]


def save_model(
    folder: Path, network: nn.Module, card: ModelCard, *, overwrite: bool = False
) -> None:
    """Write a network and its card as a model folder, whole or not at all.

    Raises:
        ModelError: The network is not the one that the card describes, or not finite.
        OutputError: ``folder`` has content and ``overwrite`` is off.
    """
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    network_with_weights(card, weights)  # what cannot be loaded again is not written
    with atomic_folder(folder, overwrite=overwrite) as temporary:
        (temporary / WEIGHTS_NAME).write_bytes(safetensors.torch.save(weights))
        (temporary / CARD_NAME).write_text(card_text(card), encoding="utf-8")


def load_model(
    path: Path,
    *,
    task: Task | None = None,
    activation: str | None = None,
    levels: Sequence[str] | None = None,
    target_scale_mm: float | None = None,
) -> Model:
    """Read a model from a model folder, a training run's folder or a Keras file.

    The last three say what a Keras file may leave open (see ``KerasOptions``). Given for a model
    with a card, they must agree with it.

    Args:
        path: Folder with ``card.json``, folder holding ``model/``, or ``.hdf5`` / ``.h5``.
        task: What the model is wanted for; None accepts both.
        activation: Activation of a weights-only Keras file; None is relu.
        levels: One name per output.
        target_scale_mm: Scale of the training targets.

    Raises:
        InputNotFoundError: Nothing is there.
        ModelError: It is no model, damaged, contradicts itself, or is for another task.
    """
    path = Path(path)
    if not path.exists():
        raise InputNotFoundError(f"expected a model, found nothing: {path}")
    options = KerasOptions(
        activation=activation,
        levels=None if levels is None else tuple(levels),
        target_scale_mm=target_scale_mm,
    )
    if path.is_dir():
        model = _load_folder(path)
        _check_agreement(model.card, options, path)
    elif path.suffix.lower() in KERAS_SUFFIXES:
        model = load_keras(path, options)
    else:
        raise ModelError(
            f"expected a model folder or a Keras file (.hdf5, .h5), found {path}",
            hint="Training leaves its model in the folder model/; a .ckpt serves resuming only.",
        )
    if task is not None and model.card.task != task:
        raise ModelError(f"expected a model for {task}, found one for {model.card.task}: {path}")
    return model


def import_keras(
    source: Path,
    folder: Path,
    options: KerasOptions | None = None,
    *,
    tissues: Sequence[Tissue] | None = None,
    overwrite: bool = False,
) -> Model:
    """Write the network of a Keras 2 file as a model folder, whole or not at all.

    Architecture and sizes are recognized from the file; every shape is checked. The folder needs
    neither the file nor these options any more. ``tissues`` are what the classes after background
    are expected to be; None asks nothing.

    Raises:
        InputNotFoundError: There is no such file.
        ModelError: The file is damaged, holds another network, or contradicts what was said.
        OutputError: The folder has content and ``overwrite`` is off, or cannot be written.
    """
    if not source.is_file():
        found = "a folder" if source.is_dir() else "nothing"
        raise InputNotFoundError(
            f"expected a Keras .hdf5 file, found {found}: {source}",
            hint="A model or run folder of bodycomp needs no import.",
        )
    model = load_keras(source, options)
    if tissues is not None and model.card.tissues != tuple(tissues):
        raise ModelError(
            f"{source}: expected the classes {_keys(tissues)}, "
            f"found {_keys(model.card.tissues) or f'a network for {model.card.task}'}",
            hint="Three classes after background are muscle, subcutaneous and visceral fat; "
            "two are muscle and subcutaneous fat.",
        )
    save_model(folder, model.network, model.card, overwrite=overwrite)
    return model


def _load_folder(path: Path) -> Model:
    card, weight_bytes, digest = read_model_files(path)
    folder = model_folder(path)
    try:
        network = network_with_weights(card, safetensors.torch.load(weight_bytes))
    except SafetensorError as error:
        raise ModelError(
            f"{folder / WEIGHTS_NAME} is damaged or truncated ({error})",
            hint="Copy the model folder again.",
        ) from error
    except ModelError as error:
        raise ModelError(f"{folder}: {error.message}", hint=error.hint) from error
    return Model(network, card, digest)


def _check_agreement(card: ModelCard, options: KerasOptions, path: Path) -> None:
    """Check that what was said about a model is what its card says."""
    said = (
        ("activation", options.activation, card.config.get("activation")),
        ("levels", options.levels, card.levels),
        ("target scale in mm", options.target_scale_mm, card.target_scale_mm),
    )
    for what, given, found in said:
        if given is not None and given != found:
            raise ModelError(f"{path}: expected {what} {given}, the model's card has {found}")


def _keys(tissues: Sequence[Tissue]) -> str:
    return ", ".join(tissue.key for tissue in tissues)
