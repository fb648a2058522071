"""Label maps in any order of axes are turned onto the scan; what does not land on it is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycomp.annotation.grid import align_grid, place_label_map
from bodycomp.annotation.masks import read_masks
from bodycomp.errors import SeriesError
from bodycomp.imaging.grid import Grid
from bodycomp.imaging.label_map import LabelMap
from bodycomp.imaging.volume import Volume
from support.annotation_files import (
    TISSUES,
    Case,
    dicom_case,
    dicom_seg,
    every_layout,
    index_to_lps,
    nifti_map,
    nrrd_map,
    rtstruct,
    save_nifti,
    save_nrrd,
    slice_outlines,
)

HU = np.random.default_rng(11).integers(-1024, 900, (12, 9, 11)).astype(np.int16)
LABELS = np.random.default_rng(12).integers(0, 4, HU.shape).astype(np.uint8)
VOLUME = Volume(
    HU, (0.75, 0.5), -300.0 + 5.0 * np.arange(12), first_pixel_mm=(-40.25, -120.5, -300.0)
)
TILT = math.radians(10)
ORIENTATIONS = {
    "supine": (1, 0, 0, 0, 1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "turned": (0, 1, 0, 1, 0, 0),
    "mirrored": (-1, 0, 0, 0, 1, 0),
    "oblique": (1, 0, 0, 0, math.cos(TILT), math.sin(TILT)),
}
LAYOUTS = every_layout(LABELS.transpose(2, 1, 0), index_to_lps(VOLUME))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return dicom_case(tmp_path_factory.mktemp("small") / "ct", VOLUME, LABELS)


@pytest.mark.parametrize(
    ("voxels", "affine"), [x[1:] for x in LAYOUTS], ids=[x[0] for x in LAYOUTS]
)
@pytest.mark.parametrize(("save", "name"), [(save_nifti, "m.nii"), (save_nrrd, "m.nrrd")])
def test_all_48_layouts_of_a_label_map_give_the_same_labels(
    tmp_path: Path, small: Case, voxels: np.ndarray, affine: np.ndarray, save: Callable, name: str
) -> None:
    path = save(tmp_path / name, voxels, affine)
    np.testing.assert_array_equal(read_masks([path], small.scan, TISSUES).labels, LABELS)


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_masks_of_scans_in_any_orientation(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    """SEG, RTSTRUCT, NIfTI and NRRD of one scan agree, however its pixels are turned."""
    rng = np.random.default_rng(13)
    labels = np.kron(rng.integers(0, 4, (12, 3, 4)), np.ones((1, 4, 4))).astype(np.uint8)
    hu = rng.integers(-1024, 900, labels.shape).astype(np.int16)
    volume = replace(VOLUME, hu=hu, orientation=orientation)
    case = dicom_case(tmp_path / "ct", volume, labels)
    names = {1: "muscle", 2: "subcutaneous_fat", 3: "visceral_fat"}
    regions = {name: slice_outlines(labels, k, case.scan.volume) for k, name in names.items()}
    for path in (
        dicom_seg(tmp_path / "seg", labels, case.scan.files),
        rtstruct(tmp_path / "rs", regions, case.scan.files, decimals=3),
        nifti_map(tmp_path / "m.nii", labels, case.scan.volume),
        nrrd_map(tmp_path / "m.nrrd", labels, case.scan.volume),
    ):
        np.testing.assert_array_equal(read_masks([path], case.scan, TISSUES).labels, labels)


def moved(x: float, y: float, z: float) -> np.ndarray:
    affine = index_to_lps(VOLUME)
    affine[:3, 3] += (x, y, z)
    return affine


def turned(degrees: float) -> np.ndarray:
    angle = math.radians(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    return turn @ index_to_lps(VOLUME)


REFUSED = {
    "half a pixel": (moved(0.25, 0, 0), "their pixels do not coincide.* 0.25, 0.00, 0.00 mm"),
    "half a slice": (moved(0, 0, 2.5), "their slices do not coincide.* 0.00, 0.00, 2.50 mm"),
    "one pixel": (moved(0, 0.75, 0), "one covers more than the other.* 0.00, 0.75, 0.00 mm"),
    "one slice": (moved(0, 0, -5), "one covers more than the other.*0.00, 0.00, -5.00 mm"),
    "elsewhere": (moved(0, 0, 500), "no slice in common|covers more"),
    "RAS as LPS": (np.diag([-1.0, -1, 1, 1]) @ index_to_lps(VOLUME), "mirrored as when RAS"),
    "rotated": (turned(5), "their pixels do not coincide"),
    "rotated by 30 degrees": (turned(30), "their axes point in different directions"),
    "other spacing": (index_to_lps(VOLUME) @ np.diag([1.1, 1, 1, 1]), "the spacings differ"),
    "other slices": (index_to_lps(VOLUME) @ np.diag([1, 1, 2.0, 1]), "slices do not coincide"),
    "thin slices": (index_to_lps(VOLUME) @ np.diag([1, 1, 0.5, 1]), "slices do not coincide"),
}


@pytest.mark.parametrize(("affine", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize(("save", "name"), [(save_nifti, "m.nii"), (save_nrrd, "m.nrrd")])
def test_another_frame_is_refused_with_both_printed(
    tmp_path: Path, small: Case, affine: np.ndarray, message: str, save: Callable, name: str
) -> None:
    path = save(tmp_path / name, LABELS.transpose(2, 1, 0), affine)
    with pytest.raises(SeriesError) as refusal:
        read_masks([path], small.scan, TISSUES)
    text = refusal.value.message
    if name == "m.nii" or "covers more" not in message:
        assert refusal.match(f"(?s){message}")
        assert "\n  scan: 11 x 9 x 12 voxels of 0.5 x 0.75 x 5 mm, first voxel at (-40.25" in text
        assert f"\n  {name}: 11 x 9 x 12 voxels of " in text
    else:  # a cropped file may begin elsewhere, but not with labels outside the scan
        assert refusal.match("labelled voxels lie outside|no slice in common")


@pytest.mark.parametrize(
    "share", [(slice(0, 10), slice(None), slice(None)), (slice(None), slice(1, 9), slice(None))]
)
def test_a_smaller_nifti_is_refused(tmp_path: Path, small: Case, share: tuple[slice, ...]) -> None:
    """It may have lost its place; formats that crop on purpose say so."""
    path = nifti_map(tmp_path / "m.nii", LABELS[share], VOLUME)
    with pytest.raises(SeriesError, match="the sizes differ"):
        read_masks([path], small.scan, TISSUES)


def test_rounded_headers_are_accepted(tmp_path: Path, small: Case) -> None:
    affine = np.round(moved(0.004, -0.004, 0.04), 2)
    path = save_nifti(tmp_path / "m.nii", LABELS.transpose(2, 1, 0), affine)
    np.testing.assert_array_equal(read_masks([path], small.scan, TISSUES).labels, LABELS)


def test_planes_of_missing_slices_are_passed_over_when_empty() -> None:
    kept = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]
    scan = replace(VOLUME, hu=HU[kept], slice_z_mm=VOLUME.slice_z_mm[kept])
    labels = LABELS.copy()
    labels[3] = 0
    found = LabelMap(labels.transpose(2, 1, 0), Grid.of_volume(VOLUME))
    np.testing.assert_array_equal(place_label_map(found, scan, "m", cropped=False), labels[kept])
    full = LabelMap(LABELS.transpose(2, 1, 0), Grid.of_volume(VOLUME))
    count, total = np.count_nonzero(LABELS[3]), np.count_nonzero(LABELS)
    with pytest.raises(SeriesError, match=rf"{count} of {total} labelled voxels lie outside"):
        place_label_map(full, scan, "m", cropped=False)


@settings(max_examples=40, deadline=None)
@given(
    starts=st.tuples(st.integers(0, 10), st.integers(0, 7), st.integers(0, 9)),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
    layout=st.integers(0, 47),
)
def test_any_aligned_part_lands_where_it_was_cut_out(
    starts: tuple[int, ...], sizes: tuple[int, ...], layout: int
) -> None:
    part = tuple(
        slice(a, min(a + n, limit)) for a, n, limit in zip(starts, sizes, HU.shape, strict=True)
    )
    affine = index_to_lps(VOLUME)
    affine[:3, 3] += affine[:3, :3] @ np.array(starts[::-1])
    _, voxels, at = every_layout(LABELS[part].transpose(2, 1, 0), affine)[layout]
    expected = np.zeros_like(LABELS)
    expected[part] = LABELS[part]
    found = LabelMap(voxels, Grid(voxels.shape, at))
    np.testing.assert_array_equal(place_label_map(found, VOLUME, "m", cropped=True), expected)


def test_a_scan_of_one_slice_has_a_place_too() -> None:
    one = replace(VOLUME, hu=HU[:1], slice_z_mm=VOLUME.slice_z_mm[:1])
    place = align_grid(Grid.of_volume(one), one, "m", cropped=False)
    assert place.slices.tolist() == [0]


def test_another_frame_of_reference_is_refused(tmp_path: Path, small: Case) -> None:
    for write in (
        lambda path: dicom_seg(path, LABELS, small.scan.files),
        lambda path: rtstruct(path, {"muscle": []}, small.scan.files),
    ):
        path = write(tmp_path / "annotation")
        other = replace(small.scan, frame_of_reference_uid="1.2.3")
        with pytest.raises(SeriesError, match="FrameOfReferenceUID differs") as refusal:
            read_masks([path], other, TISSUES)
        assert "the file names its SeriesInstanceUID" in refusal.value.hint


def test_another_series_of_the_frame_is_noted_and_without_a_frame_refused(
    tmp_path: Path, small: Case
) -> None:
    path = dicom_seg(tmp_path / "s", LABELS, small.scan.files)
    other = replace(small.scan, series_uid="1.2.3")
    masks = read_masks([path], other, TISSUES)
    np.testing.assert_array_equal(masks.labels, LABELS)
    assert masks.notes == ("the annotation names another series of the same frame of reference",)
    frameless = replace(other, frame_of_reference_uid="")
    with pytest.raises(SeriesError, match="found one of another series"):
        read_masks([path], frameless, TISSUES)


def test_seg_shifted_by_half_a_pixel_is_refused(tmp_path: Path, small: Case) -> None:
    path = dicom_seg(tmp_path / "s", LABELS, small.scan.files)
    dataset = pydicom.dcmread(path)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        x, y, z = group.PlanePositionSequence[0].ImagePositionPatient
        group.PlanePositionSequence[0].ImagePositionPatient = [x + 0.25, y, z]
    dataset.save_as(path)
    with pytest.raises(SeriesError, match="their pixels do not coincide"):
        read_masks([path], small.scan, TISSUES)
