"""Every picture that bodycomp writes; each lives in a file of its own."""

from __future__ import annotations

from bodycomp.report.examples import (
    SegmentationCase,
    SliceCase,
    write_segmentation_examples,
    write_slice_examples,
)
from bodycomp.report.learning_curves import write_learning_curves
from bodycomp.report.preview import PreviewText, write_preview

__all__ = [
    "PreviewText",
    "SegmentationCase",
    "SliceCase",
    "write_learning_curves",
    "write_preview",
    "write_segmentation_examples",
    "write_slice_examples",
]
