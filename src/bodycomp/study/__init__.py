"""Folders of DICOM and NIfTI files in; measurements, pictures and masks of every study out."""

from __future__ import annotations

from bodycomp.study.options import (
    AnalysedSeries,
    AnalyzeOptions,
    DicomObject,
    RefusedSeries,
    StudyReport,
)
from bodycomp.study.run import analyze_inputs

__all__ = [
    "AnalysedSeries",
    "AnalyzeOptions",
    "DicomObject",
    "RefusedSeries",
    "StudyReport",
    "analyze_inputs",
]
