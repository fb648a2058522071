"""Stored pixels of one image, and what its header gets wrong about their bits.

PS3.5 8.1.1 lays a stored value of Bits Stored bits into Bits Allocated ones, its top at High Bit.
Writers left-justify it, put overlays into the unused bits, forget the sign, or swap bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from bodycomp.dicom.values import integer
from bodycomp.errors import SeriesError

_SWAPPED_FACTOR: Final = 4.0
_ROWS_LOOKED_AT: Final = 32


@dataclass(frozen=True, eq=False)
class StoredImage:
    """Stored values of one (row, column) image.

    Attributes:
        values: Whole numbers.
        raw: The same with all allocated bits.
        padding: Lowest and highest raw value that the header calls padding; None if it names none.
    """

    values: NDArray[Any]
    raw: NDArray[Any]
    padding: tuple[int, int] | None


def decode_stored(dataset: Dataset, frame_number: int | None) -> StoredImage:
    """Decode one image of a dataset.

    Args:
        dataset: A whole file.
        frame_number: From 1 in a multi-frame file; None in a file of one image.

    Raises:
        SeriesError: Another shape than one image; bits or bytes that contradict the header.
        Exception: What pydicom and its decoders raise over damaged pixels.
    """
    syntax = UID(str(dataset.file_meta.TransferSyntaxUID))
    index = 0 if frame_number is None else frame_number - 1
    if syntax.is_encapsulated:
        values, _ = get_decoder(syntax).as_array(dataset, index=index)
        raw = values
    else:
        # All allocated bits: padding may use those above Bits Stored.
        allocated = integer(dataset, "BitsAllocated") or 0
        options: Any = {"bits_stored": allocated}  # pydicom types its options as another thing
        raw, _ = get_decoder(syntax).as_array(dataset, index=index, **options)
        _check_byte_order(raw)
        values = _stored_bits(raw, dataset)
    if values.ndim != 2 or (frame_number is None and (integer(dataset, "NumberOfFrames") or 1) > 1):
        raise SeriesError(f"expected one (row, column) image, found shape {values.shape}")
    return StoredImage(values, raw, _padding(raw.dtype, dataset))


def _stored_bits(raw: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Cut the stored value out of the allocated bits, with its sign.

    Raises:
        SeriesError: High Bit says that low bits are unused, and they are used.
    """
    allocated = 8 * raw.dtype.itemsize
    stored = integer(dataset, "BitsStored") or allocated
    high = integer(dataset, "HighBit")
    low = 0 if high is None else max(high + 1 - stored, 0)
    if stored >= allocated or low + stored > allocated:
        return raw
    if low and np.any(raw & ((1 << low) - 1)):
        raise SeriesError(f"high bit {high} contradicts the pixels, which use the lowest bits")
    return (raw << (allocated - stored - low)) >> (allocated - stored)


def _check_byte_order(raw: NDArray[Any]) -> None:
    """Refuse 16-bit images that are far smoother with their bytes swapped.

    Neighbours in a CT image are alike. With swapped bytes they are like noise.

    Raises:
        SeriesError: The bytes are in the other order than the header says.
    """
    if raw.dtype.itemsize != 2 or raw.ndim != 2 or raw.shape[1] < 2:
        return
    rows = raw[:: max(len(raw) // _ROWS_LOOKED_AT, 1)]
    if _roughness(rows) > _SWAPPED_FACTOR * _roughness(rows.byteswap()) > 0:
        raise SeriesError("pixel bytes are in the other order than the transfer syntax says")


def _roughness(rows: NDArray[Any]) -> float:
    return float(np.abs(np.diff(rows.astype(np.int32), axis=1)).mean())


def _padding(dtype: np.dtype[Any], dataset: Dataset) -> tuple[int, int] | None:
    """Return the range of padding (PS3.3 C.7.5.1.1.2), whatever sign its value is given."""
    first = integer(dataset, "PixelPaddingValue")
    if first is None:
        return None
    last = integer(dataset, "PixelPaddingRangeLimit")
    ends = (first, first if last is None else last)
    low, high = sorted(_as_type(value, dtype) for value in ends)
    return low, high


def _as_type(value: int, dtype: np.dtype[Any]) -> int:
    """Return the number that has the same bits in another sign convention."""
    bits = 8 * dtype.itemsize
    wrapped = value % (1 << bits)
    return wrapped - (1 << bits) if dtype.kind == "i" and wrapped >> (bits - 1) else wrapped
