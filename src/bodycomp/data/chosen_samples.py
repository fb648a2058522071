"""Samples chosen from several data sets, as one data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from bodycomp.data.augmentation_options import AugmentationOptions
from bodycomp.data.datasets import RawBatch, Sample, SampleSet, SliceDataset, network_input
from bodycomp.data.slice_set import SliceSplit


class ChosenSamples(SampleSet):
    """Samples of data sets with one preprocessing, in an order of their own.

    Args:
        sets: Name -> data set.
        places: Name and index of each sample.
        patient, series: Of each sample, if they are known.
    """

    def __init__(
        self,
        sets: Mapping[str, SampleSet],
        places: Sequence[tuple[str, int]],
        *,
        patient: tuple[str, ...] | None = None,
        series: tuple[str, ...] | None = None,
    ) -> None:
        self._sets, self._places = dict(sets), list(places)
        self.preprocessing = next(iter(sets.values())).preprocessing
        self.patient, self.series = patient, series

    @property
    def sets(self) -> tuple[SampleSet, ...]:
        """The data sets that samples are chosen from."""
        return tuple(self._sets.values())

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        name, place = self._places[index]
        sample: Sample = self._sets[name][place]
        return sample

    def read(self, indices: Sequence[int]) -> RawBatch:
        """Return samples as their sets do; as network input where the sets' files differ."""
        found: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        for name, own in self._sets.items():
            wanted = [at for at, index in enumerate(indices) if self._places[index][0] == name]
            if wanted:
                batch = own.read([self._places[indices[at]][1] for at in wanted])
                found |= dict(zip(wanted, zip(*batch, strict=True), strict=True))
        images = [found[at][0] for at in range(len(indices))]
        if len({image.dtype for image in images}) > 1:
            images = [network_input(image[None], self.preprocessing)[0] for image in images]
        return torch.stack(images), torch.stack([found[at][1] for at in range(len(indices))])

    def varied(
        self, batch: RawBatch, generator: torch.Generator, options: AugmentationOptions
    ) -> Sample:
        """Turn a raw batch into varied network input as the sets do."""
        return self.sets[0].varied(batch, generator, options)


class ChosenSlices(SliceDataset):
    """Slices of several splits as one split; arguments as for ``ChosenSamples``."""

    def __init__(
        self,
        name: str,
        sets: Mapping[str, SliceDataset],
        places: Sequence[tuple[str, int]],
        *,
        patient: tuple[str, ...] | None = None,
        series: tuple[str, ...] | None = None,
    ) -> None:
        self._chosen = ChosenSamples(sets, places)
        self.preprocessing = self._chosen.preprocessing
        offsets_mm = np.stack([sets[split].split.offsets_mm[index] for split, index in places])
        folder = next(iter(sets.values())).split.folder.parent
        self.split = SliceSplit(name, folder, offsets_mm, patient, series)

    def read(self, indices: Sequence[int]) -> RawBatch:
        """Return grey levels in the network's size, and offsets in mm."""
        return self._chosen.read(indices)
