"""Bits above Bits Stored: what may lie in them, and when they contradict the header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import JPEGLSLossless, RLELossless

from bodycomp.dicom.header import PixelFormat, SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import Volume
from support.stored_images import decode_hu

SIZE = 16
few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    volume = Volume(np.zeros((1, SIZE, SIZE), np.int16), (1.0, 1.0), np.zeros(1))
    header = SeriesHeader(seed="s", pixels=PixelFormat(intercept_hu=0))
    return write_ct_series(tmp_path_factory.mktemp("bits"), volume, header)[0]


def stored(template: Path, values: np.ndarray, bits: int, syntax: str = "") -> Path:
    """A file with these 16-bit words, signed as they are, under a header that says ``bits``."""
    dataset = pydicom.dcmread(template)
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.PixelData = values.tobytes()
    if syntax:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    path = template.with_name("now.dcm")
    dataset.save_as(path)
    return path


def smooth(low: int, high: int) -> np.ndarray:
    """A slope from one value to the other, as neighbours in a CT slice are alike."""
    return np.linspace(low, high, SIZE * SIZE).round().reshape(SIZE, SIZE)


@few
@given(st.integers(10, 16), st.booleans(), st.booleans(), st.data())
def test_values_that_fit_come_back_whatever_the_sign_left_above_them(
    template: Path, bits: int, signed: bool, blank: bool, data: st.DataObject
) -> None:
    lowest, highest = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    highest = min(highest, 32767)  # HU are kept in 16 bits
    low = data.draw(st.integers(lowest, highest))
    high = data.draw(st.integers(low, highest))
    values = smooth(low, high).astype(np.int16 if signed else np.uint16)
    mask = (1 << bits) - 1 if blank and bits < 16 else -1
    words = values & values.dtype.type(mask) if blank and bits < 16 else values
    np.testing.assert_array_equal(decode_hu(stored(template, words, bits), 1, 0), values)


@few
@given(st.integers(10, 15), st.booleans(), st.data())
def test_one_value_that_does_not_fit_is_refused(
    template: Path, bits: int, signed: bool, data: st.DataObject
) -> None:
    """With air below it, as a slice of CT has it: -1000 HU, or 0 where values are unsigned."""
    lowest, highest = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    above = st.integers(highest + 1, 32767 if signed else 65535)
    wrong = data.draw(st.one_of(above, st.integers(-32768, lowest - 1)) if signed else above)
    values = smooth(max(-500, lowest), 500).astype(np.int16 if signed else np.uint16)
    values[5, 5] = wrong
    with pytest.raises(SeriesError, match=f"BitsStored {bits} contradicts the pixels") as error:
        decode_hu(stored(template, values, bits), 1, 0)
    assert str(wrong) in error.value.message
    assert "Correct BitsStored" in error.value.hint


def test_bone_above_the_range_is_not_taken_for_values_without_a_sign(template: Path) -> None:
    """No value is negative, so that nothing but the smoothness of bone tells."""
    values = smooth(0, 3000).astype(np.int16)
    with pytest.raises(SeriesError, match="from -2048 to 2047, found others, 2059 to 3000"):
        decode_hu(stored(template, values, 12), 1, 0)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("low", [-3024, -2000])
def test_compressed_values_are_held_to_the_same_rule(template: Path, syntax: str, low: int) -> None:
    values = smooth(low, 1500).astype(np.int16)
    path = stored(template, values, 12, syntax)
    if low < -2048:
        with pytest.raises(SeriesError, match="BitsStored 12 contradicts"):
            decode_hu(path, 1, 0)
    else:
        np.testing.assert_array_equal(decode_hu(path, 1, 0), values)


@pytest.mark.parametrize("signed", [True, False])
def test_overlays_that_are_declared_may_use_the_bits_above(template: Path, signed: bool) -> None:
    values = smooth(-900 if signed else 0, 900).astype(np.int16 if signed else np.uint16)
    drawn = np.zeros_like(values)
    drawn[3:6] = values.dtype.type(1 << 13)
    path = stored(template, values ^ drawn, 12)
    with pytest.raises(SeriesError, match="BitsStored 12 contradicts"):
        decode_hu(path, 1, 0)
    dataset = pydicom.dcmread(path)
    dataset.add_new((0x6002, 0x0100), "US", 16)
    dataset.add_new((0x6002, 0x0102), "US", 13)
    dataset.save_as(path)
    np.testing.assert_array_equal(decode_hu(path, 1, 0), values)


def test_padding_may_use_any_bits(template: Path) -> None:
    values = smooth(0, 900).astype(np.uint16)
    values[:2] = 63536
    path = stored(template, values, 12)
    with pytest.raises(SeriesError, match="BitsStored 12 contradicts"):
        decode_hu(path, 1, -1024)
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", "US", 63536)
    dataset.save_as(path)
    hu = decode_hu(path, 1, -1024)
    assert set(hu[:2].ravel()) == {-1024}
    np.testing.assert_array_equal(hu[2:], values[2:].astype(int) - 1024)
