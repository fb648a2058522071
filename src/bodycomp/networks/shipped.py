"""The models that ship with bodycomp, found by name; nothing here needs PyTorch."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Final

from bodycomp.networks.card_description import Task

DEFAULT_MODELS: Final = "default"
"""Name of the models that are taken where none are named."""

MODELS_VARIABLE: Final = "BODYCOMP_MODELS"
"""Environment variable with the folder, or the name, to take instead."""

SLICE_SELECTION_FOLDER: Final = "slice-selection"
SEGMENTATION_FOLDER: Final = "segmentation"
FOLDERS: Final[dict[Task, str]] = {
    "slice_selection": SLICE_SELECTION_FOLDER,
    "segmentation": SEGMENTATION_FOLDER,
}
"""Of the two networks of a pair."""


def shipped_room() -> Path:
    """Return the folder of the package that holds the models that ship."""
    return Path(str(files("bodycomp"))) / "weights"


def shipped_models() -> dict[str, Path]:
    """Return name -> folder of each pair of models that ships, by name."""
    room = shipped_room()
    found = sorted(path for path in room.iterdir() if path.is_dir()) if room.is_dir() else []
    return {path.name: path for path in found}


def shipped_model(name: str | os.PathLike[str] | None, task: Task) -> Path | None:
    """Return the folder of the network for a task among models that ship; None of other names."""
    folder = shipped_models().get(os.fspath(name)) if name is not None else None
    return None if folder is None else folder / FOLDERS[task]


def models_dir(given: str | os.PathLike[str] | None) -> Path:
    """Return the folder of models that is meant.

    Args:
        given: The name of models that ship, or a folder; None for what ``MODELS_VARIABLE`` names,
            else the default models. A folder of the same name as shipped models is meant by
            ``./name``.
    """
    meant = given or os.environ.get(MODELS_VARIABLE) or DEFAULT_MODELS
    return shipped_models().get(os.fspath(meant), Path(meant))
