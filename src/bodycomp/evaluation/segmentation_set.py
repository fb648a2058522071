"""A segmentation model on a training set's split, slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.inference import NetworkSegmenter
from bodycomp.anatomy import ABDOMINAL_TISSUES, ALL_TISSUES, MUSCLE, NOT_ANNOTATED_LABEL, Tissue
from bodycomp.data.arrays import read_samples
from bodycomp.data.folds import FOLD_SPLITS, fold_folder, folds_of_training
from bodycomp.data.issues import as_error
from bodycomp.data.layout import SPLITS, images_path, masks_path
from bodycomp.data.manifest import read_split_rows
from bodycomp.data.segmentation_set import (
    SAMPLE_SHAPE,
    SplitHeaders,
    inspect_segmentation_split,
    relabeled,
)
from bodycomp.digests import SHORT
from bodycomp.errors import InputNotFoundError, TrainingSetError, UsageError
from bodycomp.evaluation.slice_masks import SliceMasks
from bodycomp.imaging.volume import Volume
from bodycomp.networks.card import ModelCard
from bodycomp.networks.checkpoint import load_model
from bodycomp.networks.model_folder import read_model_files
from bodycomp.networks.names import AUTO_ENGINE

_BATCH: Final = 8
_LABELS: Final = np.array([0, *(tissue.label for tissue in ABDOMINAL_TISSUES)])
_ALL_LABELS: Final = np.array([0, *(tissue.label for tissue in ALL_TISSUES)])
_SPACING_COLUMNS: Final = ("row_spacing_mm", "column_spacing_mm")


@dataclass(frozen=True, slots=True)
class SampleOrigin:
    """Whose sample it is, and the size of its pixels; None where no manifest says so."""

    patient: str | None = None
    pixel_spacing_mm: tuple[float, float] | None = None


def read_origins(data_dir: Path, split: str, count: int) -> list[SampleOrigin]:
    """Read what the manifest beside a split says of its samples.

    Raises:
        TrainingSetError: The manifest is damaged or lists another number of samples.
    """
    rows = read_split_rows(data_dir, split, count)
    if rows is None:
        return [SampleOrigin()] * count
    spacing_mm = np.full((count, 2), np.nan)
    if all(name in rows for name in _SPACING_COLUMNS):
        spacing_mm = np.stack([rows.numbers(name) for name in _SPACING_COLUMNS], axis=1)
    return [
        SampleOrigin(patient or None, (row_mm, column_mm) if row_mm > 0 and column_mm > 0 else None)
        for patient, (row_mm, column_mm) in zip(
            rows.texts("patient"), spacing_mm.tolist(), strict=True
        )
    ]


@dataclass(frozen=True, eq=False)
class SegmentedSet:
    """One split with masks by a model; iterating runs the network, few samples at once.

    Attributes:
        chosen: Indices of the samples that take part; None for all.
    """

    split: str
    headers: SplitHeaders
    origins: Sequence[SampleOrigin]
    segmenter: NetworkSegmenter = field(repr=False)
    chosen: Sequence[int] | None = None

    @property
    def tissues(self) -> tuple[Tissue, ...]:
        """What the model labels."""
        return self.segmenter.tissues

    @property
    def card(self) -> ModelCard:
        """The model's."""
        return self.segmenter.card

    @property
    def digest(self) -> str:
        """The model's short digest."""
        return self.segmenter.digest

    @property
    def sizes(self) -> dict[str, int]:
        """Split -> number of its samples."""
        return {self.split: self.headers.images.shape[0]}

    @property
    def indices(self) -> Sequence[int]:
        """Indices of the samples that take part, in order."""
        return range(self.headers.images.shape[0]) if self.chosen is None else self.chosen

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[SliceMasks]:
        """Yield every sample, in order.

        Raises:
            TrainingSetError: A mask holds unknown labels, or an image NaN or infinity.
            ModelError: The network gave something other than numbers.
        """
        for start in range(0, len(self), _BATCH):
            some = self.indices[start : start + _BATCH]
            images, masks = self._read(some)
            # Slices of a set are what networks see, square in mm: only their number matters here.
            volume = Volume(images, (1.0, 1.0), np.arange(len(images), dtype=np.float64))
            found = self.segmenter(volume, range(len(images)))
            for place, (index, truth) in enumerate(zip(some, masks, strict=True)):
                yield SliceMasks(
                    source=self.split,
                    index=index,
                    patient=self.origins[index].patient,
                    mask=found[place],
                    truth=truth,
                    pixel_spacing_mm=self.origins[index].pixel_spacing_mm,
                    hu=images[place],
                )

    def _read(self, indices: Sequence[int]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Return (sample, row, column) HU, as int16 or float32, and labels."""
        shape = (len(indices), *SAMPLE_SHAPE[:2])
        first, end = indices[0], indices[-1] + 1
        spans = [(first, end)] if end - first == len(indices) else [(i, i + 1) for i in indices]
        images, masks = (
            np.concatenate([read_samples(header, *span) for span in spans]).reshape(shape)
            for header in (self.headers.images, self.headers.masks)
        )
        for index, image, mask in zip(indices, images, masks, strict=True):
            self._check(index, image, mask)
            background = self.headers.backgrounds[index] if self.headers.backgrounds else 0
            mask[...] = relabeled(mask, self.headers.tissues, background)
        return images if images.dtype == np.int16 else images.astype(np.float32), masks

    def _check(self, index: int, image: NDArray[Any], mask: NDArray[np.uint8]) -> None:
        known = _LABELS if self.headers.tissues is None else _ALL_LABELS
        wrong = mask[mask > known[-1]]
        if self.headers.has_not_annotated:
            wrong = wrong[wrong != NOT_ANNOTATED_LABEL]
        if wrong.size:
            raise TrainingSetError(
                f"{self.headers.masks.path}, sample {index}: expected labels "
                f"{', '.join(map(str, known))}, found {int(wrong.max())}",
                hint="bodycomp validate lists all that is wrong with a set.",
            )
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            raise TrainingSetError(
                f"{self.headers.images.path}, sample {index}: expected HU, found NaN or infinity",
                hint="bodycomp validate lists all that is wrong with a set.",
            )


def open_segmented_set(
    model: Path, data_dir: Path, split: str, *, device: str = "auto", engine: str = AUTO_ENGINE
) -> SegmentedSet:
    """Open a model and a split; nothing is computed before the first sample.

    Patients and the size of pixels come from ``manifest.csv`` if there is one; without it areas
    and distances in mm are undefined.

    ``model`` is a model folder, run folder or Keras file.

    Raises:
        InputNotFoundError: The model or the split is not there.
        ModelError: It is no segmentation model, or damaged.
        TrainingSetError: A file of the split cannot be used.
        UsageError: The split is unknown, the device is not there, or the engine does not run the
            model on it.
    """
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}", hint=f"Splits are {', '.join(SPLITS)}.")
    return _opened(model, data_dir, split, _headers(data_dir, split), device=device, engine=engine)


@dataclass(frozen=True, eq=False)
class SegmentedFolds:
    """The samples of train and val, each with the mask of the fold that did not learn from it.

    Attributes:
        parts: A fold's share of a split, each.
        digest: Of the model that the training made of all folds.
    """

    parts: tuple[SegmentedSet, ...]
    digest: str

    @property
    def tissues(self) -> tuple[Tissue, ...]:
        """What the models label."""
        return self.parts[0].tissues

    @property
    def card(self) -> ModelCard:
        """That of the first fold's model."""
        return self.parts[0].card

    @property
    def origins(self) -> list[SampleOrigin]:
        """Of all samples."""
        return [part.origins[index] for part in self.parts for index in part.indices]

    @property
    def sizes(self) -> dict[str, int]:
        """Split -> number of its samples."""
        return {split: n for part in self.parts for split, n in part.sizes.items()}

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[SliceMasks]:
        """Yield every sample, fold by fold; raises as ``SegmentedSet``."""
        return chain.from_iterable(self.parts)


def open_segmented_folds(
    run: Path, data_dir: Path, *, device: str = "auto", engine: str = AUTO_ENGINE
) -> SegmentedFolds:
    """Open the models of a training with folds and the samples that each of them held out.

    Raises as ``open_segmented_set``, and:

    Raises:
        UsageError: ``run`` is no training with folds, or one on another set.
    """
    headers = {split: _headers(data_dir, split) for split in FOLD_SPLITS}
    sizes = {split: own.images.shape[0] for split, own in headers.items()}
    folds = folds_of_training(data_dir, sizes, run)
    parts = [
        replace(
            _opened(
                *(fold_folder(run, fold), data_dir, split, headers[split]),
                device=device,
                engine=engine,
            ),
            chosen=np.flatnonzero(folds.of_sample[split] == fold).tolist(),
        )
        for fold in range(1, folds.count + 1)
        for split in FOLD_SPLITS
    ]
    digest = read_model_files(run)[2][:SHORT]
    return SegmentedFolds(tuple(part for part in parts if len(part)), digest)


def _headers(
    data_dir: Path, split: str, tissues: Sequence[Tissue] = ABDOMINAL_TISSUES
) -> SplitHeaders:
    headers, issues = inspect_segmentation_split(data_dir, split, tissues)
    if issues:
        raise as_error(issues[0], data_dir / issues[0].where)
    if headers is None:
        names = " and ".join(path(data_dir, split).name for path in (images_path, masks_path))
        raise InputNotFoundError(
            f"expected {names} in {data_dir}, found neither",
            hint=f"Choose another split of {', '.join(SPLITS)}.",
        )
    return headers


def _opened(
    model: Path, data_dir: Path, split: str, headers: SplitHeaders, *, device: str, engine: str
) -> SegmentedSet:
    origins = read_origins(data_dir, split, headers.images.shape[0])
    segmenter = NetworkSegmenter(
        load_model(model, task="segmentation"), device=device, batch_size=_BATCH, engine=engine
    )
    is_usual = MUSCLE in segmenter.tissues and {*segmenter.tissues} <= {*ABDOMINAL_TISSUES}
    own = headers if is_usual else _headers(data_dir, split, segmenter.tissues)
    return SegmentedSet(split, own, origins, segmenter)
