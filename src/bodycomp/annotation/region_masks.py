"""Masks of regions and parts of the body -> tissues on the scan's grid, by ``TissueRules``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import BACKGROUND_LABEL, NOT_ANNOTATED_LABEL, tissue_by_key
from bodycomp.annotation.labels import Structure, plain_key
from bodycomp.annotation.layers import read_layers
from bodycomp.annotation.masks import MaskVolume, noted
from bodycomp.annotation.tissue_rules import Selection, TissueRules
from bodycomp.errors import SeriesError
from bodycomp.reading.kinds import structure_name
from bodycomp.scan import Scan

Maps = Mapping[str, NDArray[np.uint16]]
"""Name of a mask in the rules -> (slice, row, column) numbers of its file, 0 for none."""


def read_region_masks(paths: Sequence[Path], scan: Scan, rules: TissueRules) -> MaskVolume:
    """Read masks of regions and say what every pixel of the scan is by the rules.

    HU are those of the scan's own pixels; nothing is resampled. A pixel that is not annotated stays
    so whatever its region, one that is left out is background. A slice is annotated where every
    mask that the rules need has a label other than not annotated, on some pixel that is not left
    out; all pixels of other slices are not annotated.

    Raises:
        InputNotFoundError: A mask is not there.
        SeriesError: As for ``read_layers``; no file for a mask of the rules, or several; a number
            that the rules do not name; a pixel of two tissues.
    """
    maps: dict[str, NDArray[np.uint16]] = {}
    structures: list[Structure] = []
    notes: list[str] = []
    for name, pattern in rules.masks.items():
        path = _file_of(name, pattern, paths)
        maps[name], found, said = _numbers(path, scan)
        _check_numbers(found, name, rules, path.name)
        structures += found
        notes += said
    labels = np.zeros(scan.volume.hu.shape, np.uint8)
    annotated = np.zeros(len(labels), np.bool_)
    for index, measured in enumerate(scan.volume.hu):
        hu = np.rint(measured)  # as the set will hold it: -29.6 is fat, not between fat and muscle
        planes = {name: numbers[index] for name, numbers in maps.items()}
        annotated[index] = _is_annotated(planes, hu, rules)
        labels[index] = (
            _tissues(planes, hu, rules, index) if annotated[index] else NOT_ANNOTATED_LABEL
        )
    return noted(MaskVolume(labels, annotated, tuple(structures), tuple(notes)))


def _file_of(name: str, pattern: str, paths: Sequence[Path]) -> Path:
    wanted = plain_key(pattern)
    found = [path for path in paths if fnmatchcase(plain_key(structure_name(path)), wanted)]
    if len(found) != 1:
        raise SeriesError(
            f"expected one mask named {pattern}, which the rules call {name}, found "
            f"{len(found)} among {len(paths)}",
            hint="Name the file in the rules under masks; * stands for any letters.",
        )
    return found[0]


def _numbers(path: Path, scan: Scan) -> tuple[NDArray[np.uint16], list[Structure], tuple[str, ...]]:
    """Return the numbers of a label map as its file states them, its structures, and notes."""
    numbers = np.zeros(scan.volume.hu.shape, np.uint16)
    layers = list(read_layers(path, scan))
    if len(layers) > 1:
        raise SeriesError(
            f"{path.name}: expected one number per pixel, found {len(layers)} layers",
            hint="Save it as a label map, in which structures do not overlap.",
        )
    for layer in layers:
        lut = np.zeros(1 + max(layer.structures), np.uint16)
        for value, structure in layer.structures.items():
            if structure.value is None or not 0 < structure.value < 2**16:
                raise SeriesError(
                    f"{path.name}: expected structures with numbers from 1, found {structure}",
                    hint="Rules name labels by their numbers; save the mask as a label map.",
                )
            lut[value] = structure.value
        for index, plane in enumerate(layer.labels):
            numbers[index] = lut[plane]
    found = [structure for layer in layers for structure in layer.structures.values()]
    return numbers, found, tuple(note for layer in layers for note in layer.notes)


def _check_numbers(
    structures: Iterable[Structure], name: str, rules: TissueRules, where: str
) -> None:
    """Refuse numbers that no rule names: another version of a data set may have other classes."""
    ranges = [r for s in rules.selections if s.mask == name for r in s.labels]
    unknown = [
        structure
        for structure in structures
        if not any(low <= (structure.value or 0) <= high for low, high in ranges)
    ]
    if unknown:
        known = ", ".join(str(low) if low == high else f"{low}..{high}" for low, high in ranges)
        raise SeriesError(
            f"{where}: expected labels among {known or 'nothing'}, found "
            f"{', '.join(map(str, unknown))}",
            hint=f"Say what each means in the rules, or 'ignore: {name} {unknown[0].value}'.",
        )


Planes = Mapping[str, NDArray[np.uint16]]


def _tissues(planes: Planes, hu: NDArray[Any], rules: TissueRules, index: int) -> NDArray[np.uint8]:
    """Return the (row, column) labels of a slice by the rules."""
    labels = np.full(hu.shape, BACKGROUND_LABEL, np.uint8)
    for key, selections in rules.tissues.items():
        chosen = _chosen(planes, hu, selections)
        if (labels[chosen] != BACKGROUND_LABEL).any():
            raise SeriesError(
                f"expected one tissue per pixel, found pixels of slice {index} from the feet "
                f"(counted from 0) that the rules give to {key} and to another one",
                hint="Make the regions or the ranges of HU of the rules exclude one another.",
            )
        labels[chosen] = tissue_by_key(key).label
    labels[_chosen(planes, hu, rules.left_out)] = BACKGROUND_LABEL
    labels[_chosen(planes, hu, rules.not_annotated)] = NOT_ANNOTATED_LABEL
    return labels


def _is_annotated(planes: Planes, hu: NDArray[Any], rules: TissueRules) -> bool:
    counts = ~_chosen(planes, hu, (*rules.left_out, *rules.not_annotated))
    return all(bool(planes[name][counts].any()) for name in rules.needed_masks)


def _chosen(planes: Planes, hu: NDArray[Any], selections: Iterable[Selection]) -> NDArray[np.bool_]:
    found = np.zeros(hu.shape, np.bool_)
    for selection in selections:
        plane = planes[selection.mask]
        pixels = np.zeros(hu.shape, np.bool_)
        for low, high in selection.labels:
            pixels |= (plane >= low) & (plane <= high)
        if selection.hu is not None:
            lowest, highest = selection.hu
            pixels &= (hu >= lowest) & (hu <= highest)
        found |= pixels
    return found
