"""Every format of annotations -> layers on a scan's grid: what a file is decides who reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bodycomp.annotation.dicom_layers import rtstruct_layers, seg_layers
from bodycomp.annotation.grid import place_label_map
from bodycomp.annotation.labels import Layer, Structure, Wanted, everything
from bodycomp.annotation.png_layers import png_layers
from bodycomp.errors import SeriesError
from bodycomp.imaging.label_map import LabelMap, values_in
from bodycomp.nifti import read_nifti_labels
from bodycomp.nrrd import NrrdSegment, read_nrrd_labels
from bodycomp.reading.kinds import Kind, kind_of, no_annotation, structure_name, visible_files
from bodycomp.scan import Scan

_MASK_LABELS: Final = frozenset({1, 255})


def nifti_layers(path: Path, scan: Scan, wanted: Wanted = everything) -> Iterator[Layer]:
    """Yield the layer of a NIfTI label map, which must cover the whole scan."""
    del wanted  # its labels have no names
    found = read_nifti_labels(path)
    labels = place_label_map(found, scan.volume, path.name, cropped=False)
    yield Layer(labels, _unnamed(values_in(labels), path), found.grid.notes)


def nrrd_layers(path: Path, scan: Scan, wanted: Wanted = everything) -> Iterator[Layer]:
    """Yield the layers of an NRRD label map or a ``.seg.nrrd``, which may be cropped."""
    del wanted
    found = read_nrrd_labels(path)
    for index, layer in enumerate(found.layers):
        segments = {
            segment.value: Structure(segment.value, segment.name)
            for segment in found.segments
            if segment.layer == index
        }
        _check_values(segments, found.segments, index, path)
        labels = place_label_map(layer, scan.volume, path.name, cropped=True)
        values = values_in(labels)
        structures = {value: segments.get(value, Structure(value)) for value in values}
        if not found.segments and len(found.layers) == 1:
            structures = _unnamed(values, path)
        yield Layer(labels, structures)


def mask_folder_layers(path: Path, scan: Scan, wanted: Wanted = everything) -> Iterator[Layer]:
    """Yield one layer per mask file; the structure's name is the file's without its suffix."""
    for file in visible_files(path):
        structure = Structure(None, structure_name(file))
        if not wanted(structure):
            continue
        mask = _one_mask(file)
        labels = place_label_map(mask, scan.volume, file.name, cropped=False)
        values = values_in(labels)
        if len(values) > 1:
            raise SeriesError(
                f"{path.name}/{file.name}: expected the mask of one structure, found labels "
                f"{', '.join(map(str, values[:5]))}",
                hint="Give a label map as a file, not as one of a folder.",
            )
        yield Layer(labels, dict.fromkeys(values, structure), mask.grid.notes)


def _unnamed(values: list[int], path: Path) -> dict[int, Structure]:
    """Return the structures of a plain label map.

    A map of a single label, 1 or 255, is the mask of one structure. It takes the file's name as
    its own, so that masks in files of their own can be kept apart.
    """
    name = structure_name(path) if len(values) == 1 and values[0] in _MASK_LABELS else ""
    return {value: Structure(value, name) for value in values}


def _one_mask(file: Path) -> LabelMap:
    if kind_of(file) is Kind.NIFTI:
        return read_nifti_labels(file)
    found = read_nrrd_labels(file)
    if len(found.layers) != 1:
        raise SeriesError(f"{file.name}: expected the mask of one structure, found layers")
    return found.layers[0]


def _check_values(
    segments: dict[int, Structure], declared: tuple[NrrdSegment, ...], layer: int, path: Path
) -> None:
    expected = sum(segment.layer == layer for segment in declared)
    if len(segments) != expected:
        raise SeriesError(
            f"{path.name}: expected a label value of its own for each of the {expected} segments "
            f"of layer {layer}, found one twice",
            hint="Save the segmentation again from 3D Slicer.",
        )


_READERS: Final[dict[Kind, Callable[[Path, Scan, Wanted], Iterator[Layer]]]] = {
    Kind.SEG: seg_layers,
    Kind.RTSTRUCT: rtstruct_layers,
    Kind.NIFTI: nifti_layers,
    Kind.NRRD: nrrd_layers,
    Kind.PNG_FOLDER: png_layers,
    Kind.MASK_FOLDER: mask_folder_layers,
}


def read_layers(path: Path, scan: Scan, wanted: Wanted = everything) -> Iterator[Layer]:
    """Yield the layers of an annotation, each on the scan's grid and none without a label.

    Raises:
        InputNotFoundError: Nothing is there.
        SeriesError: No annotation in a known format, damaged, or not on the scan's grid.
    """
    kind = kind_of(path)
    reader = _READERS.get(kind)
    if reader is None:
        expected = "labels as NIfTI, NRRD, DICOM SEG, RTSTRUCT, PNG images or a folder of masks"
        raise no_annotation(path, kind, expected)
    for layer in reader(path, scan, wanted):
        if layer.structures:
            yield layer
