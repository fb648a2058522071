"""Masks made anywhere against their truth: NumPy arrays, label maps, DICOM SEG, folders of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from bodycomp.anatomy import ABDOMINAL_TISSUES, Tissue
from bodycomp.annotation.kinds import kind_of, volume_header
from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.masks import read_masks
from bodycomp.annotation.read_scan import read_scan
from bodycomp.annotation.scan import Scan
from bodycomp.errors import SeriesError, UsageError
from bodycomp.evaluation.mask_arrays import (
    ARRAY_SUFFIX,
    array_cases,
    open_mask_array,
    open_truth_array,
)
from bodycomp.evaluation.mask_pairs import MaskPair, pair_masks
from bodycomp.evaluation.slice_records import SliceCase, SliceRecord, compare_cases
from bodycomp.imaging.grid import blank_volume

_LOG: Final = logging.getLogger(__name__)
OWN_LABELS: Final = LabelMapping.parse(
    f"{label}={tissue.key}"
    for tissue in ABDOMINAL_TISSUES
    for label in (tissue.label, tissue.key, tissue.title)
)
"""The labels and names that bodycomp writes itself."""


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """How masks are read.

    Attributes:
        scan: The scan that was labelled, a volume file or a folder of DICOM images, or for two
            folders of masks the folder of all scans. It gives HU, and the grid that DICOM SEG and
            RTSTRUCT need.
        predicted_labels, truth_labels: What labels mean.
        tissues: What is compared.
        pixel_spacing_mm: Between rows and between columns, for NumPy arrays alone; None if not
            known.
    """

    scan: Path | None = None
    predicted_labels: LabelMapping = OWN_LABELS
    truth_labels: LabelMapping = OWN_LABELS
    tissues: tuple[Tissue, ...] = ABDOMINAL_TISSUES
    pixel_spacing_mm: tuple[float, float] | None = None


_DEFAULTS: Final = MaskOptions()


@dataclass(frozen=True, eq=False)
class MaskRun:
    """Masks and their truth; iterating reads and compares them, one pair in memory at once.

    Attributes:
        pairs: What belongs together.
        tissues: What is compared.
    """

    pairs: tuple[MaskPair, ...]
    tissues: tuple[Tissue, ...]
    _options: MaskOptions = field(repr=False)

    def __iter__(self) -> Iterator[SliceRecord]:
        """Yield a record for every slice that the truth says something of.

        Raises:
            TrainingSetError: Arrays that cannot be compared.
            SeriesError: A file that cannot be read, on another grid than its truth, or with a
                label that has no meaning.
            UsageError: A format that cannot be read without the scan.
        """
        return compare_cases(self._cases(), self.tissues)

    def _cases(self) -> Iterator[SliceCase]:
        for pair in self.pairs:
            yield from _cases_of(pair, self._options)


def evaluate_masks(predicted: Path, truth: Path, options: MaskOptions = _DEFAULTS) -> MaskRun:
    """Pair masks with their truth to compare them; files are read while iterating.

    Two ``.npy`` files, two label maps (NIfTI, NRRD; DICOM SEG and RTSTRUCT with the scan), or two
    folders of such files paired by name. A label map need not have the truth's order of axes, but
    must lie on the same grid. Of volumes only slices with a label in the truth are compared, as the
    others may not have been annotated; of arrays all are. Each volume file counts as a patient.

    Args:
        predicted: Masks that were found.
        truth: What is true.
        options: How they are read.

    Raises:
        InputNotFoundError: Nothing is there.
        UsageError: Files that do not pair.
    """
    return MaskRun(pair_masks(predicted, truth, options.scan), options.tissues, options)


def _cases_of(pair: MaskPair, options: MaskOptions) -> Iterator[SliceCase]:
    arrays = [path.suffix == ARRAY_SUFFIX for path in (pair.predicted, pair.truth)]
    if all(arrays):
        found = open_mask_array(pair.predicted, options.predicted_labels)
        true = open_truth_array(pair.truth, options.truth_labels)
        return array_cases(found, true, pair.name, options.pixel_spacing_mm)
    if any(arrays):
        raise UsageError(
            f"expected two NumPy arrays or two label maps, found {pair.predicted.name} and "
            f"{pair.truth.name}",
            hint="An array does not say where it lies; convert one of them.",
        )
    return _volume_cases(pair, options)


def _volume_cases(pair: MaskPair, options: MaskOptions) -> Iterator[SliceCase]:
    scan = read_scan(pair.scan, min_slices=1) if pair.scan else _without_scan(pair.truth)
    truth = read_masks([pair.truth], scan, options.truth_labels)
    found = read_masks([pair.predicted], scan, options.predicted_labels)
    for note in dict.fromkeys((*scan.notes, *truth.notes, *found.notes)):
        _LOG.warning("%s", note)
    annotated: Sequence[int] = [int(index) for index in np.flatnonzero(truth.annotated)]
    if not annotated:
        raise SeriesError(f"{pair.truth.name}: expected labels, found none on any slice")
    for index in annotated:
        yield SliceCase(
            source=pair.name,
            index=index,
            patient=pair.name,
            mask=found.labels[index],
            truth=truth.labels[index],
            pixel_spacing_mm=scan.volume.pixel_spacing_mm,
            hu=scan.volume.hu[index] if pair.scan else None,
        )


def _without_scan(truth: Path) -> Scan:
    """Return a scan without an image on the grid of a label map."""
    grid = volume_header(truth)
    if grid is None:
        raise UsageError(
            f"{truth.name}: expected a label map as NIfTI or NRRD, found {kind_of(truth)}",
            hint="Name the scan as well: this format lies on the scan's grid.",
        )
    volume = blank_volume(grid, truth.name)
    count = len(volume)
    return Scan(volume, "labels", (truth,) * count, ("",) * count)
