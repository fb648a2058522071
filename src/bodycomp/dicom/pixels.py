"""Stored pixels of one file -> Hounsfield units."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, AllTransferSyntaxes, JPEGExtended12Bit
from scipy import ndimage

from bodycomp.dicom.file_header import open_dicom
from bodycomp.dicom.stored import StoredImage, decode_stored
from bodycomp.errors import SeriesError
from bodycomp.scan import SliceFile

_INT16: Final = np.iinfo(np.int16)
_AIR_HU: Final = -900.0
_OUTSIDE_HU: Final = -1024


def why_not_decodable(transfer_syntax_uid: str, bits_stored: int) -> str | None:
    """Return why pixels in this transfer syntax cannot be decoded, None if they can.

    Lossy JPEG with 12 bits and the retired progressive forms of JPEG have no decoder under a
    licence that we can depend on.
    """
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


def readable_syntaxes() -> tuple[str, ...]:
    """Return the transfer syntaxes of which CT can be decoded, in the order of their UIDs."""
    return tuple(
        str(syntax) for syntax in AllTransferSyntaxes if why_not_decodable(syntax, 16) is None
    )


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
        if slope_hu == 1 and stored.dtype.itemsize == 2 and stored.dtype.isnative and stored.size:
            low, high = int(stored.min()), int(stored.max())
            if _INT16.min <= low + intercept_hu and high + intercept_hu <= _INT16.max:
                # Fast: wrapping twice around 16 bits ends at the right value.
                shift = np.int64(intercept_hu).astype(np.int16)
                return stored.view(np.int16) + shift
        wide = np.dtype(np.int64 if stored.dtype.itemsize > 2 else np.int32)
        hu = stored.astype(wide) * int(slope_hu) + int(intercept_hu)
        clipped: NDArray[np.int16] = np.clip(hu, _INT16.min, _INT16.max).astype(np.int16)
        return clipped
    return (stored.astype(np.float64) * slope_hu + intercept_hu).astype(np.float32)


class HuReader:
    """Reads images in HU; keeps the last file, so that the frames of one file are read once."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._dataset: FileDataset | None = None

    def read(self, item: SliceFile) -> NDArray[np.int16] | NDArray[np.float32]:
        """Return the (row, column) pixels of a slice in HU.

        Pixels that the header calls padding become air where its value would lie in the body.

        Raises:
            SeriesError: The file is not DICOM, holds no such image that can be decoded, or holds
                bytes in another order than its header says.
        """
        try:
            dataset = self._open(item.path)
            image = None if dataset is None else decode_stored(dataset, item.frame_number)
        except (MemoryError, SeriesError):
            raise
        except Exception as error:
            # pydicom and its decoders raise many types; their messages may quote the path.
            raise SeriesError(
                f"pixels cannot be decoded ({type(error).__name__})",
                hint="Copy the series again: files may be truncated, or their compression is not "
                "supported.",
            ) from error
        if image is None:
            raise SeriesError("expected a DICOM file, found another one")
        return _to_hu(image, item.slope_hu, item.intercept_hu)

    def _open(self, path: Path) -> FileDataset | None:
        if path != self._path:
            self._dataset, self._path = open_dicom(path, pixels=True), path
        return self._dataset


def _to_hu(
    image: StoredImage, slope_hu: float, intercept_hu: float
) -> NDArray[np.int16] | NDArray[np.float32]:
    hu = rescale(image.values, slope_hu, intercept_hu)
    # Scanners pad with values below air, which stay as they are.
    if image.padding is not None and _is_out_of_range(image, slope_hu, intercept_hu):
        low, high = image.padding
        stray = (image.raw >= low) & (image.raw <= high) & (hu > _AIR_HU)
        hu[connected_to_border(stray)] = _OUTSIDE_HU
    return hu


def _is_out_of_range(image: StoredImage, slope_hu: float, intercept_hu: float) -> bool:
    """Whether padding can look like something denser than air."""
    cut_off = image.raw is not image.values  # bits of padding are lost, so that it may be anything
    return cut_off or any(
        value * slope_hu + intercept_hu > _AIR_HU for value in image.padding or ()
    )


def connected_to_border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the parts of a (row, column) mask that reach the border of the image.

    What lies outside the scanned circle does; a pixel of tissue that happens to have the value of
    padding does not.
    """
    parts, _ = ndimage.label(mask)
    border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    reached: NDArray[np.bool_] = np.isin(parts, border[border > 0])
    return reached
