"""What a person painted on the page: changed pixels of measured slices, told from a mask.

The page counts pixels row by row in the slice as the scan has it, so that a painting means the same
pixels whichever way the patient is turned, and however much of the slice the page shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.digests import key_of

_RUN: Final = re.compile(r"(\d{1,9})\+(\d{1,9})=(\d{1,3})")


@dataclass(frozen=True, slots=True)
class PaintedRun:
    """Pixels in a row that got one label, 0 for none."""

    first: int
    count: int
    label: int


@dataclass(frozen=True, slots=True)
class PaintedSlice:
    """The changed pixels of one slice, counted from 0 at the feet."""

    index: int
    runs: tuple[PaintedRun, ...]


@dataclass(frozen=True, slots=True)
class Painting:
    """What was painted of one case, on the masks of the file with the digest ``masks_from``."""

    masks_from: str
    slices: tuple[PaintedSlice, ...]

    @classmethod
    def parse(cls, masks: str, masks_from: str) -> Painting:
        """Read ``SLICE:FIRST+COUNT=LABEL,...;SLICE:...``.

        Raises:
            ValueError: It is none; the message says what is wrong.

        >>> Painting.parse("57:10+3=1,20+1=0", "0123456789ab").slices[0].runs[1]
        PaintedRun(first=20, count=1, label=0)
        """
        slices = []
        for part in masks.split(";"):
            index, _, runs = part.partition(":")
            found = [_RUN.fullmatch(run) for run in runs.split(",")]
            if not (index.isascii() and index.isdigit()) or None in found:
                raise ValueError("expected SLICE:FIRST+COUNT=LABEL,... as the page writes it")
            numbers = (map(int, run.groups()) for run in found if run)
            slices.append(PaintedSlice(int(index), tuple(PaintedRun(*each) for each in numbers)))
        if len({each.index for each in slices}) < len(slices):
            raise ValueError("expected each slice once")
        return cls(masks_from, tuple(slices))

    @property
    def digest(self) -> str:
        """What tells one painting from another, 12 digits."""
        return key_of(self.masks_from, repr(self.slices))

    @property
    def indices(self) -> tuple[int, ...]:
        """The slices that were painted."""
        return tuple(each.index for each in self.slices)

    def fault(self, slices: int, labels: Iterable[int]) -> str:
        """Return what does not fit a scan of so many slices and these tissues; empty if all does.

        The size of a slice is known with the scan.
        """
        high = [index for index in self.indices if index >= slices]
        if high:
            return f"expected slices from 0 to {slices - 1}, found {high[0]}"
        known = {0, *labels}
        strange = {run.label for each in self.slices for run in each.runs} - known
        if strange:
            return f"expected labels {sorted(known)}, found {min(strange)}"
        return ""

    def on(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (slice, row, column) labels with the changed pixels.

        Raises:
            ValueError: A run reaches out of its slice.
        """
        painted = labels.copy()
        for each in self.slices:
            pixels = painted[each.index].reshape(-1)  # a view: the copy is contiguous
            for run in each.runs:
                end = run.first + run.count
                if end > pixels.size:
                    raise ValueError(
                        f"expected pixels below {pixels.size} of slice {each.index}, "
                        f"found {end - 1}"
                    )
                pixels[run.first : end] = run.label
        return painted
