"""``bodycomp models``: the models that ship with bodycomp."""

from __future__ import annotations

from dataclasses import dataclass

from bodycomp.cli.option_parser import Command
from bodycomp.options import option

DESCRIPTION = """\
List the models that ship with bodycomp: what they do, their licence and digest.

'bodycomp analyze --models NAME' takes them, 'bodycomp card NAME' shows how good they are and where
they fail, 'bodycomp train ... --load_weights NAME' starts from them."""


@dataclass(frozen=True)
class ListOptions:
    """How models are listed."""

    json: bool = option(False, "--json", help="print their cards as JSON instead")


def run(options: ListOptions) -> int:
    """Print one line for each network."""
    from bodycomp.cli.card_print import print_json
    from bodycomp.cli.terminal import say
    from bodycomp.interface.cards import list_models

    found = [(name, each) for name, cards in list_models().items() for each in cards]
    if options.json:
        print_json([{"name": n, **each.card.to_dict(), "digest": each.digest} for n, each in found])
        return 0
    for name, each in found:
        card = each.card
        finds = f"finds {', '.join(card.levels)}"
        labels = f"labels {', '.join(tissue.title.lower() for tissue in card.tissues)}"
        licence = card.description.words.licence or "no licence stated"
        say(f"{name}: {labels if card.tissues else finds}; {licence}, digest {each.digest[:12]}")
    return 0


COMMAND = Command(options=(ListOptions,), run=run, description=DESCRIPTION)
