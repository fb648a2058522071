"""Whole series as samples: sorted by height, padded, and varied without losing their levels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bodycomp.data.augmentation_options import AugmentationOptions
from bodycomp.data.datasets import SliceDataset
from bodycomp.data.projection_set import ProjectionDataset
from bodycomp.data.slice_set import open_slice_split
from bodycomp.data.writers import SliceWriter
from bodycomp.errors import TrainingSetError
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.projection import COLUMNS, VIEWS

SIDE, STEP_MM = 32, 3.0
PREPROCESSING = Preprocessing((SIDE, SIDE), quantised=True)
BRIGHT = 255
SPINE, MIDDLE = slice(13, 19), slice(15, 17)


def write_series(folder: Path, counts: dict[str, int], *, level_at: int = 10) -> Path:
    """Write series, slices in no order; L3 is where the spine is broad, L5 60 mm below."""
    rng = np.random.default_rng(0)
    with SliceWriter(folder, "train", ("L3", "L5"), ("SeriesInstanceUID",)) as writer:
        for name, count in counts.items():
            for index in rng.permutation(count).tolist():
                gray = np.full((SIDE, SIDE), 90, np.uint8)
                gray[:, SPINE if index == level_at else MIDDLE] = BRIGHT
                offset_mm = (index - level_at) * STEP_MM
                offsets = {"L3": offset_mm, "L5": offset_mm + 60.0}
                writer.append(gray, offsets, {"SeriesInstanceUID": name})
    return folder


def projections(folder: Path) -> ProjectionDataset:
    split = open_slice_split(folder, "train", ("L3", "L5"))
    assert split is not None
    return ProjectionDataset(SliceDataset(split, PREPROCESSING), folder)


def test_series_are_sorted_by_height_and_padded_above(tmp_path: Path) -> None:
    found = projections(write_series(tmp_path, {"a": 20, "b": 30}))
    images, offsets_mm = found.read([0, 1])
    assert images.shape == (2, len(VIEWS), 30, COLUMNS)
    assert images[:, 0, :, SPINE.start * COLUMNS // SIDE].argmax(dim=1).tolist() == [10, 10]
    assert offsets_mm[1, :, 0].tolist() == [(row - 10) * STEP_MM for row in range(30)]
    assert offsets_mm[0, :20, 1].tolist() == [(row - 10) * STEP_MM + 60 for row in range(20)]
    assert offsets_mm[0, 20:].isnan().all()
    assert not images[0, :, 20:].any()


def test_series_of_few_slices_and_slices_without_a_series_are_left_out(tmp_path: Path) -> None:
    found = projections(write_series(tmp_path, {"a": 20, "short": 3, "": 20}, level_at=1))
    assert [len(series.slices) for series in found.series] == [20]


def test_a_set_that_names_no_series_is_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = write_series(tmp_path, {"": 20})
    with pytest.raises(TrainingSetError, match="SeriesInstanceUID") as caught:
        projections(folder)
    assert "Another --arch" in (caught.value.hint or "")


def test_variation_keeps_levels_where_they_are_seen(tmp_path: Path) -> None:
    """The row where the spine is broad stays that of L3, in bodies stretched, tilted and cut."""
    found = projections(write_series(tmp_path, {"a": 60}, level_at=30))
    batch = found.read([0] * 40)
    images, offsets_mm = found.varied(
        batch, torch.Generator().manual_seed(5), AugmentationOptions()
    )
    assert images.dtype == torch.float32
    apart_mm, pitch_mm = [], []
    for image, offset_mm in zip(images, offsets_mm, strict=True):
        bone = image[0].mean(dim=1)
        if offset_mm[bone.argmax(), 0].isnan() or offset_mm[:, 0].nan_to_num(99).abs().min() > 3:
            continue  # L3 was cut off
        apart_mm.append(abs(float(offset_mm[bone.argmax(), 0])))
        row = int((~offset_mm[:, 0].isnan()).nonzero()[0])
        pitch_mm.append(float(offset_mm[row, 1] - offset_mm[row, 0]))
    assert len(apart_mm) > 20
    assert np.median(apart_mm) < 2
    assert np.mean(np.array(apart_mm) < 4) > 0.7  # clutter may be brighter
    assert 40 < min(pitch_mm) < 57
    assert 63 < max(pitch_mm) < 85


def test_the_same_generator_gives_the_same_variation(tmp_path: Path) -> None:
    found = projections(write_series(tmp_path, {"a": 30, "b": 25}))
    varied = [
        found.varied(found.read([0, 1]), torch.Generator().manual_seed(7), AugmentationOptions())
        for _ in range(2)
    ]
    torch.testing.assert_close(varied[0], varied[1], rtol=0, atol=0, equal_nan=True)
