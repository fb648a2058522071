"""A person who was scanned several times, measured by stand-ins for models whose answers are known.

The body is a block of muscle of 45 HU: 20 rows by ``columns`` pixels of 4 mm2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from bodycomp.study.options import AnalyzeOptions, DicomObject
from bodycomp.study.run import analyze_inputs
from support.stand_ins import BodyIsMuscle, LevelAt

HEADER = SeriesHeader(
    seed="first",
    patient_id="SECRET-7",
    patient_name="Doe^Jane",
    patient_height_m=2.0,
    patient_sex="F",
    patient_age_years=60,
    date="20200101",
    manufacturer="ACME",
    model="One",
    kernel="SOFT",
    contrast_agent="none",
)
ANALYZER = Analyzer(LevelAt(60.0), BodyIsMuscle(), AnalysisOptions())


@dataclass(frozen=True)
class Visit:
    """A scan: how wide the body is, and what its header has."""

    columns: int
    header: SeriesHeader
    hu: int = 45


def later(date: str, **changes: object) -> SeriesHeader:
    """Return the header of the same person's scan on another day."""
    return replace(HEADER, seed=date, date=date, **changes)


def analyzed(folder: Path, *visits: Visit, name: str = "measured", **options: object) -> Path:
    """Write scans as DICOM, measure them, and return the run's folder."""
    for number, visit in enumerate(visits):
        hu = np.full((30, 40, 64), -1000, np.int16)
        hu[:, 10:30, 5 : 5 + visit.columns] = visit.hu
        volume = Volume(hu, (2.0, 2.0), np.arange(30) * 5.0)
        write_ct_series(folder / f"{name}-in" / str(number), volume, visit.header)
    given = {"previews": True, "workers": 0, "dicom": frozenset({DicomObject.SR})} | options
    made = AnalyzeOptions(
        inputs=(folder / f"{name}-in",),
        out_dir=folder / name,
        models_dir=folder / "models",
        **given,
    )
    analyze_inputs(made, analyzer=ANALYZER)
    return folder / name
