"""Masks made anywhere against their truth: NumPy arrays, label maps, DICOM SEG, folders of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, NOT_ANNOTATED_LABEL
from bodycomp.annotation.labels import LabelMapping, Structure
from bodycomp.annotation.masks import read_masks
from bodycomp.data.arrays import ArrayHeader, inspect_array, read_samples
from bodycomp.data.issues import Issue, as_error
from bodycomp.data.label_declaration import read_declaration, with_background
from bodycomp.data.layout import SPLITS, images_path, masks_path
from bodycomp.errors import InputNotFoundError, SeriesError, TrainingSetError, UsageError
from bodycomp.evaluation.segmentation_set import SampleOrigin, read_origins
from bodycomp.evaluation.slice_masks import SliceMasks
from bodycomp.imaging.grid import blank_volume
from bodycomp.reading.kinds import Kind, kind_of, structure_name, volume_header
from bodycomp.reading.read_scan import read_scan
from bodycomp.scan import Scan

ARRAY_SUFFIX: Final = ".npy"


@dataclass(frozen=True, eq=False)
class MaskArray:
    """A file of label masks: slices, rows and columns, and what its labels mean.

    ``backgrounds`` are those of ``LabelDeclaration``.
    """

    header: ArrayHeader
    shape: tuple[int, int, int]
    labels: LabelMapping
    backgrounds: bytes = b""

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return the (row, column) labels of one slice.

        Raises:
            SeriesError: A label has no meaning.
        """
        has_slices = len(self.header.shape) > 2
        start, stop = (index, index + 1) if has_slices else (0, self.shape[1])
        plane = read_samples(self.header, start, stop).reshape(self.shape[1:])
        where = f"{self.header.path.name}, slice {index}"
        there = [int(value) for value in np.unique(plane) if value != 0]
        structures = [Structure(value) for value in there]
        self.labels.check(structures, where)
        tissues = np.zeros(self.shape[1:], np.uint8)
        for value, structure in zip(there, structures, strict=True):
            tissues[plane == value] = self.labels.find(structure)
        return with_background(tissues, self.backgrounds[index]) if self.backgrounds else tissues


def open_truth_array(path: Path, labels: LabelMapping) -> MaskArray:
    """Open a truth as ``open_mask_array`` does, with what its training set declares of labels."""
    opened, split = open_mask_array(path, labels), _split_of(path)
    if not split:
        return opened
    declared = read_declaration(path.parent)
    if isinstance(declared, Issue):
        raise as_error(declared, path.parent / declared.where)
    backgrounds = declared.backgrounds(split, opened.shape[0])
    if isinstance(backgrounds, Issue):
        raise as_error(backgrounds, path.parent / backgrounds.where)
    own = {str(NOT_ANNOTATED_LABEL): NOT_ANNOTATED_LABEL} if declared.not_annotated else {}
    labels = LabelMapping(own | dict(labels.labels))
    return replace(opened, labels=labels, backgrounds=backgrounds)


def open_mask_array(path: Path, labels: LabelMapping) -> MaskArray:
    """Open masks of shape (slice, row, column, 1), (slice, row, column) or (row, column)."""
    header = inspect_array(path)
    if isinstance(header, Issue):
        raise as_error(header, path)
    shape = header.shape[:-1] if len(header.shape) == 4 and header.shape[-1] == 1 else header.shape
    shape = (1, *shape) if len(shape) == 2 else shape
    if len(shape) != 3 or 0 in shape:
        raise TrainingSetError(
            f"{path}: expected masks of shape (slices, rows, columns), with or without a last axis "
            f"of 1, found {header.shape}"
        )
    if header.dtype.kind not in "iub":
        raise TrainingSetError(
            f"{path}: expected whole label numbers, found {header.dtype}",
            hint="Save the labels with astype('uint8'), not probabilities.",
        )
    return MaskArray(header, (shape[0], shape[1], shape[2]), labels)


def array_slices(predicted: MaskArray, truth: MaskArray, name: str) -> Iterator[SliceMasks]:
    """Yield every slice.

    Where the truth is ``<split>_masks.npy`` of a training set, its images and its manifest give HU,
    patients and the size of pixels.

    Raises:
        TrainingSetError: Shapes differ, or the manifest is for another set.
        SeriesError: A label has no meaning.
    """
    if predicted.shape != truth.shape:
        raise TrainingSetError(
            f"{predicted.header.path}: expected the shape of {truth.header.path.name}, "
            f"{truth.shape} slices, rows and columns, found {predicted.shape}"
        )
    split = _split_of(truth.header.path)
    origins, images = [SampleOrigin()] * truth.shape[0], None
    if split:
        origins = read_origins(truth.header.path.parent, split, truth.shape[0])
        images = _images_of(truth.header.path.parent, split, truth.shape)
    for index in range(truth.shape[0]):
        hu = None
        if images is not None:
            hu = read_samples(images, index, index + 1).reshape(truth.shape[1:])
        yield SliceMasks(
            source=split or name,
            index=index,
            patient=origins[index].patient,
            mask=predicted.read(index),
            truth=truth.read(index),
            pixel_spacing_mm=origins[index].pixel_spacing_mm,
            hu=hu,
        )


def _split_of(path: Path) -> str:
    """Return the split whose masks a file is, empty if it is none."""
    return next((split for split in SPLITS if masks_path(path.parent, split) == path), "")


def _images_of(folder: Path, split: str, shape: tuple[int, int, int]) -> ArrayHeader | None:
    header = inspect_array(images_path(folder, split))
    if isinstance(header, Issue) or header.shape not in {shape, (*shape, 1)}:
        return None
    return header


_LOG: Final = logging.getLogger(__name__)
_LISTED: Final = 5
_FILES: Final = frozenset({Kind.NIFTI, Kind.NRRD, Kind.SEG, Kind.RTSTRUCT})

OWN_LABELS: Final = LabelMapping.parse(
    f"{label}={tissue.key}"
    for tissue in ABDOMINAL_TISSUES
    for label in (tissue.label, tissue.key, tissue.title)
)
"""The labels and names that bodycomp writes itself."""


@dataclass(frozen=True, slots=True)
class MaskPair:
    """Masks that were found, their truth, and the scan that was labelled if one was given.

    ``name`` is the truth's file name without its suffix. The scan gives HU, and the grid that DICOM
    SEG and RTSTRUCT need.
    """

    name: str
    predicted: Path
    truth: Path
    scan: Path | None = None


# --- which file belongs to which truth ------------------------------------------------------------


def pair_masks(predicted: Path, truth: Path, scan: Path | None = None) -> tuple[MaskPair, ...]:
    """Return two files as one pair, or the files of two folders paired by name.

    Suffixes do not count: ``case7.nii.gz`` belongs to ``case7.nrrd``. In a folder of scans a case's
    scan is the file or folder of its name.

    Raises:
        InputNotFoundError: Nothing is there.
        UsageError: A file and a folder; a file without a partner; two files of one name.
    """
    for path in (predicted, truth, *([scan] if scan else [])):
        if not path.exists():
            raise InputNotFoundError(f"expected a file or folder, found nothing at {path}")
    if predicted.is_dir() != truth.is_dir():
        raise UsageError(
            f"expected two files or two folders, found {predicted.name} and {truth.name}",
            hint="Give the masks of one scan as one label map.",
        )
    if truth.is_file():
        return (MaskPair(structure_name(truth), predicted, truth, scan),)
    found, true = _by_name(predicted), _by_name(truth)
    _check_partners(found, true, predicted, truth)
    scans = _by_name(scan, folders=True) if scan else {}
    missing = [name for name in true if scan and name not in scans]
    if missing:
        raise InputNotFoundError(
            f"expected a scan in {scan} for each truth, found none for {_some(missing)}",
            hint="A scan has the name of its case, as a volume file or a folder of DICOM images.",
        )
    return tuple(MaskPair(name, found[name], true[name], scans.get(name)) for name in sorted(true))


def _by_name(folder: Path, *, folders: bool = False) -> dict[str, Path]:
    """Return name -> file with masks or a scan; others, such as notes, are passed over."""
    paths: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        is_read = (
            folders if path.is_dir() else path.suffix == ARRAY_SUFFIX or kind_of(path) in _FILES
        )
        if path.name.startswith(".") or not is_read:
            continue
        name = path.name if path.is_dir() else structure_name(path)
        if name in paths:
            raise UsageError(
                f"{folder}: expected one file for each case, found {paths[name].name} and "
                f"{path.name}",
                hint="Remove one of them.",
            )
        paths[name] = path
    return paths


def _check_partners(
    found: Mapping[str, Path], true: Mapping[str, Path], predicted: Path, truth: Path
) -> None:
    if not true:
        raise InputNotFoundError(f"expected files with masks in {truth}, found none")
    alone = [
        f"{side[name].name} only in {folder}"
        for side, folder in ((found, predicted), (true, truth))
        for name in side
        if name not in found or name not in true
    ]
    if alone:
        raise UsageError(
            f"expected files of the same names in both folders, found {_some(alone)}",
            hint="Names are compared without .nii, .nii.gz, .nrrd, .seg.nrrd, .npy or .dcm.",
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


# --- their slices ---------------------------------------------------------------------------------


def open_masks(pairs: Iterable[MaskPair], truth_labels: LabelMapping) -> Iterator[SliceMasks]:
    """Yield the slices of every pair, one pair in memory at once.

    A label map need not have the truth's order of axes, but must lie on the same grid. Of volumes
    only slices with a label in the truth are compared, as the others may not have been annotated;
    of arrays all are. Each volume file counts as a patient. Masks that were found have the
    project's own labels.

    Raises:
        TrainingSetError: Arrays that cannot be compared.
        SeriesError: A file that cannot be read, on another grid than its truth, or with a label
            that has no meaning.
        UsageError: A format that cannot be read without the scan.
    """
    for pair in pairs:
        arrays = [path.suffix == ARRAY_SUFFIX for path in (pair.predicted, pair.truth)]
        if all(arrays):
            found = open_mask_array(pair.predicted, OWN_LABELS)
            yield from array_slices(found, open_truth_array(pair.truth, truth_labels), pair.name)
        elif any(arrays):
            raise UsageError(
                f"expected two NumPy arrays or two label maps, found {pair.predicted.name} and "
                f"{pair.truth.name}",
                hint="An array does not say where it lies; convert one of them.",
            )
        else:
            yield from _volume_slices(pair, truth_labels)


def _volume_slices(pair: MaskPair, truth_labels: LabelMapping) -> Iterator[SliceMasks]:
    scan = read_scan(pair.scan, min_slices=1) if pair.scan else _without_scan(pair.truth)
    truth = read_masks([pair.truth], scan, truth_labels)
    found = read_masks([pair.predicted], scan, OWN_LABELS)
    for note in dict.fromkeys((*scan.notes, *truth.notes, *found.notes)):
        _LOG.warning("%s", note)
    annotated = [int(index) for index in np.flatnonzero(truth.annotated)]
    if not annotated:
        raise SeriesError(f"{pair.truth.name}: expected labels, found none on any slice")
    for index in annotated:
        yield SliceMasks(
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
    return Scan(blank_volume(grid, truth.name), "labels", truth)
