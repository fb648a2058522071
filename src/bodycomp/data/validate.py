"""What is wrong with a training set: every finding at once, before the first training step."""

from __future__ import annotations

from bodycomp.data.findings import Finding, raise_for_errors
from bodycomp.data.validate_segmentation import check_segmentation_set
from bodycomp.data.validate_slices import check_slice_set, survey_slice_set

__all__ = [
    "Finding",
    "check_segmentation_set",
    "check_slice_set",
    "raise_for_errors",
    "survey_slice_set",
]
