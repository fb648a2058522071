"""Acquisitions of one series: those that follow one another make one stack, others several.

Step-and-shoot scanners count every rotation as an acquisition, and rotations of wide detectors
share their end slices. Two phases of contrast cover the same stretch of the body.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.dicom.file_header import FileHeader
from bodycomp.dicom.geometry import SAME_POSITION_MM, header_heights_mm

MAX_SHARED_SLICES: Final = 2
"""Acquisitions that share more slices at their ends overlap, and are series of their own."""

_DIVIDERS: Final[tuple[Callable[[FileHeader], Hashable], ...]] = (
    lambda header: header.acquisition_number,
    lambda header: header.phase_marks,
    lambda header: header.acquisition.kvp,
    lambda header: header.acquisition.kernel,
    lambda header: header.image_type,
)


def divider_values(header: FileHeader) -> tuple[str, ...]:
    """Return in words what keeps an image's stack apart from others of its series."""
    return tuple(str(divide(header)) for divide in _DIVIDERS)


def split_acquisitions(headers: Sequence[FileHeader]) -> list[tuple[list[FileHeader], int]]:
    """Split slices that cover the same stretch of the body more than once.

    Acquisition, phase in time, kVp, kernel and ImageType are tried in this order. Slices that do
    not overlap stay together. Where acquisitions share end slices, those of the one that was made
    first are kept.

    Returns:
        Stacks, and how many slices of each were left out for others in their places.
    """
    stacks = [(list(headers), 0)]
    for attribute in _DIVIDERS:
        stacks = [
            (kept, before + left_out)
            for stack, before in stacks
            for kept, left_out in _split_by(stack, attribute)
        ]
    return stacks


class _Piece:
    """Slices of one acquisition, and the stretch of the body that they cover."""

    def __init__(self, headers: list[FileHeader]) -> None:
        self.headers = headers
        self.heights_mm = header_heights_mm(headers)
        self.low_mm, self.high_mm = float(self.heights_mm.min()), float(self.heights_mm.max())

    def covered_by(self, other: _Piece, margin_mm: float = SAME_POSITION_MM) -> NDArray[np.bool_]:
        """Return (slice,) whether each slice lies in the other one's stretch."""
        inside: NDArray[np.bool_] = (self.heights_mm > other.low_mm - margin_mm) & (
            self.heights_mm < other.high_mm + margin_mm
        )
        return inside

    def follows(self, other: _Piece) -> bool:
        """Whether they share end slices at most, and each continues beyond the other."""
        pairs = ((self, other), (other, self))
        return all(
            one.covered_by(two).sum() <= min(MAX_SHARED_SLICES, len(one.headers) - 1)
            for one, two in pairs
        )

    def without_places_of(self, other: _Piece) -> list[FileHeader]:
        """Return the slices that lie in no place of the other one, within half a slice distance."""
        if not (self.covered_by(other).any() or other.covered_by(self).any()):
            return self.headers
        gaps_mm = np.diff(np.sort(other.heights_mm))
        half_mm = float(np.median(gaps_mm)) / 2 if gaps_mm.size else SAME_POSITION_MM
        inside = self.covered_by(other, half_mm)
        return [header for header, out in zip(self.headers, inside, strict=True) if not out]


def _split_by(
    headers: list[FileHeader], attribute: Callable[[FileHeader], Hashable]
) -> list[tuple[list[FileHeader], int]]:
    """Put each piece into the first stack whose pieces it follows."""
    groups: dict[Hashable, list[FileHeader]] = {}
    for header in sorted(headers, key=_order_of_making):
        groups.setdefault(attribute(header), []).append(header)
    stacks: list[list[_Piece]] = []
    for piece in map(_Piece, groups.values()):
        for stack in stacks:
            if all(piece.follows(other) for other in stack):
                stack.append(piece)
                break
        else:
            stacks.append([piece])
    return [_one_per_place(stack) for stack in stacks]


def _order_of_making(header: FileHeader) -> tuple[int, int]:
    return header.acquisition_number or 0, header.instance_number or 0


def _one_per_place(stack: Sequence[_Piece]) -> tuple[list[FileHeader], int]:
    kept: list[FileHeader] = []
    for number, piece in enumerate(stack):
        left: Sequence[FileHeader] = piece.headers
        for other in stack[:number]:
            apart = {id(header) for header in piece.without_places_of(other)}
            left = [header for header in left if id(header) in apart]
        kept += left
    return kept, sum(len(piece.headers) for piece in stack) - len(kept)
