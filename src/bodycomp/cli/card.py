"""``bodycomp card``: what a model is for, how good it is and where it fails."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bodycomp.networks.card import ModelCard

DESCRIPTION = """\
Show a model's card: intended use, known failures, training data, metrics, how its confidence was
calibrated, licence. MODEL is a model folder, a run folder, a folder of both models as
'bodycomp analyze --models' takes it, or a file of the earlier Keras implementation.

Three options add to the card of one model first (of a Keras file: import it before):
  --describe WORDS    your own words, from a YAML file (docs/model-card.md has an example)
  --evaluation FILE   metrics with intervals, from 'bodycomp evaluate' of this very model
  --calibrate SET     confidence calibrated on series that the model did not learn from; this
                      changes results, and with them the model's digest

For research only, not a medical device."""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Make the parser of this command."""
    parser.description = DESCRIPTION
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, help="model, run, or folder of both models")
    add("--page", metavar="PAGE", type=Path, help="write the card as an HTML page, too")
    add("--json", action="store_true", help="print it as JSON instead: card.json and the digest")
    add("--describe", metavar="WORDS", type=Path, help="YAML file of words to put into the card")
    add(
        "--evaluation",
        metavar="FILE",
        type=Path,
        help="evaluation.json, or its folder, whose metrics to put into the card",
    )
    add(
        "--calibrate",
        metavar="SET[:SPLIT]",
        help="slice-selection set on whose series to calibrate the confidence (default split val)",
    )
    add("--device", default="auto", help="where to score slices: auto, cpu, cuda (default auto)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Change the cards if asked to, then show them."""
    from bodycomp.cli.card_print import print_card_views, print_json
    from bodycomp.networks.model_folder import models_at
    from bodycomp.report.model_card_view import make_card_view

    paths = models_at(arguments.model)
    if arguments.describe or arguments.evaluation or arguments.calibrate:
        _change(paths, arguments)
    found = [_read(path) for path in paths]
    views = [make_card_view(card, digest) for card, digest in found]
    if arguments.page is not None:
        from bodycomp.report.model_card_view import write_model_card_page

        write_model_card_page(arguments.page, views)
    if arguments.json:
        print_json([card.to_dict() | {"digest": digest} for card, digest in found])
    else:
        print_card_views(views, arguments.page)
    return 0


def _read(path: Path) -> tuple[ModelCard, str]:
    from bodycomp.networks.model_folder import read_model_files

    if path.is_dir():
        card, _, digest = read_model_files(path)
        return card, digest
    from bodycomp.networks.checkpoint import load_model  # a Keras file: PyTorch reads it

    model = load_model(path)
    return model.card, model.digest


def _change(paths: tuple[Path, ...], arguments: argparse.Namespace) -> None:
    """Add to the card of one model, all of it or nothing."""
    from dataclasses import replace

    from bodycomp.errors import UsageError
    from bodycomp.networks.card_files import evaluation_tables, read_words
    from bodycomp.networks.model_folder import read_model_files, write_card

    path = paths[0]
    if len(paths) > 1 or not path.is_dir():
        raise UsageError(
            f"expected one model folder whose card to change, found {arguments.model}",
            hint="Of a pair, name one of the two; import a Keras file with "
            "'bodycomp import-keras' first.",
        )
    card, _, digest = read_model_files(path)
    description = card.description
    if arguments.evaluation is not None:
        tables = evaluation_tables(arguments.evaluation, card.task, digest)
        description = description.with_metrics(tables)
    if arguments.describe is not None:
        from bodycomp.networks.card_description import KIND_WORDS

        general = replace(description, words=KIND_WORDS[card.task].overlaid(description.words))
        description = general.with_words(read_words(arguments.describe))
    card = replace(card, description=description)
    if arguments.calibrate is not None:
        from bodycomp.training.calibrating import calibrate_confidence, parse_held_out

        held_out = parse_held_out(arguments.calibrate)
        made = calibrate_confidence(path, held_out, device=arguments.device)
        card = replace(card, confidence=made)
    write_card(path, card)
