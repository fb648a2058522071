"""Deflated DICOM (PS3.5 A.5), whose size is not known before it is inflated."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Final

from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from bodycomp.errors import SeriesError

MAX_BYTES: Final = 2 << 30
"""An enhanced CT of 4,000 slices of 512 x 512."""
MAX_RATIO: Final = 100
"""Deflate reaches 1032 on zeros alone; images of a scan stay below 100."""
_RATIO_MATTERS_BYTES: Final = 16 << 20
_STEP_BYTES: Final = 1 << 20
_META_START: Final = 132
"""File Meta Information follows the preamble and the prefix DICM (PS3.10 section 7.1)."""


def check_inflated_size(path: Path) -> None:
    """Check that a part 10 file, if it is deflated, inflates to no more than images would.

    It is inflated step by step and nothing is kept. Other files are not read beyond their meta
    information.

    Raises:
        SeriesError: It inflates to more than ``MAX_BYTES``, or to more than 16 MB and
            ``MAX_RATIO`` times its size.
        Exception: It is damaged; pydicom and zlib raise many types.
    """
    with path.open("rb") as file:
        file.seek(_META_START)
        meta = read_dataset(
            file,
            is_implicit_VR=False,
            is_little_endian=True,
            stop_when=lambda tag, _vr, _length: tag >> 16 != 2,
        )
        if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
            return
        limit = _limit_bytes(path.stat().st_size)
        inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while packed := inflater.unconsumed_tail or file.read(_STEP_BYTES):
            size += len(inflater.decompress(packed, _STEP_BYTES))
            if size > limit:
                raise SeriesError(
                    f"expected an image, found a deflated file of more than {limit / 1e6:.0f} MB",
                    hint="If it is one, store it without compression.",
                )
            if inflater.eof:
                return


def _limit_bytes(packed: int) -> int:
    return min(max(_RATIO_MATTERS_BYTES, MAX_RATIO * packed), MAX_BYTES)
