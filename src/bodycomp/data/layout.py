"""The two training-set formats: file names, columns, reading and writing.

One door to the small modules behind it; ``docs/formats.md`` describes both formats for users.
"""

from __future__ import annotations

from bodycomp.data.arrays import open_array
from bodycomp.data.naming import (
    PATIENT_COLUMN,
    SERIES_COLUMN,
    SPLITS,
    images_path,
    masks_path,
    offset_column,
    png_path,
    table_path,
)
from bodycomp.data.segmentation_set import SegmentationSplit, open_segmentation_split
from bodycomp.data.segmentation_writer import SegmentationWriter
from bodycomp.data.slice_set import SliceSplit, open_slice_split
from bodycomp.data.slice_writer import SliceWriter

__all__ = [
    "PATIENT_COLUMN",
    "SERIES_COLUMN",
    "SPLITS",
    "SegmentationSplit",
    "SegmentationWriter",
    "SliceSplit",
    "SliceWriter",
    "images_path",
    "masks_path",
    "offset_column",
    "open_array",
    "open_segmentation_split",
    "open_slice_split",
    "png_path",
    "table_path",
]
