"""Every picture that bodycomp writes; each lives in a file of its own."""

from __future__ import annotations

from bodycomp.report.learning_curves import write_learning_curves
from bodycomp.report.preview import PreviewText, write_preview
from bodycomp.report.segmentation_examples import SegmentationCase, write_segmentation_examples
from bodycomp.report.slice_examples import LevelEstimates, SliceCase, write_slice_examples

__all__ = [
    "LevelEstimates",
    "PreviewText",
    "SegmentationCase",
    "SliceCase",
    "write_learning_curves",
    "write_preview",
    "write_segmentation_examples",
    "write_slice_examples",
]
