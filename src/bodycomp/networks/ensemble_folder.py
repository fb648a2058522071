"""Trained models -> one model folder that holds all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bodycomp.errors import UsageError
from bodycomp.networks.checkpoint import Model, load_model, save_model
from bodycomp.networks.confidence_calibration import ConfidenceCalibration, LevelCalibration
from bodycomp.networks.ensemble import Ensemble, ensemble_card, member_cards, members_of
from bodycomp.networks.names import ENSEMBLE

MOST_MEMBERS: Final = 20


def save_ensemble(
    sources: Sequence[Path], folder: Path, *, of_folds: bool = False, overwrite: bool = False
) -> Model:
    """Write models as one; the members of ensembles among them become its own.

    Args:
        sources: Model folders, run folders or Keras files.
        folder: The model folder to write.
        of_folds: Whether they are the folds of one training, each of which calibrated its
            confidence on the series that it held out.
        overwrite: Whether ``folder`` may have content.

    Raises:
        UsageError: There are fewer than two models or too many, or one is named twice.
        InputNotFoundError, ModelError: A model is missing, damaged, or unlike the others.
        OutputError: ``folder`` has content and ``overwrite`` is off.
    """
    loaded = [load_model(path) for path in sources]
    for index, model in enumerate(loaded):
        if model.digest in {other.digest for other in loaded[:index]}:
            raise UsageError(
                f"expected different models, found one twice: {sources[index]}",
                hint="A member that counts twice only weighs more.",
            )
    cards, networks, names, digests = [], [], [], []
    for path, model in zip(sources, loaded, strict=True):
        is_ensemble = model.card.architecture == ENSEMBLE
        own = tuple(member_cards(model.card)) if is_ensemble else (model.card,)
        records = model.card.training.get("members", ()) if is_ensemble else (model.card.training,)
        for card, network, record in zip(own, members_of(model.network), records, strict=True):
            cards.append(replace(card, training=record))
            networks.append(network)
            names.append(str(path))
            digests.append(str(record.get("digest", model.digest)) if is_ensemble else model.digest)
    if not 2 <= len(networks) <= MOST_MEMBERS:
        raise UsageError(
            f"expected 2 to {MOST_MEMBERS} models for an ensemble, found {len(networks)}",
            hint="Name several models, or the folder of a training with --folds.",
        )
    card = ensemble_card(cards, names, digests)
    if of_folds:
        card = replace(card, confidence=fold_confidence([each.confidence for each in cards]))
    network = Ensemble(networks, card.task)
    save_model(folder, network, card, overwrite=overwrite)
    return load_model(folder)


def fold_confidence(
    folds: Sequence[ConfidenceCalibration | None],
) -> ConfidenceCalibration | None:
    """Return the mean of what folds found on the series that they held out; None without any.

    The curve of an ensemble is steadier than a member's: what its confidence says is, if anything,
    too low.
    """
    by_level: dict[str, list[LevelCalibration]] = {}
    for fold in folds:
        for level, found in ({} if fold is None else fold.levels).items():
            by_level.setdefault(level, []).append(found)
    made: Mapping[str, LevelCalibration] = {
        level: LevelCalibration(
            sum(each.intercept * each.series for each in own) / sum(e.series for e in own),
            sum(each.slope * each.series for each in own) / sum(e.series for e in own),
            sum(each.series for each in own),
            sum(each.right for each in own),
        )
        for level, own in by_level.items()
        if any(each.series for each in own)
    }
    if not made:
        return None
    source = (
        "the series that each fold of the training held out, by the fold's own model, which chose "
        "its best epoch by them; mean over the folds"
    )
    return ConfidenceCalibration(source, made)
