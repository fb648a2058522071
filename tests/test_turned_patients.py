"""Patients in any position: the network sees the front on top, the mask lies where it belongs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from bodycomp.analysis.inference import NetworkSegmenter
from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.volume import Volume
from bodycomp.networks.checkpoint import Model, ModelCard
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.run import analyze_inputs
from support.annotation_files import small_phantom
from support.stand_ins import LevelAt

SIDE = 64
SIDES = 6
"""Columns left out on both sides."""

POSITIONS = {
    "supine": ((1, 0, 0, 0, 1, 0), "HFS"),
    "supine, feet first": ((1, 0, 0, 0, 1, 0), "FFS"),
    "prone": ((-1, 0, 0, 0, -1, 0), "HFP"),
    "prone, feet first": ((-1, 0, 0, 0, -1, 0), "FFP"),
    "left side": ((0, 1, 0, -1, 0, 0), "HFDL"),
    "right side": ((0, -1, 0, 1, 0, 0), "HFDR"),
    "left and right swapped": ((-1, 0, 0, 0, 1, 0), "HFS"),
    "front and back swapped": ((1, 0, 0, 0, -1, 0), "HFS"),
    "turned and swapped": ((0, 1, 0, 1, 0, 0), "HFS"),
}


class FrontRight(nn.Module):
    """Labels what is bright in the upper left quarter of the picture as muscle."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[np.ndarray] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(images.numpy().copy())
        muscle = torch.full_like(images[:, 0], -10.0)
        quarter = images[:, 0, : SIDE // 2, : SIDE // 2]
        muscle[:, : SIDE // 2, : SIDE // 2] = (quarter > 0.4).float() * 20 - 10
        return torch.stack([0 * muscle, muscle, 0 * muscle - 20, 0 * muscle - 20], dim=1)


@pytest.fixture(scope="module")
def supine() -> Volume:
    """A phantom about its third lumbar vertebra, front on top."""
    return small_phantom(slices=20, matrix=SIDE)[0]


def in_position(volume: Volume, orientation: tuple[int, ...]) -> Volume:
    """The same patient on a grid whose rows and columns run otherwise."""
    hu = np.ascontiguousarray(OrientationTransform.from_orientation(orientation).undo(volume.hu))
    x, y, z = volume.first_pixel_mm
    far_y, far_x = (np.array(volume.slice_shape) - 1) * volume.pixel_spacing_mm
    to_left, to_back = np.add(orientation[:3], orientation[3:])[:2]
    first = (x if to_left > 0 else x + far_x, y if to_back > 0 else y + far_y, z)
    return replace(volume, hu=hu, orientation=orientation, first_pixel_mm=first)


def without_sides(volume: Volume) -> Volume:
    """The same patient, standing upright, in a matrix with fewer columns."""
    x, y, z = volume.first_pixel_mm
    first = (x + SIDES * volume.pixel_spacing_mm[1], y, z)
    return replace(volume, hu=volume.hu[:, :, SIDES:-SIDES], first_pixel_mm=first)


def analyze(folder: Path, volume: Volume, position: str) -> tuple[np.ndarray, np.ndarray]:
    """What the network saw of the level, and where the labelled pixels lie in the patient."""
    write_ct_series(folder / "in", volume, SeriesHeader(seed="s", patient_position=position))
    card = ModelCard("segmentation", "unet", {}, Preprocessing((SIDE, SIDE)), ABDOMINAL_TISSUES)
    network = FrontRight()
    segmenter = NetworkSegmenter(Model(network, card, "0123456789abcdef"), device="cpu")
    level = LevelAt(float(volume.slice_z_mm[10]))
    options = AnalyzeOptions(
        inputs=(folder / "in",),
        models_dir=folder,
        out_dir=folder / "out",
        previews=False,
        workers=0,
    )
    report = analyze_inputs(options, analyzer=Analyzer(level, segmenter, AnalysisOptions()))
    image = nib.load(report.analyzed[0].folder / "labels.nii.gz")
    voxels = np.argwhere(np.asarray(image.dataobj) == 1)
    return network.seen[0], nib.affines.apply_affine(image.affine, voxels)


@pytest.mark.parametrize("name", ["left side", "turned and swapped"])
def test_a_turned_matrix_that_is_not_square_gives_the_same_picture_and_mask(
    tmp_path: Path, supine: Volume, name: str
) -> None:
    orientation, position = POSITIONS[name]
    narrow = without_sides(supine)
    seen, points_mm = analyze(tmp_path / "turned", in_position(narrow, orientation), position)
    seen_supine, points_supine_mm = analyze(tmp_path / "supine", supine, "HFS")

    np.testing.assert_array_equal(seen[..., SIDES:-SIDES], seen_supine[..., SIDES:-SIDES])
    assert not seen[..., :SIDES].any()
    inside = points_supine_mm[points_supine_mm[:, 0] <= points_mm[:, 0].max() + 1e-3]
    order, order_supine = (np.lexsort(points.T) for points in (points_mm, inside))
    np.testing.assert_allclose(points_mm[order], inside[order_supine], atol=1e-3)
    assert len(points_mm) > 100


@pytest.mark.parametrize("name", POSITIONS)
def test_every_position_gives_one_picture_and_one_mask(
    tmp_path: Path, supine: Volume, name: str
) -> None:
    orientation, position = POSITIONS[name]
    seen, points_mm = analyze(tmp_path / "turned", in_position(supine, orientation), position)
    seen_supine, points_supine_mm = analyze(tmp_path / "supine", supine, "HFS")

    np.testing.assert_array_equal(seen, seen_supine)
    order, order_supine = (np.lexsort(points.T) for points in (points_mm, points_supine_mm))
    np.testing.assert_allclose(points_mm[order], points_supine_mm[order_supine], atol=1e-3)
    assert len(points_mm) > 100
    middle_x, middle_y = points_supine_mm[:, :2].mean(axis=0)
    x, y, _ = supine.first_pixel_mm
    half = SIDE / 2 * supine.pixel_spacing_mm[0]
    assert middle_x > -(x + half)  # NIfTI's x points to the right: the patient's right
    assert middle_y > -(y + half)  # and its y to the front
