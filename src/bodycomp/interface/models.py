"""Both models of a folder, ready to be run on one scan after the other."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from bodycomp.networks.names import AUTO_ENGINE
from bodycomp.progress import Progress, shown
from bodycomp.reading.read_scan import read_scan
from bodycomp.report.notebook import result_html
from bodycomp.results import SeriesResult
from bodycomp.scan import Scan

if TYPE_CHECKING:
    from bodycomp.analysis.pipeline import Analyzer
    from bodycomp.interface.keywords import PathLike

DEFAULT_MODELS: Final = "models"
MODELS_VARIABLE: Final = "BODYCOMP_MODELS"


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredScan(SeriesResult):
    """A result with the scan that it was measured on; shows both in a notebook.

    Attributes:
        scan: What was analyzed.
    """

    scan: Scan = field(kw_only=True)

    @classmethod
    def of(cls, scan: Scan, result: SeriesResult) -> Self:
        """Return a result with its scan."""
        return cls(**{f.name: getattr(result, f.name) for f in fields(SeriesResult)}, scan=scan)

    def _repr_html_(self) -> str:
        return result_html(self.scan, self)


@dataclass(frozen=True)
class Models:
    """A slice-selection and a segmentation model.

    Attributes:
        analyzer: Runs them.
    """

    analyzer: Analyzer = field(repr=False)

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels that are found, such as ``L3``."""
        return self.analyzer.scorer.levels

    @property
    def tissues(self) -> tuple[str, ...]:
        """Tissues that are measured, such as ``muscle``."""
        return tuple(tissue.key for tissue in self.analyzer.segmenter.tissues)

    def analyze(self, scan: Scan | PathLike, *, progress: bool | Progress = False) -> MeasuredScan:
        """Find the levels in a scan and measure the tissues there.

        Args:
            scan: A scan, or whatever ``read_scan`` reads.
            progress: True for bars, or a function of step, slices done and all slices.

        Raises:
            ImageError: The scan cannot be read, or not be brought into the standard view.
            ModelError: The networks gave something other than numbers.
        """
        scan = scan if isinstance(scan, Scan) else read_scan(scan)
        with shown(progress, {"score": "scoring slices", "segment": "segmenting"}) as report:
            return MeasuredScan.of(scan, self.analyzer.analyze(scan, report))

    def __str__(self) -> str:
        return f"models for {', '.join(self.levels)}: {', '.join(self.tissues)}"


def load_models(
    folder: PathLike | None = None,
    *,
    range_mm: float = 0.0,
    score_all: bool = False,
    intervals: bool = False,
    device: str = "auto",
    engine: str = AUTO_ENGINE,
) -> Models:
    """Load both models of a folder.

    Args:
        folder: Holds ``slice-selection`` and ``segmentation``; if None the folder that the
            environment variable ``BODYCOMP_MODELS`` names, else ``models``.
        range_mm: Average over the slices within this height, centered on the level; 0 for the
            nearest slice alone.
        score_all: Score every slice for the levels, not those alone that can matter.
        intervals: Segment moved copies of each slice, too, for an interval of each area.
        device: "auto", "cpu", "cuda" or "cuda:1".
        engine: How the networks are run.

    Raises:
        InputNotFoundError: The folder is not there.
        ModelError: A model is missing or cannot be used.
        UsageError: The device is not there, or the range is negative.
    """
    from bodycomp.analysis.loading import load_analyzer  # noqa: PLC0415 - torch takes seconds
    from bodycomp.analysis.pipeline import AnalysisOptions  # noqa: PLC0415

    options = AnalysisOptions(range_mm=range_mm, score_all=score_all, intervals=intervals)
    place = folder or os.environ.get(MODELS_VARIABLE) or DEFAULT_MODELS
    return Models(load_analyzer(Path(place), device=device, options=options, engine=engine))
