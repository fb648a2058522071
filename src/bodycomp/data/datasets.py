"""Training sets as PyTorch map-style datasets, and their batches as network input.

Single samples come in the form that a network sees; batches in the compact form of the files, which
becomes network input, varied or not, where the network is.
"""

from __future__ import annotations

import logging
import mmap
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, get_worker_info

from bodycomp.data.arrays import SampleFile
from bodycomp.data.augmentation import AugmentationOptions, augment_batch
from bodycomp.data.gray_cache import GrayFile
from bodycomp.data.png import read_gray_png
from bodycomp.data.segmentation_set import SegmentationSplit
from bodycomp.data.slice_set import SliceSplit
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.resize import resize_gray, resize_labels
from bodycomp.imaging.window import PNG_WHITE

log = logging.getLogger(__name__)

Sample = tuple[torch.Tensor, torch.Tensor]

RawBatch = tuple[torch.Tensor, torch.Tensor]
"""Images (B, 1, rows, columns) and truth (B, ...). The images' dtype says what they are: int16 HU,
uint8 windowed grey levels, or float32 for network input, which ``network_input`` makes of all.
"""


DEFAULT_CACHE_BYTES: Final = 2**30


class SampleSet(Dataset[Sample]):
    """What all data sets have in common.

    ``has_masks`` says whether the truth is masks, which move with the images.
    """

    preprocessing: Preprocessing
    has_masks: ClassVar[bool] = False

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""

    @abstractmethod
    def read(self, indices: Sequence[int]) -> RawBatch:
        """Return samples as compactly as their files hold them."""

    def varied(
        self, batch: RawBatch, generator: torch.Generator, options: AugmentationOptions
    ) -> Sample:
        """Turn a raw batch into varied network input and the truth that belongs to it."""
        return varied_input(batch, generator, options, self.preprocessing, has_masks=self.has_masks)


class SegmentationDataset(SampleSet):
    """Slices and masks of one split.

    An item is (image float32 (1, rows, columns) in [0, input_max], mask uint8 (rows, columns)),
    the image exactly as ``preprocessing.from_hu`` gives it for the analysis of a scan. Where some
    tissues of a sample were not labeled, its background has the label of ``background_or`` them.
    """

    has_masks = True

    def __init__(self, split: SegmentationSplit, preprocessing: Preprocessing) -> None:
        self.split = split
        self.preprocessing = preprocessing
        self._files: tuple[SampleFile, SampleFile] | None = None

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Sample:
        hu = np.ascontiguousarray(self.split.images[index, :, :, 0])
        image = self.preprocessing.from_hu(hu)
        labels = np.ascontiguousarray(self.split.labels(index))
        mask = resize_labels(labels, self.preprocessing.size)
        # A mapped mask is read-only, which torch does not take; from_hu always makes a new array.
        return torch.from_numpy(image)[None], torch.from_numpy(np.array(mask))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": None}

    def read(self, indices: Sequence[int]) -> RawBatch:
        """Return int16 HU where the file holds them in the network's size, else network input.

        Raises:
            TrainingSetError: A file cannot be read any more.
        """
        source, size = self.split.images, self.preprocessing.size
        if source.shape[1:3] != size or source.dtype != np.int16 or self.preprocessing.quantised:
            images, truth = zip(*(self[index] for index in indices), strict=True)
            return torch.stack(images), torch.stack(truth)
        if self._files is None:
            self._files = SampleFile(self.split.images), SampleFile(self.split.masks)
        raw = torch.empty((len(indices), 1, *size), dtype=torch.int16)
        masks = torch.empty((len(indices), *size), dtype=torch.uint8)
        for file, target in zip(self._files, (raw, masks), strict=True):
            file.read(indices, target.numpy())
        if self.split.backgrounds or self.split.tissues:
            for mask, index in zip(masks.numpy(), indices, strict=True):
                mask[...] = self.split.read_as(index, mask)
        return raw, masks


class GrayMemory:
    """The first images of a data set in anonymous memory that forked processes share.

    The slot is the index itself, so that no lock is needed; unused pages cost nothing.
    """

    def __init__(self, count: int, size: tuple[int, int], limit_bytes: int) -> None:
        pixels = size[0] * size[1]
        self._slots = min(count, limit_bytes // (pixels + 1))
        memory = mmap.mmap(-1, max(1, self._slots * (pixels + 1)))
        whole = np.frombuffer(memory, np.uint8)
        self._images = whole[: self._slots * pixels].reshape(self._slots, *size)
        self._filled = whole[self._slots * pixels :]

    def get(self, index: int) -> NDArray[np.uint8] | None:
        """Return an image that was put, or None."""
        if index >= self._slots or not self._filled[index]:
            return None
        return cast("NDArray[np.uint8]", self._images[index])

    def put(self, index: int, gray: NDArray[np.uint8]) -> None:
        """Keep an image if there is room for it."""
        if index < self._slots:
            self._images[index] = gray
            self._filled[index] = 1  # after the pixels, so that no process reads half an image


class SliceDataset(SampleSet):
    """PNG slices of one split with their offsets from each level.

    An item is (image float32 (1, rows, columns) in [0, input_max], offsets_mm float32 (level,) with
    NaN where a level was not annotated). Without ``decoded`` slices on disk, the first ones are
    kept in ``cache_bytes`` of memory, which forked worker processes share and others divide.
    """

    def __init__(
        self,
        split: SliceSplit,
        preprocessing: Preprocessing,
        *,
        decoded: GrayFile | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        self.split = split
        self.preprocessing = preprocessing
        fits = decoded is not None and (len(decoded), decoded.size) == (
            len(split),
            preprocessing.size,
        )
        self._decoded = decoded if fits else None
        self._cache_bytes = cache_bytes
        self._memory: GrayMemory | None = None
        if self._decoded is None:  # before workers are forked, so that they share it
            self._memory = self._new_memory(shares=1)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an index below {len(self)}, found {index}")
        gray, offsets_mm = self.read([index % len(self)])
        return torch.from_numpy(self.preprocessing.scale_gray(gray[0].numpy())), offsets_mm[0]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_memory": None}

    def read(self, indices: Sequence[int]) -> RawBatch:
        """Return grey levels in the network's size, and offsets in mm."""
        images = torch.empty((len(indices), 1, *self.preprocessing.size), dtype=torch.uint8)
        offsets_mm = torch.from_numpy(self.split.offsets_mm[list(indices)])
        grays = images.numpy()[:, 0]
        if not self._read_decoded(indices, grays):
            for index, gray in zip(indices, grays, strict=True):
                gray[...] = self._gray(index)
        return images, offsets_mm

    def _read_decoded(self, indices: Sequence[int], out: NDArray[np.uint8]) -> bool:
        if self._decoded is None:
            return False
        try:
            self._decoded.read(indices, out)
        except OSError as error:
            log.warning(
                "decoded slices can no longer be read from the cache (%s); the PNG files are "
                "decoded again",
                error,
            )
            self._decoded = None
            return False
        return True

    def _gray(self, index: int) -> NDArray[np.uint8]:
        """Return a slice in the network's size, from memory if it was decoded before."""
        if self._memory is None:
            worker = get_worker_info()
            self._memory = self._new_memory(shares=worker.num_workers if worker else 1)
        kept = self._memory.get(index)
        if kept is not None:
            return kept
        gray = resize_gray(read_gray_png(self.split.png_path(index)), self.preprocessing.size)
        self._memory.put(index, gray)
        return gray

    def _new_memory(self, *, shares: int) -> GrayMemory:
        limit = self._cache_bytes // shares
        return GrayMemory(len(self.split), self.preprocessing.size, limit)


def network_input(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Turn the images of a raw batch into network input, as ``Preprocessing`` does, bit for bit.

    (B, 1, rows, columns) images are int16 HU, uint8 gray levels, or float32 network input, which
    stays as it is; all become float32 in [0, input_max] on their device.
    """
    if images.dtype == torch.float32:
        return images
    # A divisor on the GPU: by a plain number PyTorch multiplies with the inverse, which rounds
    # differently.
    values = images.to(torch.float32)
    if images.dtype == torch.uint8:
        return values.mul_(_float32(preprocessing.input_max / PNG_WHITE, images.device))
    window = preprocessing.window
    values.sub_(_float32(window.low_hu, images.device))
    values.div_(_float32(window.width_hu, images.device)).clamp_(0, 1)
    return values.mul_(_float32(preprocessing.input_max, images.device))


def varied_input(
    batch: RawBatch,
    generator: torch.Generator,
    options: AugmentationOptions,
    preprocessing: Preprocessing,
    *,
    has_masks: bool,
) -> Sample:
    """Turn a raw batch into varied network input and the truth that belongs to it.

    The CPU ``generator`` in the same state gives the same draw on every device. Truth is masks (B,
    rows, columns) uint8, which move with the images, or anything that variation leaves alone.
    """
    raw, truth = batch
    masks = truth if has_masks else None
    plain = network_input(raw, preprocessing)
    white = preprocessing.input_max
    images, moved = augment_batch(plain, masks, generator, options, white=white)
    return images, truth if moved is None else moved


def _float32(value: float, device: torch.device) -> torch.Tensor:
    return torch.full((), value, dtype=torch.float32, device=device)
