"""Masks that were found and their truth, slice by slice, compared while the next ones are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.masks import MaskAgreement, compare_masks
from bodycomp.anatomy import NOT_ANNOTATED_LABEL, Tissue

_THREADS: Final = 2
_WAITING: Final = 16
"""Slices between the network and the metrics; each is about 1 MB."""


@dataclass(frozen=True, eq=False)
class SliceCase:
    """One slice to compare.

    Attributes:
        source: Split of a training set, or name of a mask file without its suffix.
        index: Sample in the split, or slice in the volume, feet to head.
        patient: Whose it is; None if nothing says so.
        mask, truth: (row, column) labels; the truth may be ``NOT_ANNOTATED_LABEL``.
        pixel_spacing_mm: Distance between rows and between columns; None if nothing states it.
        hu: (row, column), or None.
    """

    source: str
    index: int
    patient: str | None
    mask: NDArray[np.uint8] = field(repr=False)
    truth: NDArray[np.uint8] = field(repr=False)
    pixel_spacing_mm: tuple[float, float] | None = None
    hu: NDArray[Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """How well the masks of one slice agree.

    Attributes:
        source, index, patient: As of its ``SliceCase``.
        agreement: Tissue key -> agreement, and ``agreement.masks.ALL_TISSUES``.
    """

    source: str
    index: int
    patient: str | None
    agreement: Mapping[str, MaskAgreement]


def compare_cases(cases: Iterable[SliceCase], tissues: Sequence[Tissue]) -> Iterator[SliceRecord]:
    """Yield the record of every case, in order; few cases are in memory at once.

    A slice of which no pixel is annotated is no case.

    Threads compare while ``cases`` makes the next ones: SciPy and NumPy let go of Python's lock
    where they spend their time.
    """
    waiting: deque[Future[SliceRecord]] = deque()
    with ThreadPoolExecutor(_THREADS) as threads:
        try:
            for case in cases:
                if (case.truth == NOT_ANNOTATED_LABEL).all():
                    continue
                waiting.append(threads.submit(_compare, case, tissues))
                if len(waiting) >= _WAITING:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _compare(case: SliceCase, tissues: Sequence[Tissue]) -> SliceRecord:
    agreement = compare_masks(case.mask, case.truth, tissues, case.pixel_spacing_mm, case.hu)
    return SliceRecord(case.source, case.index, case.patient, agreement)
