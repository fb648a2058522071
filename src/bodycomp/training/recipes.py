"""The two tasks side by side: their training set, network and Lightning module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final, Self, TypeVar

from bodycomp.anatomy import tissues_for
from bodycomp.data.datasets import SegmentationDataset, SliceDataset
from bodycomp.data.grey_cache import BYTES_PER_GB, GreyCache, default_cache_dir
from bodycomp.data.issues import Issue
from bodycomp.data.layout import SPLITS, segmentation_files, table_path
from bodycomp.data.segmentation_set import SegmentationSplit, open_segmentation_split
from bodycomp.data.slice_set import SliceSplit, open_slice_split
from bodycomp.imaging.preprocessing import (
    SEGMENTATION_PREPROCESSING,
    SLICE_SELECTION_PREPROCESSING,
    Preprocessing,
)
from bodycomp.networks.checkpoint import Model, ModelCard, load_model
from bodycomp.networks.model import network_config
from bodycomp.progress import StepProgress
from bodycomp.training.module import TrainingModule
from bodycomp.training.options import RunOptions
from bodycomp.training.segmentation import SegmentationModule
from bodycomp.training.slice_selection import SliceSelectionModule
from bodycomp.training.task import Splits
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions
from bodycomp.validation.segmentation import check_before_training
from bodycomp.validation.slices import errors_of_a_sample, survey_slice_set

T = TypeVar("T")


NONE_DECODED: Final[Mapping[str, str]] = MappingProxyType({})
"""No slices are decoded already."""


@dataclass(frozen=True, eq=False)
class CheckedData:
    """What reading a whole training set tells.

    Attributes:
        issues: What is wrong.
        contents: Digests of the contents that were read, by name, for the set's own digest.
        decoded: Split -> name of its decoded slices in the cache, for those that it keeps.
    """

    issues: tuple[Issue, ...]
    contents: dict[str, bytes] = field(default_factory=dict)
    decoded: dict[str, str] = field(default_factory=dict)


class Recipe(ABC):
    """What a training needs to know of its task."""

    module: ClassVar[type[TrainingModule]]
    options: RunOptions

    @abstractmethod
    def with_name(self, name: str) -> Self:
        """Return the recipe for a run of this name."""

    @abstractmethod
    def check(self, preprocessing: Preprocessing, progress: StepProgress) -> CheckedData:
        """Read the training set: what is wrong with it, and what it holds."""

    @abstractmethod
    def card(self) -> ModelCard:
        """Return the card of the network that the options describe."""

    @abstractmethod
    def load(self, path: Path) -> Model:
        """Read a model of this task."""

    @abstractmethod
    def splits(
        self, preprocessing: Preprocessing, decoded: Mapping[str, str] = NONE_DECODED
    ) -> Splits:
        """Open the training set; ``decoded`` is that of ``CheckedData``."""

    @abstractmethod
    def files(self) -> list[Path]:
        """Return the files of the training set whose contents ``check`` does not tell."""


@dataclass(frozen=True)
class SegmentationRecipe(Recipe):
    """Masks of tissues."""

    module: ClassVar[type[TrainingModule]] = SegmentationModule
    options: SegmentationOptions

    def with_name(self, name: str) -> Self:
        """Name the run."""
        return replace(self, options=replace(self.options, name=name))

    def check(self, preprocessing: Preprocessing, progress: StepProgress) -> CheckedData:
        """Read every image and mask, and look closely at a sample."""
        del preprocessing
        issues = check_before_training(
            self.options.data_dir,
            tissues=tissues_for(thoracic=self.options.thoracic),
            allow_scaled=self.options.allow_scaled_images,
            progress=progress,
        )
        return CheckedData(issues)

    def card(self) -> ModelCard:
        """Describe the chosen network."""
        tissues = tissues_for(thoracic=self.options.thoracic)
        values = self.options.network_values() | {
            "num_classes": len(tissues) + 1,
            "activation": self.options.activation,
        }
        return ModelCard(
            task="segmentation",
            architecture=self.options.arch,
            config=network_config(self.options.arch, values),
            preprocessing=SEGMENTATION_PREPROCESSING,
            tissues=tissues,
        )

    def load(self, path: Path) -> Model:
        """Read a segmentation model."""
        return load_model(path, task="segmentation", **_if_keras(path, self._left_open()))

    def _left_open(self) -> dict[str, Any]:
        return {"activation": self.options.activation}

    def splits(
        self, preprocessing: Preprocessing, decoded: Mapping[str, str] = NONE_DECODED
    ) -> Splits:
        """Map the arrays."""
        del decoded

        def dataset(split: SegmentationSplit) -> SegmentationDataset:
            return SegmentationDataset(split, preprocessing)

        return _splits(lambda name: open_segmentation_split(self.options.data_dir, name), dataset)

    def files(self) -> list[Path]:
        """Return the arrays that are there, and what declares their labels."""
        return segmentation_files(self.options.data_dir)


@dataclass(frozen=True)
class SliceSelectionRecipe(Recipe):
    """Distances from vertebral levels."""

    module: ClassVar[type[TrainingModule]] = SliceSelectionModule
    options: SliceSelectionOptions

    def with_name(self, name: str) -> Self:
        """Name the run."""
        return replace(self, options=replace(self.options, name=name))

    def check(self, preprocessing: Preprocessing, progress: StepProgress) -> CheckedData:
        """Read every slice and table, look closely at a sample, and keep decoded slices."""
        survey = survey_slice_set(
            self.options.data_dir,
            levels=self.options.levels,
            size=preprocessing.size,
            cache=self._cache(),
            progress=progress,
        )
        decoded = {name: file.key for name, file in survey.decoded.items()}
        errors = errors_of_a_sample(self.options.data_dir, survey.splits, self.options.levels)
        return CheckedData((*survey.issues, *errors), survey.contents, decoded)

    def _cache(self) -> GreyCache:
        folder = self.options.cache_dir or default_cache_dir()
        return GreyCache(folder, round(self.options.cache_gb * BYTES_PER_GB))

    def card(self) -> ModelCard:
        """Describe the chosen network."""
        values = self.options.network_values() | {
            "num_outputs": len(self.options.levels),
            "activation": self.options.activation,
        }
        if "omit_batch_norm" in values:
            values["batch_norm"] = not values.pop("omit_batch_norm")
        return ModelCard(
            task="slice_selection",
            architecture=self.options.arch,
            config=network_config(self.options.arch, values),
            preprocessing=SLICE_SELECTION_PREPROCESSING,
            levels=self.options.levels,
            target_scale_mm=self.options.threshold,
        )

    def load(self, path: Path) -> Model:
        """Read a slice-selection model."""
        return load_model(path, task="slice_selection", **_if_keras(path, self._left_open()))

    def _left_open(self) -> dict[str, Any]:
        return {
            "activation": self.options.activation,
            "levels": self.options.levels,
            "target_scale_mm": self.options.threshold,
        }

    def splits(
        self, preprocessing: Preprocessing, decoded: Mapping[str, str] = NONE_DECODED
    ) -> Splits:
        """Open the tables; PNG files without decoded slices are decoded when they are needed."""
        folder, levels, cache = self.options.data_dir, self.options.levels, self._cache()

        def dataset(split: SliceSplit) -> SliceDataset:
            key = decoded.get(split.name)
            file = None if key is None else cache.find(key)
            return SliceDataset(split, preprocessing, decoded=file)

        return _splits(lambda name: open_slice_split(folder, name, levels), dataset)

    def files(self) -> list[Path]:
        """Return the tables that are there."""
        tables = (table_path(self.options.data_dir, name) for name in SPLITS)
        return [path for path in tables if path.exists()]


def recipe_for(options: RunOptions) -> Recipe:
    """Return the recipe of a task, by the kind of its options."""
    if isinstance(options, SegmentationOptions):
        return SegmentationRecipe(options)
    if isinstance(options, SliceSelectionOptions):
        return SliceSelectionRecipe(options)
    raise TypeError(f"no training takes {type(options).__name__}")


def _if_keras(path: Path, left_open: dict[str, Any]) -> dict[str, Any]:
    """Return what a Keras file leaves open; a model with a card is compared with the options."""
    return {} if path.is_dir() else left_open


def _splits(open_split: Callable[[str], T | None], dataset: Callable[[T], Any]) -> Splits:
    """Open the splits; those of training and validation are refused earlier if they are missing."""
    opened = {name: open_split(name) for name in SPLITS}
    made = {name: dataset(split) for name, split in opened.items() if split is not None}
    return Splits(train=made["train"], val=made["val"], test=made.get("test"))
