"""What the two trainings differ in: training set, network, loss, metrics and pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final, Self, TypeVar

from torch import Tensor, nn

from bodycomp.data.chosen_samples import ChosenSamples
from bodycomp.data.datasets import SampleSet
from bodycomp.data.folds import Folds, make_folds
from bodycomp.data.issues import Issue
from bodycomp.data.layout import SPLITS
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.networks.card import ModelCard
from bodycomp.networks.confidence_calibration import LevelCalibration
from bodycomp.progress import StepProgress
from bodycomp.training.options import RunOptions
from bodycomp.training.steps.evaluation_context import EvaluationContext

T = TypeVar("T")

NONE_DECODED: Final[Mapping[str, str]] = MappingProxyType({})
"""No slices are decoded already."""


@dataclass(frozen=True, eq=False)
class Splits:
    """The data sets of a training.

    ``test`` is None if the training set has none, ``folds`` unless train and val are made of them.
    """

    train: SampleSet
    val: SampleSet
    test: SampleSet | None
    folds: Folds | None = None

    @classmethod
    def opened(cls, open_split: Callable[[str], T | None], dataset: Callable[[T], Any]) -> Self:
        """Open the splits; a missing train or val is refused when the set is checked."""
        split = {name: open_split(name) for name in SPLITS}
        made = {name: dataset(found) for name, found in split.items() if found is not None}
        return cls(train=made["train"], val=made["val"], test=made.get("test"))

    def sizes(self) -> dict[str, int]:
        """Return the number of samples of each split that is there."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: len(split) for name, split in named.items() if split is not None}


@dataclass(frozen=True, eq=False)
class CheckedData:
    """What reading a whole training set tells.

    Attributes:
        contents: Digests of the contents that were read, by name, for the set's own digest.
        decoded: Split -> name of its decoded slices in the cache, for those that it keeps.
    """

    issues: tuple[Issue, ...]
    contents: dict[str, bytes] = field(default_factory=dict)
    decoded: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Headline:
    """The number that says how good a network is, made from the score.

    Attributes:
        sign: -1 where less is better, since the best score is the largest.
    """

    name: str
    unit: str
    sign: int
    digits: int

    def words(self, score: float) -> str:
        """Return a score in words.

        >>> Headline("mean error", " mm", -1, 1).words(-4.25)
        'mean error 4.2 mm'
        """
        return f"{self.name} {self.sign * score:.{self.digits}f}{self.unit}"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A network on one split.

    Attributes:
        metrics: By name; None where nothing could be measured.
        score: What the best epoch has most of.
        cases: (case,) how well each sample did, higher is better, NaN where it does not count.
        missed: Tissues that are in the split and of which no pixel was found.
        counts: Metric -> number of slices or series that it is made of; of metrics that are
            missing, all slices of the split.
        calibrations: Level -> calibration of the confidence of its positions in this split.
    """

    metrics: dict[str, float | None]
    score: float
    cases: Tensor
    missed: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    calibrations: Mapping[str, LevelCalibration] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pick:
    """A validation case to show: its index and what it stands for, such as "worst"."""

    title: str
    index: int


@dataclass(frozen=True)
class Task(ABC):
    """One of the two trainings; all that is not written here is the same for both.

    Attributes:
        headline: The number that decides which epoch is the best.
    """

    headline: ClassVar[Headline]
    options: RunOptions

    def with_options(self, **changes: Any) -> Self:
        """Return the task with other options."""
        return replace(self, options=replace(self.options, **changes))

    @abstractmethod
    def check(self, preprocessing: Preprocessing, progress: StepProgress) -> CheckedData:
        """Read the training set: what is wrong with it, and what it holds."""

    @abstractmethod
    def files(self) -> list[Path]:
        """Return the files of the training set whose contents ``check`` does not tell."""

    def splits(
        self, preprocessing: Preprocessing, decoded: Mapping[str, str] = NONE_DECODED
    ) -> Splits:
        """Open the splits to train on: those of the training set, or of one of its folds.

        ``decoded`` is that of ``CheckedData``.

        Raises:
            TrainingSetError, UsageError: The set cannot be shared out into folds.
        """
        whole = self.whole_splits(preprocessing, decoded)
        if self.options.fold is None or self.options.folds is None:
            return whole
        options, sets = self.options, {"train": whole.train, "val": whole.val}
        folds = make_folds(options.data_dir, whole.sizes(), self.options.folds, options.fold_by)
        train, val = (
            self.chosen(
                name,
                sets,
                places,
                patient=_of(folds.patient, places),
                series=_of(folds.series, places),
            )
            for name, places in (
                ("train", folds.learnt(self.options.fold)),
                ("val", folds.held_out(self.options.fold)),
            )
        )
        return Splits(train, val, whole.test, folds)

    def chosen(
        self,
        name: str,
        sets: Mapping[str, SampleSet],
        places: Sequence[tuple[str, int]],
        **names: tuple[str, ...] | None,
    ) -> SampleSet:
        """Return samples of several splits as a split of this name; see ``ChosenSamples``."""
        del name
        return ChosenSamples(sets, places, **names)

    @abstractmethod
    def whole_splits(
        self, preprocessing: Preprocessing, decoded: Mapping[str, str] = NONE_DECODED
    ) -> Splits:
        """Open the splits of the training set; ``decoded`` is that of ``CheckedData``."""

    @abstractmethod
    def card(self) -> ModelCard:
        """Return the card of the network that the options describe."""

    @abstractmethod
    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the mean loss of a batch."""

    @abstractmethod
    def evaluate(
        self, network: nn.Module, split: SampleSet, context: EvaluationContext
    ) -> Evaluation:
        """Evaluate a network on a split, all processes together."""

    @abstractmethod
    def draw_examples(
        self, path: Path, network: nn.Module, split: SampleSet, picks: Sequence[Pick]
    ) -> None:
        """Draw cases of a split, at least one, as a PNG: image, truth and what the network says.

        The network runs where it is.
        """


def _of(
    names: Mapping[str, tuple[str, ...]] | None, places: Sequence[tuple[str, int]]
) -> tuple[str, ...] | None:
    return None if names is None else tuple(names[split][index] for split, index in places)
