"""``bodycomp models``: the models that ship with bodycomp."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bodycomp.networks.card import ModelCard

DESCRIPTION = """\
List the models that ship with bodycomp: what they do, their licence and digest.

'bodycomp analyze --models NAME' takes them, 'bodycomp card NAME' shows how good they are and where
they fail, 'bodycomp train ... --load_weights NAME' starts from them."""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Make the parser of this command."""
    parser.description = DESCRIPTION
    parser.add_argument("--json", action="store_true", help="print them as JSON instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each network."""
    from bodycomp.cli.terminal import say
    from bodycomp.json_file import json_text

    models = list(_shipped())
    if arguments.json:
        say(json_text(models).rstrip())
        return 0
    for model in models:
        say(
            f"{model['name']}/{model['network']}: {model['does']}; "
            f"{model['megabytes']:.1f} MB, {model['licence']}, digest {model['digest'][:12]}"
        )
    return 0


def _shipped() -> Iterator[dict[str, Any]]:
    from bodycomp.networks.model_folder import models_at, read_model_files
    from bodycomp.networks.shipped import shipped_models

    for name, folder in shipped_models().items():
        for path in models_at(folder):
            card, weights, digest = read_model_files(path)
            yield {
                "name": name,
                "network": path.name,
                "does": _work_of(card),
                "licence": card.description.words.licence or "no licence stated",
                "megabytes": len(weights) / 1e6,
                "digest": digest,
                "folder": str(Path(path)),
            }


def _work_of(card: ModelCard) -> str:
    if card.task == "segmentation":
        return "labels " + ", ".join(tissue.title.lower() for tissue in card.tissues)
    return "finds " + ", ".join(card.levels)
