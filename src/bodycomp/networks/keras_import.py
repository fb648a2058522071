"""A file of the earlier Keras implementation -> a model folder of our own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bodycomp.anatomy import Tissue
from bodycomp.errors import InputNotFoundError, ModelError
from bodycomp.networks.checkpoint import save_model
from bodycomp.networks.keras import load_keras
from bodycomp.networks.keras_options import KerasOptions
from bodycomp.networks.model import Model


def import_keras(
    source: Path,
    folder: Path,
    options: KerasOptions | None = None,
    *,
    tissues: Sequence[Tissue] | None = None,
    overwrite: bool = False,
) -> Model:
    """Write the network of a Keras file as a model folder, whole or not at all.

    Architecture and sizes are recognised from the file; every shape is checked. The folder needs
    neither the file nor these options any more.

    Args:
        source: Full model or weights alone, HDF5 of Keras 2, whatever its name.
        folder: Appears at the end.
        options: What the file leaves open.
        tissues: What the classes after background are expected to be; None asks nothing.
        overwrite: Replace an earlier model.

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
            f"{source}: expected the classes {_names(tissues)}, "
            f"found {_names(model.card.tissues) or f'a network for {model.card.task}'}",
            hint="Three classes after background are muscle, subcutaneous and visceral fat; "
            "two are muscle and subcutaneous fat.",
        )
    save_model(folder, model.network, model.card, overwrite=overwrite)
    return model


def _names(tissues: Sequence[Tissue]) -> str:
    return ", ".join(tissue.key for tissue in tissues)
