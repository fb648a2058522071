"""Every format of annotations -> layers on a scan's grid: what a file is decides who reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from bodycomp.annotation.dicom_layers import rtstruct_layers, seg_layers
from bodycomp.annotation.grid import place_label_map
from bodycomp.annotation.labels import Layer, Structure, Wanted, everything
from bodycomp.annotation.tag_layers import tag_files, tag_layers
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


_FORMS: Final = {
    "SOPInstanceUID": re.compile(r"[0-9]+(?:\.[0-9]+)+"),
    "InstanceNumber": re.compile(r"i([0-9]+)", re.IGNORECASE),
    "slice index": re.compile(r"[0-9]+"),
}
_RULE: Final = (
    "Name every file after its SOPInstanceUID, i and InstanceNumber (i000012.png), or the slice "
    "index from 0 at the feet (000012.png)."
)
_MODES: Final = frozenset({"L", "P", "1"})
"""Pillow's names of 8-bit grey, palette and 1-bit images; their stored numbers are the labels."""


def png_layers(path: Path, scan: Scan, wanted: Wanted = everything) -> Iterator[Layer]:
    """Yield the one layer of a folder of PNG label images; slices without a file have no label.

    A file's name says which slice it is, in one of three ways, the same for the whole folder: the
    SOPInstanceUID (``1.2.840...5.png``), ``i`` and the InstanceNumber (``i000012.png``), or the
    index of the slice counted from 0 at the feet (``000012.png``).

    Raises:
        SeriesError: Names that follow no rule or name no slice; an image of another size or kind.
    """
    del wanted  # its labels have no names
    files = visible_files(path)
    slices = _slices([file.stem for file in files], scan, path.name)
    labels = np.zeros(scan.volume.hu.shape, np.uint8)
    for file, index in zip(files, slices, strict=True):
        image = _read_png(file)
        if image.shape != scan.volume.slice_shape:
            raise SeriesError(
                f"{path.name}/{file.name}: expected {scan.volume.slice_shape} pixels as the slice "
                f"has, found {image.shape}",
                hint="Export it on the pixels of the slice, neither cropped nor scaled.",
            )
        labels[index] = image
    yield Layer(labels, {value: Structure(value) for value in values_in(labels)})


def _slices(stems: Sequence[str], scan: Scan, where: str) -> list[int]:
    """Return the slice that every name means."""
    form = next((f for f, p in _FORMS.items() if all(p.fullmatch(s) for s in stems)), None)
    if form is None:
        odd = [s for s in stems if not any(p.fullmatch(s) for p in _FORMS.values())]
        raise SeriesError(
            f"{where}: expected PNG names of one kind, found {(odd or stems)[0]} and others",
            hint=_RULE,
        )
    if form == "SOPInstanceUID":
        keys: list[str | int] = list(stems)
        names: Sequence[str | int | None] = scan.sop_instance_uids
    else:
        keys = [int(stem.lstrip("iI")) for stem in stems]
        names = scan.instance_numbers if form == "InstanceNumber" else range(len(scan.volume))
    known = {name: index for index, name in enumerate(names)}
    if len(known) < len(scan.volume):
        raise SeriesError(
            f"{where}: expected a scan with {form} of its own for every slice, found {len(known)} "
            f"in {len(scan.volume)} slices",
            hint=_RULE,
        )
    for stem, key in zip(stems, keys, strict=True):
        if key not in known:
            raise SeriesError(
                f"{where}: expected the {form} of a slice of the scan, found {stem}", hint=_RULE
            )
    slices = [known[key] for key in keys]
    if len(set(slices)) < len(slices):
        raise SeriesError(f"{where}: expected one file per slice, found two of one", hint=_RULE)
    return slices


def _read_png(file: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(file, formats=["PNG"]) as image:
            if image.mode not in _MODES:
                raise SeriesError(
                    f"{file.parent.name}/{file.name}: expected 8-bit grey or palette labels, found "
                    f"a picture of mode {image.mode}",
                    hint="Save label numbers as single-channel 8-bit PNG, not colours.",
                )
            return np.asarray(image).astype(np.uint8) // _stretch(file)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise SeriesError(
            f"{file.parent.name}/{file.name}: expected a whole PNG image, found one that cannot "
            "be decoded",
            hint="Save or copy it again.",
        ) from error


def _stretch(file: Path) -> int:
    """Return by what Pillow multiplies the stored numbers of an image: 85 or 17 for 2 or 4 bits.

    It does so with grey alone (PNG specification 11.2.1: bit depth and colour type are bytes 24 and
    25), not with palettes.
    """
    with file.open("rb") as stream:
        bits, color_type = stream.read(26)[24:]
    return 255 // (2**bits - 1) if color_type == 0 and bits in (2, 4) else 1


_READERS: Final[dict[Kind, Callable[[Path, Scan, Wanted], Iterator[Layer]]]] = {
    Kind.SEG: seg_layers,
    Kind.RTSTRUCT: rtstruct_layers,
    Kind.NIFTI: nifti_layers,
    Kind.NRRD: nrrd_layers,
    Kind.TAG: tag_layers,
    Kind.TAG_FOLDER: tag_layers,
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
    if kind is Kind.DICOM_SERIES and path.is_dir() and tag_files(path):
        kind = Kind.TAG_FOLDER  # Slice-O-Matic leaves them beside the images
    reader = _READERS.get(kind)
    if reader is None:
        expected = "labels as NIfTI, NRRD, SEG, RTSTRUCT, TAG, PNG images or a folder of masks"
        raise no_annotation(path, kind, expected)
    for layer in reader(path, scan, wanted):
        if layer.structures:
            yield layer
