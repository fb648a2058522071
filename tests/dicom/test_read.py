from __future__ import annotations

import logging
import math
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest

from bodycomp.dicom.header import PixelFormat, SeriesHeader, Storage
from bodycomp.dicom.pixels import rescale
from bodycomp.dicom.read import read_series
from bodycomp.dicom.series import CandidateSeries, find_series
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import Volume
from support.dicom_files import edit
from support.stored_images import decode_hu

Find = Callable[[Path], CandidateSeries]

TILT = math.radians(10)
ORIENTATIONS = {
    "supine": (1, 0, 0, 0, 1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "mirrored": (-1, 0, 0, 0, 1, 0),
    "turned": (0, 1, 0, 1, 0, 0),
    "oblique": (1, 0, 0, 0, math.cos(TILT), math.sin(TILT)),
}


def assert_same_volume(one: Volume, other: Volume) -> None:
    np.testing.assert_array_equal(one.hu, other.hu)
    assert one.hu.dtype == other.hu.dtype
    np.testing.assert_allclose(one.slice_z_mm, other.slice_z_mm, atol=1e-6)
    np.testing.assert_allclose(one.orientation, other.orientation, atol=1e-9)
    np.testing.assert_allclose(one.first_pixel_mm, other.first_pixel_mm, atol=1e-6)
    assert one.pixel_spacing_mm == other.pixel_spacing_mm


def assert_equals_sitk(volume: Volume, image: object, sitk: ModuleType) -> None:
    """Compare pixels and the patient position of voxels with SimpleITK's, corner by corner."""
    values = sitk.GetArrayFromImage(image)
    normal = np.array(image.GetDirection()).reshape(3, 3)[:, 2]
    if normal[2] < 0:
        values = values[::-1]
    np.testing.assert_array_equal(volume.hu, values)
    slices, rows, columns = (n - 1 for n in volume.hu.shape)
    orientation = np.array(volume.orientation)
    row_mm, column_mm = volume.pixel_spacing_mm
    for row, column in ((0, 0), (rows, 0), (0, columns)):
        ours = (
            np.array(volume.first_pixel_mm)
            + orientation[:3] * column * column_mm
            + orientation[3:] * row * row_mm
        )
        k = slices if normal[2] < 0 else 0
        theirs = image.TransformIndexToPhysicalPoint((column, row, k))
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    top = image.TransformIndexToPhysicalPoint((0, 0, 0 if normal[2] < 0 else slices))
    assert volume.slice_z_mm[-1] == pytest.approx(top[2], abs=1e-3)


def read_with_sitk(folder: Path, sitk: ModuleType) -> object:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def shuffled_copy(source: Path, target: Path) -> Path:
    """Copy files under names that say nothing about their order, some in subfolders."""
    rng = random.Random(3)
    files = sorted(source.iterdir())
    rng.shuffle(files)
    for index, file in enumerate(files):
        folder = target / ("deep/er" if index % 3 else ".") if source.name != "jpeg2000" else target
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / f"{rng.getrandbits(64):x}")
    return target


@pytest.mark.parametrize("name", ["torso_ct", "jpeg2000"])
def test_real_scans_equal_simpleitk(
    real: Path, name: str, sitk: ModuleType, only_candidate: Find, tmp_path: Path
) -> None:
    volume = read_series(only_candidate(real / name)).volume
    assert_equals_sitk(volume, read_with_sitk(real / name, sitk), sitk)
    shuffled = shuffled_copy(real / name, tmp_path / name)
    assert_same_volume(volume, read_series(only_candidate(shuffled)).volume)


def test_real_padding_stays_below_air(real: Path, only_candidate: Find) -> None:
    volume = read_series(only_candidate(real / "torso_ct")).volume
    assert (volume.hu.dtype, volume.hu.min(), volume.hu[0, 0, 0]) == (np.int16, -3024, -3024)
    assert volume.slice_spacing_mm == 4.25


def test_scan_without_the_level_is_still_a_candidate(real: Path, only_candidate: Find) -> None:
    series = only_candidate(real / "head_chest")
    assert (len(series), series.acquisition.kvp, series.is_original) == (24, 140, True)


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
@pytest.mark.parametrize("first", ["head", "feet"])
def test_written_series_come_back_and_equal_simpleitk(
    tmp_path: Path,
    volume: Volume,
    sitk: ModuleType,
    only_candidate: Find,
    orientation: tuple[float, ...],
    first: str,
) -> None:
    volume = replace(volume, orientation=orientation)
    write_ct_series(tmp_path / "a", volume, SeriesHeader(seed="s", first_instance=first))
    read = read_series(only_candidate(tmp_path / "a")).volume
    assert_same_volume(read, volume)
    assert_equals_sitk(read, read_with_sitk(tmp_path / "a", sitk), sitk)
    shuffled = shuffled_copy(tmp_path / "a", tmp_path / "b")
    assert_same_volume(read, read_series(only_candidate(shuffled)).volume)


@pytest.mark.parametrize(
    "pixels",
    [
        PixelFormat(intercept_hu=0),
        PixelFormat(intercept_hu=-8192, signed=False),
        PixelFormat(bits_stored=12, signed=False, storage=Storage.JPEG_LS),
        PixelFormat(storage=Storage.IMPLICIT),
    ],
)
def test_rescale_does_not_show(
    tmp_path: Path, volume: Volume, only_candidate: Find, pixels: PixelFormat
) -> None:
    write_ct_series(tmp_path, volume, SeriesHeader(seed="s", pixels=pixels))
    assert_same_volume(read_series(only_candidate(tmp_path)).volume, volume)


def test_rescale_may_change_from_slice_to_slice(
    tmp_path: Path, volume: Volume, only_candidate: Find
) -> None:
    files = write_ct_series(tmp_path, volume, SeriesHeader(seed="s"))
    edit(files[2], RescaleIntercept="-1000", RescaleSlope="2")
    read = read_series(only_candidate(tmp_path)).volume
    np.testing.assert_array_equal(read.hu[2], (volume.hu[2] + 1024) * 2 - 1000)
    np.testing.assert_array_equal(read.hu[3], volume.hu[3])


def test_fractional_rescale_gives_float(
    tmp_path: Path, volume: Volume, only_candidate: Find
) -> None:
    pixels = PixelFormat(slope_hu=0.5, intercept_hu=-1024.25)
    write_ct_series(tmp_path, volume, SeriesHeader(seed="s", pixels=pixels))
    read = read_series(only_candidate(tmp_path)).volume
    assert read.hu.dtype == np.float32
    np.testing.assert_allclose(read.hu, volume.hu, atol=0.25)


def test_truncated_file_costs_one_slice(
    tmp_path: Path, volume: Volume, only_candidate: Find, caplog: pytest.LogCaptureFixture
) -> None:
    header = SeriesHeader(seed="s", patient_id="SECRET-ID", patient_name="SECRET^NAME")
    files = write_ct_series(tmp_path / "SECRET-PATH", volume, header)
    files[4].write_bytes(files[4].read_bytes()[:-100])
    series = only_candidate(tmp_path)
    with caplog.at_level(logging.DEBUG):
        loaded = read_series(series)
    np.testing.assert_array_equal(loaded.volume.hu, np.delete(volume.hu, 4, axis=0))
    assert loaded.slices == series.slices[:4] + series.slices[5:]
    assert loaded.notes[0].startswith("1 of 16 slices cannot be decoded and were left out: pixels")
    assert "uneven" in loaded.notes[1]
    logged = caplog.text + repr(series) + repr(find_series([tmp_path]))
    for secret in ("SECRET", series.study_uid, series.series_uid):
        assert secret not in logged


@pytest.mark.parametrize(
    ("broken", "message"),
    [(range(7), "at least 10 slices that can be decoded, found 9 of 16"),
     (range(5, 9), "leaves a gap of 25.0 mm")],
)  # fmt: skip
def test_too_many_broken_files_are_refused(
    tmp_path: Path, volume: Volume, only_candidate: Find, broken: range, message: str
) -> None:
    files = write_ct_series(tmp_path, volume, SeriesHeader(seed="s"))
    for index in broken:
        files[index].write_bytes(files[index].read_bytes()[:-100])
    with pytest.raises(SeriesError, match=message):
        read_series(only_candidate(tmp_path))


LOSSLESS = ["LittleEndianImplicit", "BigEndian", "Deflated", "RLELossless", "JPEGLSLossless",
            "JPEG2000LosslessOnly", "JPEGProcess14Transfer", "JPEGProcess14SV1"]  # fmt: skip
LOSSY = ["JPEG2000Transfer", "JPEGLSLossy"]


def decode_syntax(folder: Path, name: str) -> np.ndarray:
    (path,) = folder.glob(f"{name}*")
    header = pydicom.dcmread(path, stop_before_pixels=True)
    return decode_hu(path, header.RescaleSlope, header.RescaleIntercept)


@pytest.mark.parametrize("name", LOSSLESS + LOSSY)
def test_transfer_syntaxes_decode_alike(real: Path, name: str) -> None:
    folder = real / "transfer_syntaxes"
    expected = decode_syntax(folder, "LittleEndianExplicit")
    found = decode_syntax(folder, name)
    np.testing.assert_allclose(found, expected, rtol=0, atol=0 if name in LOSSLESS else 5)


@pytest.mark.parametrize("name", ["JPEGProcess6_8", "JPEGProcess10_12", "JPEGProcess2_4"])
def test_undecodable_syntaxes_are_refused_twice(
    real: Path, name: str, refusal_of: Callable[[Path], tuple[str, str]]
) -> None:
    (path,) = (real / "transfer_syntaxes").glob(f"{name}*")
    kind, reason = refusal_of(path)
    assert kind == "compression not supported"
    assert reason.startswith("no decoder for JPEG")
    with pytest.raises(SeriesError, match="pixels cannot be decoded"):
        decode_syntax(real / "transfer_syntaxes", name)


@pytest.mark.parametrize("intercept", [0, -1024, 32767, -32768, 40000, -40000, 0.5])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "u2", "i1"])
def test_rescale_is_the_formula_with_clipping_for_every_type_and_intercept(dtype, intercept):
    limits = np.iinfo(dtype)
    stored = np.array([[limits.min, -5 * (limits.min < 0), 0, 7, limits.max]], dtype)
    for values in (stored, stored[:, 1:4]):  # the second does not reach the ends of its type
        exact = values.astype(np.float64) + intercept
        found = rescale(values, 1.0, intercept)
        if intercept == 0.5:
            np.testing.assert_array_equal(found, exact.astype(np.float32))
        else:
            assert found.dtype == np.int16
            np.testing.assert_array_equal(found, np.clip(exact, -32768, 32767))
