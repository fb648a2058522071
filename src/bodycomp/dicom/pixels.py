"""Stored pixels of one file -> Hounsfield units."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, JPEGExtended12Bit

from bodycomp.dicom.file_header import open_dicom, quiet_pydicom
from bodycomp.errors import SeriesError

_INT16: Final = np.iinfo(np.int16)


def why_not_decodable(transfer_syntax_uid: str, bits_stored: int) -> str | None:
    """Return why pixels in this transfer syntax cannot be decoded, None if they can.

    Lossy JPEG with 12 bits and the retired progressive forms of JPEG have no decoder under a
    licence that we can depend on.
    """
    with quiet_pydicom():
        syntax = UID(transfer_syntax_uid)
    name = syntax.name if syntax.is_transfer_syntax else f"{transfer_syntax_uid!r}"
    if not syntax.is_transfer_syntax or not syntax.is_compressed or syntax.is_deflated:
        return None if syntax.is_transfer_syntax else f"unknown transfer syntax {name}"
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available or (syntax == JPEGExtended12Bit and bits_stored > 8):
        return f"no decoder for {name} with {bits_stored} bits"
    return None


def is_integral(slope_hu: float, intercept_hu: float) -> bool:
    """Whether this rescale turns whole stored values into whole HU."""
    return float(slope_hu).is_integer() and float(intercept_hu).is_integer()


def rescale(
    stored: NDArray[np.generic], slope_hu: float, intercept_hu: float
) -> NDArray[np.int16] | NDArray[np.float32]:
    """Return ``slope * stored + intercept``: int16 when the rescale is integral, else float32.

    HU beyond int16 are clipped. Padding is rescaled like any value (PS3.3 C.7.5.1.1.2), so that a
    scanner's -2000 outside the scanned circle becomes -3024 HU, below air.
    """
    if is_integral(slope_hu, intercept_hu) and stored.dtype.kind in "iu":
        hu = stored.astype(np.int32) * int(slope_hu) + int(intercept_hu)
        return np.clip(hu, _INT16.min, _INT16.max).astype(np.int16)
    return (stored.astype(np.float64) * slope_hu + intercept_hu).astype(np.float32)


def decode_hu(
    path: Path, slope_hu: float, intercept_hu: float
) -> NDArray[np.int16] | NDArray[np.float32]:
    """Return one file's (row, column) pixels in HU.

    Raises:
        SeriesError: The file is not DICOM or holds no single-frame image that can be decoded.
    """
    try:
        with quiet_pydicom():
            dataset = open_dicom(path, pixels=True)
            stored = None if dataset is None else dataset.pixel_array
    except MemoryError:
        raise
    except Exception as error:
        # pydicom and its decoders raise many types; their messages may quote the path.
        raise SeriesError(
            f"pixels cannot be decoded ({type(error).__name__})",
            hint="The file may be truncated, or compressed in a way that is not supported.",
        ) from error
    if stored is None:
        raise SeriesError("expected a DICOM file, found another one")
    if stored.ndim != 2:
        raise SeriesError(f"expected one (row, column) image, found shape {stored.shape}")
    return rescale(stored, slope_hu, intercept_hu)
