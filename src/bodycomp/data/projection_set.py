"""The series of a slice-selection set as projections: what ``--arch projection`` learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from bodycomp.data.augmentation_options import AugmentationOptions
from bodycomp.data.datasets import RawBatch, Sample, SampleSet, SliceDataset
from bodycomp.data.layout import SERIES_COLUMN
from bodycomp.data.projection_variation import vary_projections
from bodycomp.data.series_heights import ascending_heights_mm, series_heights_mm
from bodycomp.data.slice_set import SliceSplit
from bodycomp.errors import TrainingSetError
from bodycomp.imaging.projection import COLUMNS, VIEWS, bone_share, project, row_heights

FEWEST_SLICES: Final = 4
"""A series of fewer slices teaches nothing of a spine."""


@dataclass(frozen=True, eq=False)
class ProjectedSeries:
    """One series.

    Attributes:
        slices: Indices of its slices in the split, from feet to head.
        z_mm: (slice,) their heights.
        rows: (view, row, column) projections, float16.
        offsets_mm: (row, level), NaN where not annotated.
    """

    slices: NDArray[np.intp]
    z_mm: NDArray[np.float64]
    rows: NDArray[np.float16]
    offsets_mm: NDArray[np.float32]

    @property
    def row_z_mm(self) -> NDArray[np.float64]:
        """(row,), heights of the rows."""
        return row_heights(self.z_mm)


class ProjectionDataset(SampleSet):
    """Whole series of one split; a sample is a series, with an offset from each level per row.

    An item is (projections float32 (view, row, column), offsets_mm float32 (row, level), NaN
    where a level was not annotated). Projections are made once and kept: 1 kB per slice.

    Raises:
        TrainingSetError: The table names no series, or none of enough slices with offsets.
    """

    def __init__(self, slices: SliceDataset, data_dir: Path) -> None:
        self.slices = slices
        self.preprocessing = slices.preprocessing
        self.series = tuple(_series_of(slices, data_dir))

    @property
    def split(self) -> SliceSplit:
        """The slices that the series are made of."""
        return self.slices.split

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, index: int) -> Sample:
        images, offsets_mm = self.read([index])
        return images[0], offsets_mm[0]

    def read(self, indices: Sequence[int]) -> RawBatch:
        """Return projections (B, view, row, column) and offsets (B, row, level).

        Shorter series have empty rows above, with offsets NaN.
        """
        chosen = [self.series[index] for index in indices]
        rows = max(len(one.offsets_mm) for one in chosen)
        images = torch.zeros((len(chosen), len(VIEWS), rows, COLUMNS))
        offsets_mm = torch.full((len(chosen), rows, chosen[0].offsets_mm.shape[1]), torch.nan)
        for place, one in enumerate(chosen):
            count = len(one.offsets_mm)
            images[place, :, :count] = torch.from_numpy(one.rows.astype(np.float32))
            offsets_mm[place, :count] = torch.from_numpy(one.offsets_mm)
        return images, offsets_mm

    def varied(
        self, batch: RawBatch, generator: torch.Generator, options: AugmentationOptions
    ) -> Sample:
        """Return projections of bodies of another build, cut otherwise, and their offsets."""
        del options
        return vary_projections(*batch, generator)


def _series_of(slices: SliceDataset, data_dir: Path) -> list[ProjectedSeries]:
    split, where = slices.split, f"{data_dir}: meta/{slices.split.name}.csv"
    if split.series is None or not any(split.series):
        raise TrainingSetError(
            f"{where}: expected a column {SERIES_COLUMN}, found none with names",
            hint="--arch projection learns from whole series; 'bodycomp prepare' names them. "
            "Another --arch learns from single slices.",
        )
    names = np.asarray(split.series)
    found = []
    for name in dict.fromkeys(filter(None, split.series)):
        own = np.flatnonzero(names == name)
        heights, places_mm = series_heights_mm(split.offsets_mm[own])
        ascending, z_mm = ascending_heights_mm(heights)
        own = own[ascending]
        if len(own) < FEWEST_SLICES:
            continue
        rows = project(_Bones(slices, own), z_mm)
        offsets_mm = row_heights(z_mm)[:, None] - places_mm[None, :]
        found.append(
            ProjectedSeries(own, z_mm, rows.astype(np.float16), offsets_mm.astype(np.float32))
        )
    if not found:
        raise TrainingSetError(
            f"{where}: expected series of at least {FEWEST_SLICES} slices with offsets, found none",
            hint="--arch projection learns from whole series. Another --arch learns from single "
            "slices.",
        )
    return found


@dataclass(frozen=True, eq=False)
class _Bones:
    """Bones of some slices of a data set, made when they are asked for."""

    slices: SliceDataset
    own: NDArray[np.intp]

    def __call__(self, index: int) -> NDArray[np.float32]:
        preprocessing = self.slices.preprocessing
        gray, _ = self.slices.read([int(self.own[index])])
        image = preprocessing.scale_gray(gray.numpy()[0, 0]) / np.float32(preprocessing.input_max)
        return bone_share(image, preprocessing.window)
