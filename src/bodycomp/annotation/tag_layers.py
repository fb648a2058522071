"""TAG files of Slice-O-Matic -> a layer on a scan's grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.annotation.grid import align_grid
from bodycomp.annotation.labels import Layer, Structure, Wanted, everything
from bodycomp.errors import SeriesError
from bodycomp.imaging.label_map import values_in
from bodycomp.reading.kinds import is_passed_over
from bodycomp.scan import Scan
from bodycomp.tag import TAG_SUFFIX, TagFile, read_tag

_RULE: Final = (
    "Slice-O-Matic names a TAG file after its slice, image.tag or image.dcm.tag beside image.dcm: "
    "keep these names, and give the series that the files were drawn on."
)
_BY_NAME: Final = "TAG files whose header states no place were matched with slices by their names"


def tag_files(path: Path) -> list[Path]:
    """Return the TAG file itself, or those of a folder at any depth, also beside other files."""
    if path.is_file():
        return [path]
    files = (file for file in path.rglob("*") if file.name.lower().endswith(TAG_SUFFIX))
    return sorted(file for file in files if file.is_file() and not is_passed_over(file))


def tag_layers(path: Path, scan: Scan, wanted: Wanted = everything) -> Iterator[Layer]:
    """Yield the one layer of a TAG file or a folder of them; other slices have no label.

    The name says which slice a file belongs to, and the header where it lies; one of them is
    needed, and both must agree.

    Raises:
        SeriesError: Of another size or place than the slice, of no slice of the scan, or of one
            that another file is of; what ``read_tag`` refuses.
    """
    del wanted  # its labels have no names
    labels = np.zeros(scan.volume.hu.shape, np.uint8)
    names = _slice_names(scan)
    of_slice: dict[int, str] = {}
    notes: dict[str, None] = {}
    for file in tag_files(path):
        tag, named = read_tag(file), names.get(file.name.casefold())
        slices = _place(tag, file.name, scan, labels)
        if slices is None:
            slices = _place_by_name(tag, file.name, named, labels)
            notes[_BY_NAME] = None
        elif named is not None and slices != [named]:
            raise SeriesError(
                f"{file.name}: expected it on slice {named}, whose file has its name, found by its "
                f"header that it lies on slice {', '.join(map(str, slices))}",
                hint=_RULE,
            )
        for index in slices:
            other = of_slice.setdefault(index, file.name)
            if other != file.name:
                raise SeriesError(
                    f"{file.name}: expected one TAG file per slice, found {other} on slice {index} "
                    "as well",
                    hint="Leave the one that counts in the folder.",
                )
    # Named, so that nobody takes them for the numbers that bodycomp writes elsewhere.
    structures = {value: Structure(value, tag_name(value)) for value in values_in(labels)}
    yield Layer(labels, structures, tuple(notes))


def tag_name(value: int) -> str:
    """Return the name of a label of a TAG file, which has none of its own."""
    return f"TAG {value}"


def _slice_names(scan: Scan) -> dict[str, int]:
    """Return name of a TAG file -> slice; names that several slices have say nothing."""
    named = [
        (f"{name}{TAG_SUFFIX}".casefold(), index)
        for index, file in enumerate(scan.slices)
        for name in {file.path.name, file.path.stem}
    ]
    counts = Counter(name for name, _ in named)
    return {name: index for name, index in named if counts[name] == 1}


def _place(tag: TagFile, where: str, scan: Scan, labels: NDArray[np.uint8]) -> Sequence[int] | None:
    """Put a file's labels where its header says; return the slices, None if it says nothing."""
    grid = tag.grid(where)
    if grid is None:
        return None
    alignment = align_grid(grid, scan.volume, where, cropped=True)
    alignment.add(tag.pixels.transpose(2, 1, 0), labels)
    return [int(index) for index in alignment.slices if index >= 0]


def _place_by_name(
    tag: TagFile, where: str, named: int | None, labels: NDArray[np.uint8]
) -> Sequence[int]:
    if named is None:
        raise SeriesError(
            f"{where}: expected the name of a slice of the scan, or a place in the header, found "
            "neither",
            hint=_RULE,
        )
    if tag.pixels.shape != (1, *labels.shape[1:]):
        raise SeriesError(
            f"{where}: expected {labels.shape[1:]} pixels as the slice of its name has, found "
            f"{len(tag.pixels)} images of {tag.pixels.shape[1:]}",
            hint=_RULE,
        )
    labels[named] = tag.pixels[0]
    return [named]
