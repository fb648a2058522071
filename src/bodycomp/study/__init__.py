"""Folders of DICOM and NIfTI files in; measurements, pictures and masks of every study out.

``analyze_inputs`` is imported when it is first used: processes that read ahead need this package,
but not the networks, whose import takes seconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bodycomp.study.options import (
    AnalyzedSeries,
    AnalyzeOptions,
    DicomObject,
    RefusedSeries,
    StudyReport,
)

if TYPE_CHECKING:
    from bodycomp.study.run import analyze_inputs

__all__ = [
    "AnalyzeOptions",
    "AnalyzedSeries",
    "DicomObject",
    "RefusedSeries",
    "StudyReport",
    "analyze_inputs",
]


def __getattr__(name: str) -> Any:
    if name == "analyze_inputs":
        return importlib.import_module("bodycomp.study.run").analyze_inputs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
