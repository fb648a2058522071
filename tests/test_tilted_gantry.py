"""A tilted gantry: geometry as SimpleITK has it, areas, volumes and levels as they truly are."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.annotation.grid import pixel_positions, slice_heights_mm
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.read import read_series
from bodycomp.dicom.series import find_series
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import Volume
from bodycomp.nifti import read_nifti_volume, write_nifti_labels
from bodycomp.results import LevelStatus
from bodycomp.scan import Scan
from bodycomp.study.options import AnalyzeOptions, DicomObject
from bodycomp.study.run import analyze_inputs
from support.annotation_files import simpleitk
from support.stand_ins import BodyIsMuscle, LevelAt
from support.tilted_phantom import tilted_orientation

REAL = Path(__file__).parents[1] / "../shared/real/tilt"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="../shared/real is absent")
A_MM, B_MM = 120.0, 80.0
PIXEL_MM = 1.5
TILTS = (-22.0, -10.0, 5.0, 18.5)


@pytest.fixture(scope="session")
def sitk() -> ModuleType:
    return simpleitk()


def elliptic_cylinder(degrees: float, feed_mm: float = 5.0) -> Volume:
    """An ellipse of 45 HU in air that goes on along z, cut by thirty tilted slices."""
    orientation = tilted_orientation(degrees)
    rows = columns = 200
    cosine = orientation[4]
    y = (np.arange(rows) - (rows - 1) / 2) * PIXEL_MM * cosine
    x = (np.arange(columns) - (columns - 1) / 2) * PIXEL_MM
    inside = (x[None] / A_MM) ** 2 + (y[:, None] / B_MM) ** 2 <= 1
    hu = np.where(inside, 45, -1000).astype(np.int16)
    z_mm = 10.0 + feed_mm * np.arange(30)
    first = (float(x[0]), float(y[0]), float(z_mm[0]))
    return Volume(
        np.repeat(hu[None], 30, axis=0),
        (PIXEL_MM, PIXEL_MM),
        z_mm,
        orientation,
        first,
        stack_direction=(0.0, 0.0, 1.0),
    )


def read(folder: Path) -> Scan:
    search = find_series([folder])
    assert search.refusals == ()
    (candidate,) = search.candidates
    return read_series(candidate)


@pytest.mark.parametrize("degrees", TILTS)
def test_volume_comes_back_with_the_place_of_every_slice(tmp_path: Path, degrees: float) -> None:
    volume = elliptic_cylinder(degrees)
    files = write_ct_series(tmp_path / "ct", volume, SeriesHeader(seed="s"))
    loaded = read(tmp_path / "ct")
    np.testing.assert_array_equal(loaded.volume.hu, volume.hu)
    places = [pydicom.dcmread(file).ImagePositionPatient for file in files]
    np.testing.assert_allclose(loaded.volume.first_pixels_mm, places, atol=1e-6)
    assert loaded.volume.slice_spacing_mm == pytest.approx(5.0)
    assert any(f"gantry tilted by {abs(degrees):.1f} degrees" in note for note in loaded.notes)


@pytest.mark.parametrize("degrees", TILTS)
@pytest.mark.parametrize("range_mm", [0.0, 40.0])
def test_area_is_that_of_the_tilted_slice_and_the_volume_that_of_the_body(
    degrees: float, range_mm: float
) -> None:
    """The area on a tilted slice times the cosine is that of the upright one."""
    options = AnalysisOptions(range_mm=range_mm)
    analyzer = Analyzer(LevelAt(84.0), BodyIsMuscle(), options)
    (level,) = analyzer.analyze(Scan(elliptic_cylinder(degrees))).levels
    assert level.choice.status is LevelStatus.FOUND
    assert level.choice.z_mm == pytest.approx(84.0, abs=0.1)  # along the table
    assert level.choice.slice_index == 15
    upright_cm2 = np.pi * A_MM * B_MM / 100
    found = level.measurements["muscle"]
    assert found.area_cm2 * np.cos(np.radians(degrees)) == pytest.approx(upright_cm2, rel=2e-3)
    if range_mm:
        assert found.volume_ml == pytest.approx(upright_cm2 * range_mm / 10, rel=2e-3)


def test_dicom_objects_and_masks_lie_on_the_tilted_slices(tmp_path: Path) -> None:
    files = write_ct_series(tmp_path / "in", elliptic_cylinder(18.5), SeriesHeader(seed="s"))
    options = AnalyzeOptions(
        inputs=(tmp_path / "in",),
        models_dir=tmp_path,
        out_dir=tmp_path / "out",
        dicom=frozenset(DicomObject),
        report=False,
        workers=0,
    )
    analyzer = Analyzer(LevelAt(84.0), BodyIsMuscle(), AnalysisOptions())
    (series,) = analyze_inputs(options, analyzer=analyzer).analyzed
    source = pydicom.dcmread(files[15])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seg = pydicom.dcmread(series.folder / "segmentation.dcm")
    frame = seg.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    assert [*frame.ImagePositionPatient] == [*source.ImagePositionPatient]
    assert (series.folder / "measurements.dcm").exists()

    image = nib.load(series.folder / "labels.nii.gz")
    assert int(image.header["qform_code"]) == 0  # a quaternion cannot say it
    labels = np.asarray(image.dataobj)
    columns, rows, slices = np.argwhere(labels).T
    assert set(slices) == {15}
    place = image.affine @ [columns[0], rows[0], 15, 1]
    row_mm, column_mm = (float(v) for v in source.PixelSpacing)
    down = np.array(source.ImageOrientationPatient[3:], float)
    across = np.array(source.ImageOrientationPatient[:3], float)
    first = np.array(source.ImagePositionPatient, float)
    expected = first + across * column_mm * columns[0] + down * row_mm * rows[0]
    np.testing.assert_allclose(place[:3] * [-1, -1, 1], expected, atol=1e-3)


@pytest.mark.parametrize("degrees", TILTS)
def test_sheared_nifti_is_read_as_the_dicom_that_it_was_made_of(
    tmp_path: Path, degrees: float
) -> None:
    volume = elliptic_cylinder(degrees)
    write_nifti_labels(tmp_path / "l.nii", volume, (volume.hu > 0).astype(np.uint8))
    affine = nib.load(tmp_path / "l.nii").affine
    nib.save(nib.Nifti1Image(volume.hu.transpose(2, 1, 0), affine), tmp_path / "ct.nii.gz")
    found = read_nifti_volume(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(found.hu, volume.hu)
    np.testing.assert_allclose(found.first_pixels_mm, volume.first_pixels_mm, atol=1e-3)


def test_nifti_sheared_in_another_way_is_refused(tmp_path: Path) -> None:
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    affine[1, 2] = 1.0
    image = nib.Nifti1Image(elliptic_cylinder(5.0).hu.transpose(2, 1, 0), affine)
    nib.save(image, tmp_path / "ct.nii.gz")
    with pytest.raises(SeriesError, match="sheared in another way"):
        read_nifti_volume(tmp_path / "ct.nii.gz")


@needs_real
def test_pixels_of_a_real_scan_lie_where_simpleitk_sees_them(sitk: ModuleType) -> None:
    loaded = read(REAL)
    heights = slice_heights_mm(loaded.volume)
    for index, item in enumerate(loaded.slices):
        image = sitk.ReadImage(str(item.path))
        pixels = [(0, 0), (511, 0), (0, 511), (300, 200)]
        points = np.array(
            [image.TransformIndexToPhysicalPoint((column, row, 0)) for row, column in pixels]
        )
        rows, columns, at_mm = pixel_positions(points, loaded.volume)
        np.testing.assert_allclose(np.column_stack([rows, columns]), pixels, atol=0.01)
        np.testing.assert_allclose(at_mm, heights[index], atol=0.01)
        np.testing.assert_array_equal(loaded.volume.hu[index], sitk.GetArrayFromImage(image)[0])


def resampled_hu(sitk: ModuleType, files: list[Path]) -> tuple[NDArray, NDArray]:
    """The scan on an upright grid of 1 mm, and whether it covers each voxel; by SimpleITK alone."""
    first, second = (pydicom.dcmread(file) for file in files[:2])
    place = np.array(first.ImagePositionPatient, float)
    row_mm, column_mm = (float(v) for v in first.PixelSpacing)
    across, down = np.reshape(np.array(first.ImageOrientationPatient, float), (2, 3))
    feed = np.array(second.ImagePositionPatient, float) - place
    voxels = np.stack([sitk.GetArrayFromImage(sitk.ReadImage(str(file)))[0] for file in files])
    to_patient = np.column_stack([across * column_mm, down * row_mm, feed])
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(np.linalg.inv(to_patient).ravel().tolist())
    transform.SetTranslation((-np.linalg.inv(to_patient) @ place).tolist())
    rows, columns = voxels.shape[1:]
    corners = place + np.array([[0, 0, 0], [columns, rows, len(files)]]) @ to_patient.T
    low = np.minimum(corners[0], corners[1]) - [0, 0, 100]
    extent = np.abs(corners[1] - corners[0])
    size = np.ceil(np.add(extent, [0, 0, 200])).astype(int).tolist()
    target = sitk.Image(size, sitk.sitkFloat32)
    target.SetOrigin(low.tolist())
    inside = sitk.GetImageFromArray(np.ones(voxels.shape, np.float32))
    image = sitk.GetImageFromArray(voxels.astype(np.float32))
    hu = sitk.Resample(image, target, transform, sitk.sitkLinear, -2000.0)
    covered = sitk.Resample(inside, target, transform, sitk.sitkLinear, 0.0)
    return sitk.GetArrayFromImage(hu), sitk.GetArrayFromImage(covered) > 0


@needs_real
def test_volume_over_tilted_slices_equals_that_of_a_resampled_real_scan(sitk: ModuleType) -> None:
    """The areas of fourteen slices times their distances, against voxels of 1 mm3."""
    loaded = read(REAL)
    volume, count = loaded.volume, 14  # evenly spaced
    hu, covered = resampled_hu(sitk, [item.path for item in loaded.slices[:count]])
    area_mm2 = (volume.hu[:count] > -300).sum() * volume.pixel_area_mm2
    distance_mm = float(np.diff(volume.slice_z_mm[:2])[0]) * volume.depth_per_z
    measured_mm3 = float(area_mm2 * distance_mm)
    assert measured_mm3 == pytest.approx(float(((hu > -300) & covered).sum()), rel=0.01)
