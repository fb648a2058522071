"""A segmentation model against a training set's split, slice by slice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.segmentation import NetworkSegmenter
from bodycomp.anatomy import ABDOMINAL_TISSUES, NOT_ANNOTATED_LABEL, Tissue
from bodycomp.data.arrays import read_samples
from bodycomp.data.issues import as_error
from bodycomp.data.layout import SPLITS, images_path, masks_path
from bodycomp.data.segmentation_set import SAMPLE_SHAPE, SplitHeaders, inspect_segmentation_split
from bodycomp.errors import InputNotFoundError, TrainingSetError, UsageError
from bodycomp.evaluation.sample_origin import SampleOrigins, read_origins
from bodycomp.evaluation.slice_records import SliceCase, SliceRecord, compare_cases
from bodycomp.imaging.volume import Volume
from bodycomp.networks.checkpoint import load_model
from bodycomp.networks.names import AUTO_ENGINE

_BATCH: Final = 8
_LABELS: Final = np.array([0, *(tissue.label for tissue in ABDOMINAL_TISSUES)])


@dataclass(frozen=True, eq=False)
class SegmenterRun:
    """A model's agreement with the truth of one split; iterating runs the network once.

    Attributes:
        tissues: What the model labels and what is compared.
        model: Digest of the weights.
        runs_as: How the network is run, in words.
        split: The split.
        patients_known: Whether a manifest says whose the samples are.
        spacing_known: Whether a manifest states the size of pixels.
    """

    tissues: tuple[Tissue, ...]
    model: str
    runs_as: str
    split: str
    patients_known: bool
    spacing_known: bool
    _samples: _Samples = field(repr=False)
    _segmenter: NetworkSegmenter = field(repr=False)

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[SliceRecord]:
        """Yield a record for every sample with an annotated pixel, in order.

        Raises:
            TrainingSetError: A mask holds unknown labels, or an image NaN or infinity.
            ModelError: The network gave something other than numbers.
        """
        return compare_cases(self._cases(), self.tissues)

    def _cases(self) -> Iterator[SliceCase]:
        samples = self._samples
        for start in range(0, len(samples), _BATCH):
            images, masks = samples.read(start, min(start + _BATCH, len(samples)))
            # Slices of a set are what networks see, square in mm: only their number matters here.
            volume = Volume(images, (1.0, 1.0), np.arange(len(images), dtype=np.float64))
            found = self._segmenter(volume, range(len(images)))
            for place, truth in enumerate(masks):
                yield SliceCase(
                    source=self.split,
                    index=start + place,
                    patient=samples.origins.patient(start + place),
                    mask=found[place],
                    truth=truth,
                    pixel_spacing_mm=samples.origins.pixel_spacing_mm(start + place),
                    hu=images[place],
                )


def evaluate_segmenter(
    model: Path, data_dir: Path, split: str, *, device: str = "auto", engine: str = AUTO_ENGINE
) -> SegmenterRun:
    """Open a model and a split to compare them; nothing is computed before the first record.

    Samples are read in small batches, so that memory does not grow with their number. Patients
    and the size of pixels come from ``manifest.csv`` if there is one; without it areas and
    distances in mm are undefined.

    Args:
        model: Model folder, run folder or Keras file of a segmentation model.
        data_dir: Segmentation training set.
        split: One of ``data.naming.SPLITS``.
        device: "auto", "cpu", "cuda" or "cuda:1".
        engine: One of ``networks.names.ENGINES``.

    Raises:
        InputNotFoundError: The model or the split is not there.
        ModelError: It is no segmentation model, or damaged.
        TrainingSetError: A file of the split cannot be used.
        UsageError: The split is unknown, the device is not there, or the engine does not run the
            model on it.
    """
    samples = _open_samples(data_dir, split)
    segmenter = NetworkSegmenter(
        load_model(model, task="segmentation"), device=device, batch_size=_BATCH, engine=engine
    )
    return SegmenterRun(
        tissues=segmenter.tissues,
        model=segmenter.digest,
        runs_as=segmenter.runs_as,
        split=split,
        patients_known=samples.origins.patients is not None,
        spacing_known=samples.origins.spacing_mm is not None,
        _samples=samples,
        _segmenter=segmenter,
    )


@dataclass(frozen=True, eq=False)
class _Samples:
    """Images and masks of a split, read in pieces."""

    headers: SplitHeaders
    origins: SampleOrigins

    def __len__(self) -> int:
        return self.headers.images.shape[0]

    def read(self, start: int, stop: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Return (sample, row, column) HU, as int16 or float32, and labels."""
        shape = (stop - start, *SAMPLE_SHAPE[:2])
        images = read_samples(self.headers.images, start, stop).reshape(shape)
        masks = read_samples(self.headers.masks, start, stop).reshape(shape)
        for place, (image, mask) in enumerate(zip(images, masks, strict=True)):
            self._check(start + place, image, mask)
        return images if images.dtype == np.int16 else images.astype(np.float32), masks

    def _check(self, index: int, image: NDArray[Any], mask: NDArray[np.uint8]) -> None:
        wrong = mask[mask > _LABELS[-1]]
        if self.headers.has_not_annotated:
            wrong = wrong[wrong != NOT_ANNOTATED_LABEL]
        if wrong.size:
            raise TrainingSetError(
                f"{self.headers.masks.path}, sample {index}: expected labels "
                f"{', '.join(map(str, _LABELS))}, found {int(wrong.max())}",
                hint="bodycomp validate lists all that is wrong with a set.",
            )
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            raise TrainingSetError(
                f"{self.headers.images.path}, sample {index}: expected HU, found NaN or infinity",
                hint="bodycomp validate lists all that is wrong with a set.",
            )


def _open_samples(data_dir: Path, split: str) -> _Samples:
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}", hint=f"Splits are {', '.join(SPLITS)}.")
    headers, issues = inspect_segmentation_split(data_dir, split)
    if issues:
        raise as_error(issues[0], data_dir / issues[0].where)
    if headers is None:
        names = " and ".join(path(data_dir, split).name for path in (images_path, masks_path))
        raise InputNotFoundError(
            f"expected {names} in {data_dir}, found neither",
            hint=f"Choose another split of {', '.join(SPLITS)}.",
        )
    return _Samples(headers, read_origins(data_dir, split, headers.images.shape[0]))
