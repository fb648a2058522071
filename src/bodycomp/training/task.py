"""What the parts of a training hand one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from bodycomp.data.datasets import SampleSet
from bodycomp.networks.confidence_calibration import LevelCalibration


@dataclass(frozen=True, eq=False)
class Splits:
    """The data sets of a training; test is None if the training set has none."""

    train: SampleSet
    val: SampleSet
    test: SampleSet | None

    def sizes(self) -> dict[str, int]:
        """Return the number of samples of each split that is there."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: len(split) for name, split in named.items() if split is not None}


@dataclass(frozen=True, slots=True)
class Headline:
    """The number that tells people how good a network is, made from the score.

    Attributes:
        name: For people.
        unit: Follows the number.
        sign: -1 where less is better, since the best score is the largest.
        digits: After the point.
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
