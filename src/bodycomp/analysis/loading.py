"""A folder with both models -> an ``Analyzer``."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from bodycomp.analysis.inference import NetworkSegmenter, NetworkSliceScorer
from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer, Network
from bodycomp.analysis.series_scorer import slice_scorer
from bodycomp.anatomy import Tissue
from bodycomp.digests import SHORT
from bodycomp.errors import InputNotFoundError, ModelError
from bodycomp.networks import shipped
from bodycomp.networks.checkpoint import Model, Task, load_model
from bodycomp.networks.model_folder import find_in_pair
from bodycomp.networks.names import AUTO_ENGINE
from bodycomp.networks.shipped import SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER
from bodycomp.processes import Work, Workers
from bodycomp.reference.table import ReferenceTable

log = logging.getLogger(__name__)


def load_analyzer(
    models_dir: Path | None,
    *,
    device: str = "auto",
    options: AnalysisOptions | None = None,
    engine: str = AUTO_ENGINE,
) -> Analyzer:
    """Load the two models of a folder.

    The folder holds ``slice-selection`` and ``segmentation``, each a model folder, a run folder, or
    a file of the earlier Keras implementation ending in .hdf5 or .h5. The name of models that
    ship with bodycomp stands for theirs; None is as for ``shipped.models_dir``.

    Raises:
        InputNotFoundError: The folder is not there.
        ModelError: A model is missing, cannot be loaded, or does the other one's work.
        UsageError: The device is not there, or the engine does not run a model on it.
    """
    slice_selection = _load(models_dir, SLICE_SELECTION_FOLDER, "slice_selection")
    segmentation = _load(models_dir, SEGMENTATION_FOLDER, "segmentation")
    _warn_of_intervals(slice_selection, segmentation)
    return Analyzer(
        slice_scorer(slice_selection, device=device, engine=engine),
        NetworkSegmenter(segmentation, device=device, engine=engine),
        options or AnalysisOptions(),
    )


def _warn_of_intervals(slice_selection: Model, segmentation: Model) -> None:
    known = segmentation.card.area_intervals
    if known is not None and not known.is_for(slice_selection.digest[:SHORT]):
        log.warning(
            "the segmentation model's intervals of areas hold for levels found by the model %s, "
            "not by this one: results have none. 'bodycomp card MODEL --intervals' makes them anew",
            known.slice_selection,
        )


def load_slice_scorer(
    models_dir: Path | None, *, device: str = "auto", engine: str = AUTO_ENGINE
) -> NetworkSliceScorer:
    """Load the slice-selection model of a folder alone; see ``load_analyzer``."""
    model = _load(models_dir, SLICE_SELECTION_FOLDER, "slice_selection")
    return slice_scorer(model, device=device, engine=engine)


@dataclass(frozen=True)
class ModelFacts:
    """What a run says of its models, without the networks; by role of the model, but tissues.

    ``engines`` are how networks run, on which the last digits depend; ``references`` what values
    are compared with. Cards are those of trained networks, with their digests.
    """

    digests: Mapping[str, str]
    engines: Mapping[str, str]
    tissues: tuple[Tissue, ...]
    references: tuple[ReferenceTable, ...] = field(repr=False)
    cards: Mapping[str, Mapping[str, Any]] = field(repr=False)


def facts_of(analyzer: Analyzer) -> ModelFacts:
    """Return what a run says of the models of an analyzer."""
    networks: dict[str, Network] = {
        "slice_selection": analyzer.scorer,
        "segmentation": analyzer.segmenter,
    }
    return ModelFacts(
        digests={role: network.digest for role, network in networks.items()},
        engines={role: network.runs_as for role, network in networks.items()},
        tissues=analyzer.segmenter.tissues,
        references=analyzer.options.references,
        cards={
            role: network.card.to_dict() | {"digest": network.digest}
            for role, network in networks.items()
            if isinstance(network, NetworkSliceScorer | NetworkSegmenter)
        },
    )


@dataclass(frozen=True)
class AnalyzerLoader:
    """Loads an analyzer once in every process that asks for it, wherever it was sent.

    Attributes:
        load: Loads it; it is pickled where another process asks.
        expected: What the run says of its models; another process must have the same.
    """

    load: Callable[[], Analyzer] = field(compare=False, repr=False)
    expected: ModelFacts | None = field(default=None, compare=False, repr=False)
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __call__(self) -> Analyzer:
        """Return the analyzer.

        Raises:
            ModelError: It is not what the run expects; or as ``load_analyzer``.
        """
        return _loaded(self)

    def facts(self, workers: Workers) -> ModelFacts:
        """Return what one of the workers finds the models to be."""
        work = Work(_facts, lambda _: ())
        return next(facts for _, facts in workers.results(work, [self]))


def _facts(loader: AnalyzerLoader) -> ModelFacts:
    return facts_of(loader())


@lru_cache(maxsize=2)  # the two that an evaluation may compare
def _loaded(loader: AnalyzerLoader) -> Analyzer:
    analyzer = loader.load()
    found, expected = facts_of(analyzer), loader.expected
    if expected and (found.digests, found.engines) != (expected.digests, expected.engines):
        raise ModelError(
            f"expected the models {expected.digests}, run as {expected.engines}, on every worker, "
            f"found {found.digests}, run as {found.engines}",
            hint="Machines that differ need one --engine and one --device for all of them.",
        )
    return analyzer


def load_segmenter(
    models_dir: Path | None, *, device: str = "auto", engine: str = AUTO_ENGINE
) -> NetworkSegmenter:
    """Load the segmentation model of a folder alone; see ``load_analyzer``."""
    model = _load(models_dir, SEGMENTATION_FOLDER, "segmentation")
    return NetworkSegmenter(model, device=device, engine=engine)


_HINT: Final = (
    f"Give a folder that holds {SLICE_SELECTION_FOLDER}/ and {SEGMENTATION_FOLDER}/, "
    "each a model or the run folder of a training."
)


def model_path(models_dir: Path | None, name: str) -> Path:
    """Return where one of the two models lies; raise if it does not."""
    models_dir = shipped.models_dir(models_dir)
    if not models_dir.is_dir():
        raise InputNotFoundError(f"models folder {models_dir} is not there", hint=_HINT)
    path = find_in_pair(models_dir, name)
    if path is not None:
        return path
    there = ", ".join(sorted(entry.name for entry in models_dir.iterdir())) or "nothing"
    raise ModelError(f"expected {name} in {models_dir}, found {there}", hint=_HINT)


def _load(models_dir: Path | None, name: str, task: Task) -> Model:
    return load_model(model_path(models_dir, name), task=task)
