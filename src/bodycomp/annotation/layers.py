"""One way into all formats of annotations: what it is decides who reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bodycomp.annotation.dicom_layers import rtstruct_layers, seg_layers
from bodycomp.annotation.labels import Layer, Wanted, everything
from bodycomp.annotation.png_layers import png_layers
from bodycomp.annotation.volume_layers import mask_folder_layers, nifti_layers, nrrd_layers
from bodycomp.reading.kinds import Kind, kind_of, no_annotation
from bodycomp.scan import Scan

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

    Args:
        path: File or folder in any format that ``kinds`` knows for masks.
        scan: What was annotated.
        wanted: Structures of formats with names that it declines are not read.

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
