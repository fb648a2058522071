"""From a seed to the two models that ship: sets, trainings, calibration, test, cards.

Every step leaves a file or a folder and is skipped where that is there, and a training resumes
where it was interrupted: the same command goes on until all is done, and ends with the same digests
on the same machine.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import safetensors.torch

import bodycomp
from bodycomp.anatomy import ABDOMINAL_TISSUES, ALL_TISSUES, PhantomAnatomy, Tissue
from bodycomp.cohort.level_set import (
    FINDER_LEVELS,
    FINDER_SIZE,
    TAUGHT_LEVELS,
    LevelSetOptions,
    write_level_set,
)
from bodycomp.data.label_declaration import declare_labels
from bodycomp.data.layout import images_path, table_path
from bodycomp.data.samples import MaskSample, mask_sample
from bodycomp.networks.chosen_levels import choose_levels
from bodycomp.networks.model_folder import (
    CARD_NAME,
    RUN_SUBFOLDER,
    WEIGHTS_NAME,
    card_text,
    read_model_files,
)
from bodycomp.networks.shipped import SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER
from bodycomp.storage import atomic_folder
from bodycomp.training.run_folder import RunFolder
from default_models.outline_masks import TRAINING_SCANS, outlined_slices
from default_models.person_levels import person_series
from default_models.segmentation_set import Patients, write_split

WORDS: Final = Path(__file__).parent / "words"
SEEDS: Final = {"train": 911, "val": 910, "test": 920}
LEVEL_SEEDS: Final = {"train": 930, "val": 931, "test": 77}
"""Each cohort has patients of its own."""

SEGMENTATION_OPTIONS: Final[dict[str, Any]] = {
    "arch": "patch_unet",
    "patch": 4,
    "compression_channels": (32, 64, 128, 256, 256),
    "decompression_channels": (256, 128, 64, 32),
    "batch_size": 4,
    "strong_augmentation": True,
    "hu_ranges": True,
    "copies": 2,
    "precision": "32",
}
"""Chosen for what 90 minutes on two cores teach; docs/default-models.md has the measurements."""

SURE: Final = 0.75
"""Confidence below which the default finder refuses a level rather than guesses."""

REAL_COPIES: Final = 24
"""How often an epoch shows each slice of a person: 5 % of all that it shows."""

SERIES_COPIES: Final = 40
"""The same of a person's series for the level finder: 5 %."""

LEVEL_OPTIONS: Final[dict[str, Any]] = {
    "arch": "projection",
    "levels": TAUGHT_LEVELS,
    "threshold": 4.0,
    "image_size": FINDER_SIZE[0],
    "batch_size": 4,
    "learning_rate": 2e-3,
    "precision": "32",
}
"""Whole series, 15 a second on one core; docs/default-models.md has the measurements."""


@dataclass(frozen=True)
class Recipe:
    """How much of everything.

    Attributes:
        folder: Where sets, runs and models lie.
        real: Folder of the scans that ``outlines/`` lists; None trains on synthetic patients alone.
        patients, val_patients, test_patients: For segmentation, three slices each.
        epochs: Of the segmentation.
        level_series, level_val_series, level_test_series, level_epochs: For the level finder.
        groups: Label groups of muscle, fat between muscles and vertebral bodies, too; then slices
            of people, whose muscle is not divided, train the level finder alone.
    """

    folder: Path
    real: Path | None = None
    patients: int = 2500
    val_patients: int = 20
    test_patients: int = 60
    epochs: int = 12
    level_series: int = 1000
    level_val_series: int = 48
    level_test_series: int = 80
    level_epochs: int = 40
    groups: bool = False

    def steps(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Yield what is to be done and how, in order."""
        yield "set of the segmentation", self.make_segmentation_set
        yield "set of the level finder", self.make_level_set
        yield "segmentation", self.train_segmentation
        yield "level finder", self.train_levels
        yield "models to ship", self.ship
        yield "numbers of the cards", self.test

    @property
    def tissues(self) -> tuple[Tissue, ...]:
        """What the segmentation model labels."""
        return ALL_TISSUES if self.groups else ABDOMINAL_TISSUES

    @property
    def segmentation_set(self) -> Path:
        """Slices with masks."""
        return self.folder / "segmentation-set"

    @property
    def test_set(self) -> Path:
        """Slices at mid-L3 of the held-out anatomy, with masks."""
        return self.folder / "test-set"

    @property
    def level_set(self) -> Path:
        """Slices with offsets."""
        return self.folder / "level-set"

    @property
    def level_test_set(self) -> Path:
        """Series of the held-out anatomy, with offsets."""
        return self.folder / "level-test-set"

    @property
    def runs(self) -> Path:
        """Runs of the two trainings."""
        return self.folder / "runs"

    @property
    def models(self) -> Path:
        """The pair that ships."""
        return self.folder / "default"

    def make_segmentation_set(self) -> None:
        """Render patients of varied anatomy, and of the held-out one to test on."""
        anatomies: dict[str, PhantomAnatomy]
        anatomies = {"val": "varied", "train": "varied", "test": "held-out"}
        counts = {"val": self.val_patients, "train": self.patients, "test": self.test_patients}
        for split, anatomy in anatomies.items():
            numbers, is_test = range(counts[split]), split == "test"
            folder = self.test_set if is_test else self.segmentation_set
            if not images_path(folder, split).exists():
                patients = Patients(anatomy, SEEDS[split], numbers, is_test, self.tissues)
                people = split == "train" and not self.groups
                real = real_samples(self.real) * REAL_COPIES if people else []
                write_split(folder, split, patients, real)
        keys = [tissue.key for tissue in self.tissues]
        declare_labels(self.segmentation_set, labeled={"train": keys, "val": keys})
        declare_labels(self.test_set, labeled={"test": keys})

    def make_level_set(self) -> None:
        """Render whole series of varied patients, and of held-out ones to test on."""
        anatomies: dict[str, PhantomAnatomy]
        anatomies = {"val": "varied", "train": "varied", "test": "held-out"}
        counts = {
            "val": self.level_val_series,
            "train": self.level_series,
            "test": self.level_test_series,
        }
        for split, anatomy in anatomies.items():
            folder = self.level_test_set if split == "test" else self.level_set
            if not table_path(folder, split).exists():
                seed = LEVEL_SEEDS[split]
                options = LevelSetOptions(folder, split, counts[split], seed, anatomy)
                people = person_series(self.real) * SERIES_COPIES if split == "train" else []
                write_level_set(options, people)

    def train_segmentation(self) -> None:
        """Train, or go on."""
        self._train(
            bodycomp.train_segmentation,
            self.segmentation_set,
            SEGMENTATION_FOLDER,
            epochs=self.epochs,
            tissues=[tissue.key for tissue in self.tissues] if self.groups else (),
            **SEGMENTATION_OPTIONS,
        )

    def train_levels(self) -> None:
        """Train, or go on; the confidence is calibrated at the end."""
        self._train(
            bodycomp.train_slice_selection,
            self.level_set,
            SLICE_SELECTION_FOLDER,
            epochs=self.level_epochs,
            **LEVEL_OPTIONS,
        )

    def _train(self, train: Callable[..., object], data: Path, name: str, **options: Any) -> None:
        run = RunFolder(self.runs / name)
        if (
            run.manifest.exists()
            and json.loads(run.manifest.read_text())["exit_state"] == "finished"
        ):
            return
        resume = run.last_checkpoint.exists()
        if not resume:  # ended before its first checkpoint
            shutil.rmtree(run.path, ignore_errors=True)
        train(data, self.runs, name=name, resume=resume, **options)

    def ship(self) -> None:
        """Copy the models with their words, weights in 16 bits: half of the bytes."""
        for name in (SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER):
            if not (self.models / name).exists():
                ship_model(self.runs / name / RUN_SUBFOLDER, self.models / name)
            # Repeated by every start: one that ended in between would leave a card without words.
            bodycomp.card(self.models / name, describe=WORDS / f"{name}.yaml")

    def test(self) -> None:
        """Evaluate on the held-out anatomy, and put the numbers into the card."""
        out = self.folder / "test"
        if not out.exists():
            bodycomp.evaluate(
                self.models,
                out,
                segmentation=self.test_set,
                slice_selection=self.level_test_set,
                split="test",
            )
        for name in (SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER):
            bodycomp.card(self.models / name, evaluation=out)


def real_samples(folder: Path | None) -> list[MaskSample]:
    """Return the slices of people that may train, with the masks of their outlines."""
    if folder is None:
        return []
    found = outlined_slices(folder, TRAINING_SCANS)
    return [mask_sample(volume, labels, 0) for _, volume, labels in found]


def ship_model(source: Path, target: Path) -> None:
    """Write what ships of a model, its weights of two and more dimensions rounded to 16 bits."""
    card, content, _ = read_model_files(source)
    weights = safetensors.torch.load(content)
    if card.levels:
        card, weights = choose_levels(card, weights, FINDER_LEVELS)
        # Its slices were rendered in the network's pixels, before the window clipped bone.
        seen = replace(card.preprocessing, quantised=False)
        card = replace(card, least_confidence=SURE, preprocessing=seen)
    halved = {
        name: weight.half() if weight.is_floating_point() and weight.ndim > 1 else weight
        for name, weight in weights.items()
    }
    with atomic_folder(target) as folder:
        (folder / WEIGHTS_NAME).write_bytes(safetensors.torch.save(halved))
        (folder / CARD_NAME).write_text(card_text(card), encoding="utf-8")
