from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pytest

from bodycomp.errors import ImageError, InputNotFoundError, OutputError, SeriesError
from bodycomp.imaging.grid import Grid
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.volume import Volume
from bodycomp.nifti import (
    read_nifti_grid,
    read_nifti_labels,
    read_nifti_volume,
    write_nifti_labels,
)

HU = np.random.default_rng(5).integers(-1024, 1500, (6, 4, 5)).astype(np.int16)  # x, y, z
SPACING_MM = (0.75, 0.5, 5.0)


@pytest.fixture(scope="session")
def sitk() -> ModuleType:
    """SimpleITK, whose SWIG wrapper warns while it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("SimpleITK")


def save(path: Path, data: np.ndarray, affine: np.ndarray) -> Path:
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def upright_affine() -> np.ndarray:
    return np.array([[0.75, 0, 0, -40], [0, 0.5, 0, 20], [0, 0, 5.0, -300], [0, 0, 0, 1.0]])


def every_layout() -> list[tuple[str, np.ndarray, np.ndarray]]:
    """The same voxels in all 48 orders and directions of the array's axes."""
    layouts = []
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            data, affine = HU, upright_affine()
            for axis in np.flatnonzero(flips):
                data = np.flip(data, axis)
                affine[:, 3] += affine[:, axis] * (data.shape[axis] - 1)
                affine[:, axis] *= -1
            name = "".join("xyz"[axis].upper() if flips[axis] else "xyz"[axis] for axis in order)
            layouts.append((name, data.transpose(order), affine[:, [*order, 3]]))
    return layouts


LAYOUTS = every_layout()


@pytest.mark.parametrize(("data", "affine"), [x[1:] for x in LAYOUTS], ids=[x[0] for x in LAYOUTS])
def test_any_axis_order_gives_the_same_patient(
    tmp_path: Path, sitk: ModuleType, data: np.ndarray, affine: np.ndarray
) -> None:
    """In the standard view (right on the left, front on top) all layouts are one picture."""
    source = save(tmp_path / "ct.nii.gz", data, affine)
    volume = read_nifti_volume(source)
    standard = OrientationTransform.from_orientation(volume.orientation).apply(volume.hu)
    # RAS x runs to the right, so the left of the picture is the largest x; y likewise.
    np.testing.assert_array_equal(standard, HU[::-1, ::-1].transpose(2, 1, 0))
    np.testing.assert_allclose(volume.slice_z_mm, -300 + 5.0 * np.arange(5))
    assert volume.hu.dtype == np.int16

    labels = (volume.hu > 0).astype(np.uint8)
    write_nifti_labels(tmp_path / "labels.nii.gz", volume, labels)
    image, mask = sitk.ReadImage(str(source)), sitk.ReadImage(str(tmp_path / "labels.nii.gz"))
    on_source = sitk.Resample(mask, image, sitk.Transform(), sitk.sitkNearestNeighbor)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(on_source), sitk.GetArrayFromImage(image) > 0
    )


def test_oblique_volume_agrees_with_simpleitk(tmp_path: Path, sitk: ModuleType) -> None:
    angle = np.radians(12)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    path = save(tmp_path / "ct.nii", HU, turn @ upright_affine())
    volume, image = read_nifti_volume(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(volume.hu, sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(volume.first_pixel_mm, image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(volume.slice_spacing_mm, 5 * np.cos(angle), atol=1e-4)
    write_nifti_labels(tmp_path / "m.nii", volume, np.ones(volume.hu.shape, np.uint8))
    mask = nib.load(tmp_path / "m.nii")
    np.testing.assert_allclose(mask.affine, nib.load(path).affine, atol=1e-3)


def test_scale_is_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image(HU, upright_affine())
    image.header.set_slope_inter(0.25, -100)
    nib.save(image, tmp_path / "ct.nii")
    volume = read_nifti_volume(tmp_path / "ct.nii")
    assert volume.hu.dtype == np.float32
    np.testing.assert_allclose(volume.hu, HU.transpose(2, 1, 0) * 0.25 - 100)


def test_whole_numbers_in_floats_and_a_trailing_axis(tmp_path: Path) -> None:
    path = save(tmp_path / "ct.nii", HU.astype(np.float64)[..., None], upright_affine())
    volume = read_nifti_volume(path)
    assert volume.hu.dtype == np.int16
    assert volume.pixel_spacing_mm == (0.5, 0.75)


def sheared() -> np.ndarray:
    affine = upright_affine()
    affine[1, 2] = 1.0
    return affine


def leaning() -> np.ndarray:
    turn = np.eye(4)
    turn[1:3, 1:3] = np.array([[0.8, -0.6], [0.6, 0.8]])
    return turn @ upright_affine()


@pytest.mark.parametrize(
    ("data", "affine", "message"),
    [
        (np.stack([HU, HU], -1), upright_affine(), r"expected a 3-D volume, found shape \(6"),
        (HU, sheared(), "expected perpendicular axes"),
        (HU, leaning(), "within 25 degrees of axial, found 37"),
        (np.abs(HU), upright_affine(), "expected HU with air"),
        (np.where(HU > 0, np.nan, HU).astype(np.float32), upright_affine(), "found NaN"),
    ],
)
def test_refusals_of_volumes(
    tmp_path: Path, data: np.ndarray, affine: np.ndarray, message: str
) -> None:
    path = save(tmp_path / "ct.nii", data, affine)
    with pytest.raises(SeriesError, match=message) as caught:
        read_nifti_volume(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("unit", "scale", "message"),
    [
        ("mm", 0.1, r"expected pixels of at least 0.1 mm, found 0.05 x 0.075 mm"),
        ("micron", 1, r"expected pixels of at least 0.1 mm, found 0.0005 x 0.00075 mm"),
        ("meter", 1, r"expected slices of at most 1500 mm, found 2000 x 4500 mm"),
    ],
)
def test_lengths_that_are_not_in_the_unit_that_is_stated(
    tmp_path: Path, unit: str, scale: float, message: str
) -> None:
    image = nib.Nifti1Image(HU, np.diag([scale, scale, scale, 1]) @ upright_affine())
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "ct.nii")
    with pytest.raises(SeriesError, match=message) as caught:
        read_nifti_volume(tmp_path / "ct.nii")
    assert "unit" in caught.value.hint


def test_refusals_of_files(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="found nothing at"):
        read_nifti_volume(tmp_path / "absent.nii")
    path = save(tmp_path / "ct.nii", HU, upright_affine())
    content = bytearray(path.read_bytes())
    content[252:256] = bytes(4)  # qform_code, sform_code
    path.write_bytes(content)
    with pytest.raises(SeriesError, match="expected qform or sform, found neither"):
        read_nifti_volume(path)
    (tmp_path / "text.nii").write_text("not an image" * 100)
    with pytest.raises(SeriesError, match=r"text\.nii: expected a NIfTI volume"):
        read_nifti_volume(tmp_path / "text.nii")
    whole = save(tmp_path / "cut.nii", HU, upright_affine())
    whole.write_bytes(whole.read_bytes()[:-50])
    with pytest.raises(SeriesError, match=r"cut\.nii: voxels cannot be read"):
        read_nifti_volume(whole)
    packed = save(tmp_path / "cut.nii.gz", HU, upright_affine())
    packed.write_bytes(packed.read_bytes()[:-60])
    with pytest.raises(SeriesError, match=r"cut\.nii\.gz"):
        read_nifti_volume(packed)


def test_missing_slices_become_empty_planes(tmp_path: Path) -> None:
    volume = Volume(np.zeros((3, 2, 2), np.int16), (1, 1), np.array([0.0, 5, 15]))
    write_nifti_labels(tmp_path / "m.nii", volume, np.ones((3, 2, 2), np.uint8))
    mask = nib.load(tmp_path / "m.nii")
    assert mask.get_fdata().max(axis=(0, 1)).tolist() == [1, 1, 0, 1]
    assert mask.header.get_zooms()[2] == 5


def test_labels_that_cannot_be_written(tmp_path: Path) -> None:
    volume = Volume(np.zeros((4, 2, 2), np.int16), (1, 1), np.array([0.0, 5, 7, 12]))
    with pytest.raises(ImageError, match=r"expected a mask of shape \(4, 2, 2\)"):
        write_nifti_labels(tmp_path / "m.nii", volume, np.ones((3, 2, 2), np.uint8))
    with pytest.raises(OutputError, match="expected evenly spaced slices"):
        write_nifti_labels(tmp_path / "m.nii", volume, np.ones((4, 2, 2), np.uint8))
    with pytest.raises(OutputError, match=r"ends in \.nii"):
        write_nifti_labels(tmp_path / "m.png", volume, np.ones((4, 2, 2), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_same_mask_gives_same_bytes(tmp_path: Path) -> None:
    volume = Volume(np.zeros((3, 2, 2), np.int16), (1, 1), np.array([0.0, 5, 10]))
    files = [tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"]
    for file in files:
        write_nifti_labels(file, volume, np.ones((3, 2, 2), np.uint8))
    assert files[0].read_bytes() == files[1].read_bytes()


def test_labels_read_back_are_the_same_on_the_same_grid(tmp_path: Path) -> None:
    volume = read_nifti_volume(save(tmp_path / "ct.nii.gz", HU, upright_affine()))
    labels = np.random.default_rng(6).integers(0, 4, volume.hu.shape).astype(np.uint8)
    write_nifti_labels(tmp_path / "labels.nii.gz", volume, labels)
    read = read_nifti_labels(tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(read.values, labels.transpose(2, 1, 0))
    assert read.values.dtype == np.uint8
    np.testing.assert_allclose(read.grid.affine, Grid.of_volume(volume).affine)
    header_alone = read_nifti_grid(tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(header_alone.affine, read.grid.affine)
    assert header_alone.shape == read.grid.shape == (6, 4, 5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.where(HU > 0, 0.5, 1.0), "expected whole label numbers, found .* such as 0.5"),
        (np.where(HU > 0, np.nan, 1.0), "found .* fractions such as nan"),
        (HU, r"expected labels in 0\.\.65535, found values from -"),
        (np.abs(HU).astype(np.complex64), "expected label numbers, found complex64"),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path: Path, data: np.ndarray, message: str) -> None:
    path = save(tmp_path / "labels.nii", data, upright_affine())
    with pytest.raises(SeriesError, match=message):
        read_nifti_labels(path)


def test_whole_labels_in_floats_are_labels(tmp_path: Path) -> None:
    path = save(tmp_path / "labels.nii", np.abs(HU).astype(np.float32), upright_affine())
    np.testing.assert_array_equal(read_nifti_labels(path).values, np.abs(HU))


@pytest.mark.parametrize("share", [0.9999999998, 0.99999994, 1.0009])
def test_labels_within_rounding_of_whole_numbers_are_labels(tmp_path: Path, share: float) -> None:
    """As writers leave them that scale floats into integers."""
    labels = np.arange(120).reshape(6, 4, 5) % 2
    path = save(tmp_path / "labels.nii", labels * share, upright_affine())
    np.testing.assert_array_equal(read_nifti_labels(path).values, labels)


def test_what_is_no_whole_number_is_said_in_full(tmp_path: Path) -> None:
    path = save(tmp_path / "labels.nii", np.full((6, 4, 5), 1.99712345), upright_affine())
    with pytest.raises(SeriesError, match=r"120 fractions such as 1\.99712345"):
        read_nifti_labels(path)


def test_nan_is_refused_with_count_place_and_what_to_do(tmp_path: Path) -> None:
    rows, columns = np.ogrid[:64, :64]
    beyond = (rows - 31.5) ** 2 + (columns - 31.5) ** 2 > 32**2
    hu = np.random.default_rng(1).integers(-1000, 200, (64, 64, 4)).astype(np.float32)
    hu[beyond, 1:] = np.nan
    path = save(tmp_path / "ct.nii", hu, upright_affine())
    share = 3 * beyond.sum() / hu.size
    with pytest.raises(SeriesError) as refusal:
        read_nifti_volume(path)
    assert (
        f"NaN or infinity in {3 * beyond.sum()} of {hu.size} ({share:.1%}), on 3 of 4 slices, all "
        "of them outside the circle of the field of view; first at slice 1 from the feet"
    ) in refusal.value.message
    assert "-1024 HU" in refusal.value.hint
    hu[32, 32, 2] = np.inf
    with pytest.raises(SeriesError, match="1 of them within the circle of the field of view"):
        read_nifti_volume(save(tmp_path / "ct.nii", hu, upright_affine()))
