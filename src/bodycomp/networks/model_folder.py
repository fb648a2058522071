"""A model's folder on disk: where its files are, what it is known by, how its card is changed.

Nothing here needs PyTorch, so that cards are read at once.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from bodycomp.errors import InputNotFoundError, ModelError
from bodycomp.json_file import json_text
from bodycomp.networks.card import ModelCard
from bodycomp.networks.shipped import SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER, models_dir
from bodycomp.storage import atomic_file

WEIGHTS_NAME: Final = "weights.safetensors"
CARD_NAME: Final = "card.json"
RUN_SUBFOLDER: Final = "model"
"""Where a training run leaves its model."""

KERAS_SUFFIXES: Final = (".hdf5", ".h5")


def find_in_pair(models_dir: Path, name: str) -> Path | None:
    """Return where a folder of both models has the one of this name; None if it has none.

    That is a model folder, a run folder, or a file of the earlier Keras implementation.
    """
    paths = (models_dir / f"{name}{suffix}" for suffix in ("", *KERAS_SUFFIXES))
    return next((path for path in paths if path.exists()), None)


def models_at(path: Path) -> tuple[Path, ...]:
    """Return the one model that ``path`` is, or the one or two that it holds as a pair's folder.

    The name of models that ship with bodycomp stands for their folder.

    Raises:
        InputNotFoundError: Nothing is there.
    """
    path = models_dir(path)
    if not path.exists():
        raise InputNotFoundError(f"expected a model, found nothing: {path}")
    if path.is_dir() and not (model_folder(path) / CARD_NAME).exists():
        names = (SLICE_SELECTION_FOLDER, SEGMENTATION_FOLDER)
        found = tuple(place for name in names if (place := find_in_pair(path, name)) is not None)
        if found:
            return found
    return (path,)


def model_folder(path: Path) -> Path:
    """Return the folder that holds the card: ``path`` or, of a training run, its ``model``."""
    return path if (path / CARD_NAME).exists() else path / RUN_SUBFOLDER


def read_model_files(path: Path) -> tuple[ModelCard, bytes, str]:
    """Read a model folder or a run's folder.

    Returns:
        The card, the content of the weights' file, and the model's digest.

    Raises:
        ModelError: A file is missing, or the card cannot be used.
    """
    card = read_card(path)
    weight_bytes = _read(model_folder(path) / WEIGHTS_NAME, path)
    return card, weight_bytes, model_digest(card, weight_bytes)


def read_card(path: Path) -> ModelCard:
    """Read the card alone of a model folder or a run's folder; raises as ``read_model_files``."""
    folder = model_folder(path)
    card_bytes = _read(folder / CARD_NAME, path)
    try:
        return ModelCard.from_dict(_parse_json(card_bytes))
    except ModelError as error:
        raise ModelError(f"{folder}: {error.message}", hint=error.hint) from error


def model_digest(card: ModelCard, weight_bytes: bytes) -> str:
    """Return the SHA-256 of all that results depend on: the weights, and not all of the card.

    Words and numbers about a model leave it as it is, and results made before them comparable.
    """
    essence = json.dumps(
        card.essence(), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    digest = hashlib.sha256(essence.encode("ascii") + b"\0")
    digest.update(weight_bytes)
    return digest.hexdigest()


def card_text(card: ModelCard) -> str:
    """Return the content of ``card.json``."""
    return json_text(card.to_dict())


def write_card(path: Path, card: ModelCard) -> None:
    """Put another card in place of a model's, whole or not at all."""
    text = card_text(card)
    with atomic_file(model_folder(path) / CARD_NAME, durable=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _read(file: Path, given: Path) -> bytes:
    if not file.is_file():
        raise ModelError(
            f"expected a model in {given}, found no {file.name}",
            hint=f"A model folder holds {CARD_NAME} and {WEIGHTS_NAME}; "
            f"a training run holds it as {RUN_SUBFOLDER}/.",
        )
    return file.read_bytes()


def _parse_json(content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except ValueError as error:  # undecodable bytes and malformed JSON alike
        raise ModelError(f"{CARD_NAME} is no valid JSON ({error})") from error
    if not isinstance(parsed, dict):
        raise ModelError(f"{CARD_NAME}: expected an object, found {type(parsed).__name__}")
    return parsed
