"""``bodycomp card``: what a model is for, how good it is and where it fails."""

from __future__ import annotations

from dataclasses import dataclass

from bodycomp.cli.option_parser import Command
from bodycomp.interface.options import CardOptions
from bodycomp.options import option

DESCRIPTION = """\
Show a model's card: intended use, known failures, training data, metrics, how its confidence was
calibrated, licence. MODEL is a model folder, a run folder, a folder of both models as
'bodycomp analyze --models' takes it, or a file of the earlier Keras implementation.

Four options add to the card of one model first (of a Keras file: import it before):
  --describe WORDS    your own words, from a YAML file (docs/model-card.md has an example)
  --evaluation FILE   metrics with intervals, from 'bodycomp evaluate' of this very model
  --intervals FILE    90 % intervals of areas, calibrated on the cases of an evaluation of this very
                      model; this changes results, and with them the model's digest
  --calibrate SET     confidence calibrated on series that the model did not learn from; this
                      changes results and digest, too

For research only, not a medical device."""


@dataclass(frozen=True)
class PrintOptions:
    """How cards are printed."""

    json: bool = option(False, "--json", help="print it as JSON instead: card.json and the digest")


def run(options: CardOptions, how: PrintOptions) -> int:
    """Change the cards if asked to, then show them."""
    from bodycomp.cli.card_print import print_cards, print_json
    from bodycomp.interface.cards import card

    found = card.run(options)
    if how.json:
        print_json([each.card.to_dict() | {"digest": each.digest} for each in found])
    else:
        print_cards([each.view for each in found], options.page)
    return 0


COMMAND = Command(options=(CardOptions, PrintOptions), run=run, description=DESCRIPTION)
