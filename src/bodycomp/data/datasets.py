"""Training sets as PyTorch map-style datasets: samples leave in the form that a network sees."""

from __future__ import annotations

import mmap
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, get_worker_info

from bodycomp.data.png import read_grey_png
from bodycomp.data.segmentation_set import SegmentationSplit
from bodycomp.data.slice_set import SliceSplit
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.resize import resize_grey, resize_labels

Sample = tuple[torch.Tensor, torch.Tensor]

DEFAULT_CACHE_BYTES: Final = 2**30


class SegmentationDataset(Dataset[Sample]):
    """Slices and masks of one split.

    An item is (image float32 (1, rows, columns) in [0, input_max], mask uint8 (rows, columns)),
    the image exactly as ``preprocessing.from_hu`` gives it for the analysis of a scan.

    Args:
        split: Mapped arrays; worker processes map them anew.
        preprocessing: The model's road from HU to network input.
    """

    def __init__(self, split: SegmentationSplit, preprocessing: Preprocessing) -> None:
        self.split = split
        self.preprocessing = preprocessing

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Sample:
        hu = np.ascontiguousarray(self.split.images[index, :, :, 0])
        image = self.preprocessing.from_hu(hu)
        labels = np.ascontiguousarray(self.split.masks[index, :, :, 0])
        mask = resize_labels(labels, self.preprocessing.size)
        # A mapped mask is read-only, which torch does not take; from_hu always makes a new array.
        return torch.from_numpy(image)[None], torch.from_numpy(np.array(mask))


class SliceDataset(Dataset[Sample]):
    """PNG slices of one split with their offsets from each level.

    An item is (image float32 (1, rows, columns) in [0, input_max], offsets_mm float32 (level,)
    with NaN where a level was not annotated).

    Args:
        split: The opened split.
        preprocessing: The model's road from HU to network input.
        cache_bytes: Memory for decoded slices of the network's size, 0 for none. Slices from the
            first on are kept as far as it reaches. Forked worker processes share it; workers
            that are started otherwise divide it.
    """

    def __init__(
        self,
        split: SliceSplit,
        preprocessing: Preprocessing,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        self.split = split
        self.preprocessing = preprocessing
        self._cache_bytes = cache_bytes
        self._cache: _GreyCache | None = self._new_cache(shares=1)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an index below {len(self)}, found {index}")
        grey = self._grey(index % len(self))
        image = self.preprocessing.scale_grey(grey)
        return torch.from_numpy(image)[None], torch.from_numpy(self.split.offsets_mm[index].copy())

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cache": None}

    def _grey(self, index: int) -> NDArray[np.uint8]:
        """Return a slice in the network's size, from memory if it was decoded before."""
        if self._cache is None:
            worker = get_worker_info()
            self._cache = self._new_cache(shares=worker.num_workers if worker else 1)
        kept = self._cache.get(index)
        if kept is not None:
            return kept
        grey = resize_grey(read_grey_png(self.split.png_paths[index]), self.preprocessing.size)
        self._cache.put(index, grey)
        return grey

    def _new_cache(self, *, shares: int) -> _GreyCache:
        limit = self._cache_bytes // shares
        return _GreyCache(len(self.split), self.preprocessing.size, limit)


class _GreyCache:
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
        if index >= self._slots or not self._filled[index]:
            return None
        return cast("NDArray[np.uint8]", self._images[index])

    def put(self, index: int, grey: NDArray[np.uint8]) -> None:
        if index < self._slots:
            self._images[index] = grey
            self._filled[index] = 1  # after the pixels, so that no process reads half an image
