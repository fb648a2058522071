"""Masks that were found and their truth, slice by slice, compared while the next ones are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.masks import MaskAgreement, compare_masks
from bodycomp.anatomy import NOT_ANNOTATED_LABEL, Tissue
from bodycomp.preparation.splits import pseudonyms
from bodycomp.processes import results_in_order
from bodycomp.tables import Cell

QUANTITIES: Final = MaskAgreement.__slots__
"""Names of the quantities of a ``MaskAgreement``, in its order."""

_THREADS: Final = 2
_WAITING: Final = 16
"""Slices between the network and the metrics; each is about 1 MB."""


@dataclass(frozen=True, eq=False)
class SliceMasks:
    """One slice to compare, of a split of a training set or of a mask file.

    ``mask`` and ``truth`` are (row, column) labels, of which the truth may be those of
    ``background_or``. What nothing states is None.
    """

    source: str
    index: int
    patient: str | None
    mask: NDArray[np.uint8] = field(repr=False)
    truth: NDArray[np.uint8] = field(repr=False)
    pixel_spacing_mm: tuple[float, float] | None = None
    hu: NDArray[Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SegmentationRow:
    """One tissue on one slice, or ``ALL_TISSUES``; a row of ``segmentation.csv``.

    ``is_in_interval`` says whether the model's interval of the area holds the true one; None
    without an interval.
    """

    source: str
    index: int
    patient: str | None
    tissue: str
    agreement: MaskAgreement
    is_in_interval: bool | None = None

    @property
    def case(self) -> str:
        """Name of the slice."""
        return f"{self.source}/{self.index}"

    def cells(self) -> Mapping[str, Cell]:
        """Return a row of the table."""
        return {
            "source": self.source,
            "index": self.index,
            "patient": self.patient,
            "tissue": self.tissue,
            **{name: getattr(self.agreement, name).value for name in QUANTITIES},
        }


def compare_slices(
    slices: Iterable[SliceMasks],
    tissues: Sequence[Tissue],
    done: Callable[[int], None] = lambda _: None,
) -> Iterator[SegmentationRow]:
    """Yield the rows of every slice, in order; few slices are in memory at once.

    A slice of which no pixel is annotated has none. Threads compare while ``slices`` makes the next
    ones: SciPy and NumPy let go of Python's lock where they spend their time. ``done`` is called
    with 1 after every slice.
    """
    annotated = (one for one in slices if not (one.truth == NOT_ANNOTATED_LABEL).all())
    with ThreadPoolExecutor(_THREADS) as threads:
        compare = partial(_compare, tissues)
        for rows in results_in_order(threads, compare, annotated, _WAITING):
            done(1)
            yield from rows


def _compare(tissues: Sequence[Tissue], one: SliceMasks) -> list[SegmentationRow]:
    agreements = compare_masks(one.mask, one.truth, tissues, one.pixel_spacing_mm, one.hu)
    return [
        SegmentationRow(one.source, one.index, one.patient, tissue, agreement)
        for tissue, agreement in agreements.items()
    ]


def without_names(rows: Sequence[SegmentationRow]) -> list[SegmentationRow]:
    """Return the rows with numbers for the names of patients, and of the files named after them."""
    numbers = pseudonyms({row.patient for row in rows if row.patient is not None}, seed=0)
    return [
        replace(
            row,
            source=numbers.get(row.source, row.source),
            patient=numbers.get(row.patient or ""),
        )
        for row in rows
    ]
