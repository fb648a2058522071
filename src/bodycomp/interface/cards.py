"""Cards of models: shown, and completed by words, metrics and a calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bodycomp.errors import UsageError
from bodycomp.interface.keywords import command
from bodycomp.interface.options import CardOptions
from bodycomp.networks.card import ModelCard
from bodycomp.networks.card_description import KIND_WORDS
from bodycomp.networks.card_files import evaluated_intervals, evaluation_tables, read_words
from bodycomp.networks.model_folder import models_at, read_model_files, write_card
from bodycomp.networks.shipped import shipped_models
from bodycomp.progress import Progress
from bodycomp.report.model_card_view import CardView, make_card_view, write_model_card_page


@dataclass(frozen=True, eq=False)
class ReadCard:
    """A model's card, and the digest of its weights and of what they are run with."""

    card: ModelCard
    digest: str

    @property
    def view(self) -> CardView:
        """The card as sections for people."""
        return make_card_view(self.card, self.digest)

    def __str__(self) -> str:
        view = self.view
        return f"{view.title}; {view.subtitle}; digest {view.digest}"


@command(CardOptions, model="model")
def card(options: CardOptions, _: Progress) -> tuple[ReadCard, ...]:
    """Return the card of a model, or of both of a folder, as ``bodycomp card``.

    ``describe``, ``evaluation``, ``intervals`` and ``calibrate`` add to the card of one model
    first, all or nothing.

    Raises:
        InputNotFoundError, ModelError, TrainingSetError, UsageError: As the command.
    """
    paths = models_at(options.model)
    if options.describe or options.evaluation or options.intervals or options.calibrate:
        if len(paths) > 1 or not paths[0].is_dir():
            raise UsageError(
                f"expected one model folder whose card to change, found {options.model}",
                hint="Of a pair, name one of the two; import a Keras file with "
                "'bodycomp import-keras' first.",
            )
        write_card(paths[0], _changed(paths[0], options))
    found = tuple(map(_read, paths))
    if options.page is not None:
        write_model_card_page(options.page, [each.view for each in found])
    return found


def list_models() -> dict[str, tuple[ReadCard, ...]]:
    """Return name -> cards of the models that ship with bodycomp, as ``bodycomp models``.

    The name is what ``load_models``, ``analyze``, ``card`` and ``load_weights`` take for a folder.
    """
    return {name: tuple(map(_read, models_at(at))) for name, at in shipped_models().items()}


def _read(path: Path) -> ReadCard:
    if path.is_dir():
        found, _, digest = read_model_files(path)
        return ReadCard(found, digest)
    from bodycomp.networks.checkpoint import load_model  # a Keras file: PyTorch reads it

    model = load_model(path)
    return ReadCard(model.card, model.digest)


def _changed(path: Path, options: CardOptions) -> ModelCard:
    """Return a model's card with what is to be added to it."""
    found, _, digest = read_model_files(path)
    description = found.description
    if options.evaluation is not None:
        tables = evaluation_tables(options.evaluation, found.task, digest)
        description = description.with_metrics(tables)
    if options.describe is not None:
        general = replace(description, words=KIND_WORDS[found.task].overlaid(description.words))
        description = general.with_words(read_words(options.describe))
    changed = replace(found, description=description)
    if options.intervals is not None:
        made_of = evaluated_intervals(options.intervals, found.task, digest)
        changed = replace(changed, area_intervals=made_of)
    if options.calibrate:
        from bodycomp.training.calibrating import calibrate_confidence, parse_held_out

        held_out = parse_held_out(options.calibrate)
        made = calibrate_confidence(path, held_out, device=options.device)
        changed = replace(changed, confidence=made)
    return changed
