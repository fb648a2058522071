"""Odd bits, padding, bytes and frames: the same values as GDCM reads through SimpleITK."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest

from bodycomp.dicom.file_header import read_headers
from bodycomp.dicom.header import PixelFormat, SeriesHeader
from bodycomp.dicom.pixels import connected_to_border, rescale
from bodycomp.dicom.qualify import find_defect
from bodycomp.dicom.read import read_series
from bodycomp.dicom.series import CandidateSeries, find_series
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import Volume
from support.dicom_files import enhanced, store
from support.stored_images import decode_hu

Find = Callable[[Path], CandidateSeries]


@pytest.mark.parametrize("order", ["feet to head", "head to feet"])
def test_enhanced_multi_frame_equals_simpleitk(
    tmp_path: Path, volume: Volume, sitk: ModuleType, only_candidate: Find, order: str
) -> None:
    files = write_ct_series(tmp_path / "raw", volume, SeriesHeader(seed="s", kernel="B30f"))
    enhanced(files if order == "feet to head" else files[::-1], tmp_path / "in" / "one.dcm")
    series = only_candidate(tmp_path / "in")
    read = read_series(series).volume
    np.testing.assert_array_equal(read.hu, volume.hu)
    image = sitk.ReadImage(str(tmp_path / "in" / "one.dcm"))
    values = sitk.GetArrayFromImage(image)
    headwards = image.TransformIndexToPhysicalPoint((0, 0, 15))[2] > image.GetOrigin()[2]
    np.testing.assert_array_equal(values if headwards else values[::-1], read.hu)
    lowest = image.TransformIndexToPhysicalPoint((0, 0, 0 if headwards else 15))
    np.testing.assert_allclose(read.first_pixel_mm, lowest, atol=1e-4)
    assert (series.acquisition.kernel, series.acquisition.kvp) == ("B30f", 120)
    numbers = [item.frame_number for item in series.slices]
    assert numbers == list(range(1, 17) if order == "feet to head" else range(16, 0, -1))


BITS = {
    "sign not extended": (PixelFormat(bits_stored=12, intercept_hu=0), lambda x: x & 0x0FFF, {}),
    "at the top of the word": (
        PixelFormat(bits_stored=12, signed=False), lambda x: x << 4, {"HighBit": 15},
    ),
    "signed at the top": (
        PixelFormat(bits_stored=12, intercept_hu=0), lambda x: x << 4, {"HighBit": 15},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BITS)
def test_odd_bits_equal_simpleitk(
    tmp_path: Path, volume: Volume, sitk: ModuleType, name: str
) -> None:
    pixels, change, attributes = BITS[name]
    file = write_ct_series(tmp_path, volume, SeriesHeader(seed="s", pixels=pixels))[3]
    store(file, change, **attributes)
    found = decode_hu(file, 1, pixels.intercept_hu)
    np.testing.assert_array_equal(found, volume.hu[3])
    if "HighBit" not in attributes:  # GDCM ignores it, and reads sixteen times the values
        image = sitk.ReadImage(str(file))
        np.testing.assert_array_equal(found, sitk.GetArrayFromImage(image)[0])


def test_swapped_bytes_are_refused(tmp_path: Path, volume: Volume) -> None:
    file = write_ct_series(tmp_path, volume, SeriesHeader(seed="s"))[3]
    store(file, lambda x: x.byteswap())
    with pytest.raises(SeriesError, match="bytes are in the other order"):
        decode_hu(file, 1, -1024)


def test_loud_padding_is_air_where_it_reaches_the_border(tmp_path: Path, volume: Volume) -> None:
    file = write_ct_series(tmp_path, volume, SeriesHeader(seed="s"))[3]
    stored = pydicom.dcmread(file).pixel_array.copy()
    stored[stored == 1100] = 1101
    stored[:3] = stored[10, 10] = 1100
    store(file, lambda _: stored)
    dataset = pydicom.dcmread(file)
    dataset.add_new("PixelPaddingValue", "SS", 1100)
    dataset.save_as(file)
    found = decode_hu(file, 1, -1024)
    assert (found[:3] == -1024).all()
    np.testing.assert_array_equal(found[3:], stored[3:] - 1024)
    assert found[10, 10] == 76


def test_what_reaches_the_border() -> None:
    mask = np.array([[1, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
    assert connected_to_border(mask).sum() == 2


def test_each_real_transfer_syntax_is_read_or_has_its_reason(real: Path) -> None:
    refused = {}
    files = sorted((real / "transfer_syntaxes").iterdir())
    for path in files:
        (header,) = read_headers(path)
        if defect := find_defect(header):
            refused[path.name.split("Transfer")[0]] = defect[0].value
    assert len(files) == 15
    assert refused == {
        "JPEGProcess10_12": "compression not supported",
        "JPEGProcess2_4": "compression not supported",
        "JPEGProcess6_8": "compression not supported",
        "JPEGProcess1": "grey levels too coarse",
    }


def test_frames_beyond_the_pixels_cost_slices_alone(tmp_path: Path, volume: Volume) -> None:
    files = write_ct_series(tmp_path / "raw", volume, SeriesHeader(seed="s"))
    joined = enhanced(files, tmp_path / "in" / "one.dcm")
    joined.NumberOfFrames = 14
    joined.PixelData = joined.PixelData[: 14 * 2 * 36 * 40]
    joined.save_as(tmp_path / "in" / "one.dcm")
    (series,) = find_series([tmp_path / "in"]).candidates
    np.testing.assert_array_equal(read_series(series).volume.hu, volume.hu[:14])


@pytest.mark.parametrize("dtype", ["<i2", "<u2", ">i2", "<i4", "u1"])
@pytest.mark.parametrize("intercept", [-32768, -8192, -1024, 0, 1024, 32768])
@pytest.mark.parametrize("highest", [200, 4000, None])
def test_rescale_equals_arithmetic_without_bounds(
    dtype: str, intercept: int, highest: int | None
) -> None:
    limits = np.iinfo(dtype)
    low, high = (limits.min, limits.max) if highest is None else (0, min(highest, limits.max))
    stored = np.random.default_rng(1).integers(low, high, (20, 20), endpoint=True).astype(dtype)
    expected = np.clip(stored.astype(np.int64) + intercept, -32768, 32767)
    found = rescale(stored, 1.0, float(intercept))
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, expected)
