"""Both models of a folder, ready to be run on one scan after the other."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Self

from bodycomp.interface.keywords import PathLike, takes, values_from
from bodycomp.networks.shipped import models_dir
from bodycomp.progress import Progress, shown
from bodycomp.reading.read_scan import read_scan
from bodycomp.report.notebook import result_html
from bodycomp.results import SeriesResult
from bodycomp.scan import Scan
from bodycomp.study.options import AnalyzeOptions

if TYPE_CHECKING:
    from bodycomp.analysis.pipeline import Analyzer

_LOADING: Final = (*("range_mm", "between", "full", "intervals", "device", "engine", "references"),)


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


@takes(AnalyzeOptions, _LOADING)
def load_models(folder: PathLike | None = None, **options: Any) -> Models:
    """Load both models of a folder.

    It holds ``slice-selection`` and ``segmentation``, or is the name of models that ship with
    bodycomp; None stands for what the environment variable ``BODYCOMP_MODELS`` names, else the
    default models. Options are those of ``analyze``.

    Raises:
        InputNotFoundError: The folder is not there.
        ModelError: A model is missing or cannot be used.
        UsageError: The device is not there, the range is negative, or a level is unknown.
    """
    from bodycomp.analysis.loading import load_analyzer
    from bodycomp.analysis.pipeline import AnalysisOptions
    from bodycomp.reference.table import references_with

    found = values_from(load_models, AnalyzeOptions, options, _LOADING)
    analysis = AnalysisOptions(
        range_mm=found["range_mm"],
        between=found["between"],
        score_all=found["full"],
        intervals=found["intervals"],
        references=references_with(found["references"]),
    )
    return Models(
        load_analyzer(
            models_dir(folder), device=found["device"], options=analysis, engine=found["engine"]
        )
    )
