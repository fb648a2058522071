"""Stored pixels of one image, and what its header gets wrong about their bits.

PS3.5 8.1.1 puts a stored value of Bits Stored bits into Bits Allocated ones, its top at High Bit.
Writers left-justify it, put overlays into the unused bits, leave them blank or extend the sign into
them, store more bits than they declare, or swap bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, RLELossless

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
    # All allocated bits: padding may use those above Bits Stored, and so may values by mistake.
    options: Any = {"correct_unused_bits": False}  # pydicom types its options as another thing
    if not syntax.is_encapsulated:
        options["bits_stored"] = integer(dataset, "BitsAllocated") or 0
    raw, _ = get_decoder(syntax).as_array(dataset, index=index, **options)
    if raw.ndim != 2 or (frame_number is None and (integer(dataset, "NumberOfFrames") or 1) > 1):
        raise SeriesError(f"expected one (row, column) image, found shape {raw.shape}")
    if not syntax.is_encapsulated:
        _check_byte_order(raw)
    padding = _padding(raw.dtype, dataset)
    # Codestreams of JPEG know no High Bit: they begin with the lowest bit that is used.
    justified = not syntax.is_encapsulated or syntax == RLELossless
    layout = _layout(raw.dtype, dataset, justified=justified)
    values = raw if layout is None else _stored_bits(raw, layout, padding)
    return StoredImage(values, raw, padding)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a stored value lies in its word: ``stored`` bits above ``low`` unused ones.

    ``overlay`` has the bits that the header gives to overlays.
    """

    stored: int
    low: int
    overlay: int


def _layout(dtype: np.dtype[Any], dataset: Dataset, *, justified: bool) -> _Layout | None:
    """Return the layout of the words, None where every bit belongs to the value."""
    allocated = 8 * dtype.itemsize
    stored = integer(dataset, "BitsStored") or allocated
    high = integer(dataset, "HighBit") if justified else None
    low = 0 if high is None else max(high + 1 - stored, 0)
    if stored >= allocated or low + stored > allocated:
        return None
    return _Layout(stored, low, _overlay_bits(dataset))


def _overlay_bits(dataset: Dataset) -> int:
    """Return the bits that overlays take in the pixels' words (PS3.5 8.1.2, retired)."""
    bits = 0
    for group in range(0x6000, 0x6020, 2):
        position = dataset.get((group, 0x0102))
        found = None if position is None else position.value
        if isinstance(found, int) and 0 < found < 32 and (group, 0x3000) not in dataset:
            bits |= 1 << found
    return bits


def _stored_bits(
    raw: NDArray[Any], layout: _Layout, padding: tuple[int, int] | None
) -> NDArray[Any]:
    """Cut the stored value out of the allocated bits, with its sign.

    Unused bits may be blank, hold overlays that the header declares, or repeat the sign; pixels
    of padding may have anything in them.
    """
    allocated = 8 * raw.dtype.itemsize
    lowest = ((1 << layout.low) - 1) & ~layout.overlay
    if np.any(raw & raw.dtype.type(lowest)):
        high = layout.low + layout.stored - 1
        raise SeriesError(
            f"HighBit {high} contradicts the pixels, which use the lowest bits",
            hint="Correct HighBit and BitsStored, or export the series again.",
        )
    shift = allocated - layout.stored
    values: NDArray[Any] = (raw << (shift - layout.low)) >> shift
    words = raw >> layout.low
    if not np.array_equal(words, values):  # equal in nearly all files
        counts = np.ones(raw.shape, np.bool_)
        if padding is not None:
            counts = (raw < padding[0]) | (raw > padding[1])
        if not _fit(raw, values, counts, layout):
            raise _contradiction(words[counts & (words != values)], layout)
    return values


def _fit(
    raw: NDArray[Any], values: NDArray[Any], counts: NDArray[np.bool_], layout: _Layout
) -> bool:
    """Whether the bits above a value are blank, or repeat its sign, in all pixels that count."""
    used = ((1 << layout.stored) - 1) << layout.low
    above = ((1 << 8 * raw.dtype.itemsize) - 1) & ~(used | ((1 << layout.low) - 1) | layout.overlay)
    if not above:
        return True
    upper = raw.view(f"u{raw.dtype.itemsize}") & above
    blank, negative = upper == 0, values < 0
    extended = negative & (upper == above)
    cut_off = negative & blank & counts
    if np.any(counts & ~(blank | extended)):
        return False
    if not cut_off.any():
        return True
    # A set sign below blank bits: the sign is cut off in all pixels, or the value is too large.
    too_large = np.where(cut_off, (raw & used) >> layout.low, values)
    return not np.any(counts & extended) and _roughness(values) <= _roughness(too_large)


def _contradiction(found: NDArray[Any], layout: _Layout) -> SeriesError:
    signed = found.dtype.kind == "i"
    low = -(1 << (layout.stored - 1)) if signed else 0
    high = (1 << (layout.stored - int(signed))) - 1
    return SeriesError(
        f"BitsStored {layout.stored} contradicts the pixels: expected stored values from {low} to "
        f"{high}, found others, {int(found.min())} to {int(found.max())}",
        hint="Correct BitsStored and HighBit to the bits that the pixels use, often 16 and 15, or "
        "export the series again.",
    )


def _check_byte_order(raw: NDArray[Any]) -> None:
    """Refuse 16-bit images that are far smoother with their bytes swapped.

    Neighbours in a CT image are alike. With swapped bytes they are like noise.
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
