"""A run with results to review: two small patients whose bodies widen towards the head."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from bodycomp.networks.targets import offset_to_target
from bodycomp.review.apply import apply_review
from bodycomp.review.options import CorrectionOptions, RemeasureOptions, ReviewOptions
from bodycomp.review.remeasure import remeasure
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.run import analyze_inputs

MODELS = "aaaaaaaaaaaa+bbbbbbbbbbbb"
SLICES = 30
SPACING_MM = 5.0
PIXEL_CM2 = 0.04
AT = "2025-03-31T09:41:00+02:00"
COLUMNS = (
    "study",
    "series",
    "level",
    "verdict",
    "comment",
    "moved_to_slice",
    "reviewer",
    "reviewed_at",
    "slice_index",
    "models",
)


@dataclass
class LevelsAt:
    """Scores as a perfect network for levels at some heights."""

    z_mm: Mapping[str, float]
    scale_mm: float = 10.0
    calibrations: dict = field(default_factory=dict)
    least_confidence: float = 0.0
    sees_series: bool = False
    digest: str = "aaaaaaaaaaaa"
    runs_as: str = "reference on cpu"
    caution: str = ""

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(self.z_mm)

    def __call__(self, volume, progress=None, slice_indices=None):
        z_mm = volume.slice_z_mm if slice_indices is None else volume.slice_z_mm[slice_indices]
        offset_mm = z_mm[:, None] - np.array(list(self.z_mm.values()))
        return offset_to_target(offset_mm, self.scale_mm).astype(np.float32)


@dataclass
class ByDensity:
    """Labels soft tissue as muscle and fat as subcutaneous fat."""

    tissues: tuple = ABDOMINAL_TISSUES
    digest: str = "bbbbbbbbbbbb"
    runs_as: str = "reference on cpu"
    caution: str = ""

    def __call__(self, volume, slice_indices, progress=None):
        return {index: tissue_labels(volume.hu[index]) for index in slice_indices}


def tissue_labels(hu):
    """Return 1 for muscle, 2 for fat, 0 for air."""
    return np.where(hu > 0, 1, np.where(hu > -300, 2, 0)).astype(np.uint8)


def widening(seed: int = 0) -> Volume:
    """A box of muscle in a box of fat, one column wider with every slice."""
    hu = np.full((SLICES, 40, 64), -1000, np.int16)
    for index in range(SLICES):
        hu[index, 8:32, 6 : 20 + index + seed] = -100
        hu[index, 12:28, 10 : 16 + index + seed] = 45
    return Volume(hu, (2.0, 2.0), SPACING_MM * np.arange(SLICES))


@dataclass(frozen=True)
class Run:
    """A folder with results, the scans that they were measured on, and how to correct them."""

    place: Path
    segmenter: ByDensity

    @property
    def out(self) -> Path:
        return self.place / "out"

    @property
    def inputs(self) -> tuple[Path, ...]:
        return (self.place / "in",)

    def rows(self, name: str = "results.csv") -> list[dict[str, str]]:
        return table(self.out / name)

    def row(self, number: int = 0, name: str = "reviewed.csv") -> dict[str, str]:
        return self.rows(name)[number]

    def folder(self, number: int = 0) -> Path:
        row = self.rows()[number]
        return self.out / row["study"] / row["series"]

    def review_row(self, number: int = 0, **cells: object) -> dict[str, object]:
        """Return what the page exports for a row of the results."""
        row = self.rows()[number]
        names = ("study", "series", "level", "slice_index")
        shown = {name: row[name] for name in names} | {"models": MODELS}
        return shown | {"reviewer": "AB", "reviewed_at": AT} | cells

    def review(self, *rows: Mapping[str, object], name: str = "review.csv") -> Path:
        path = self.place / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        return path

    def apply(self, review: Path | Mapping[str, object], **options):
        """Apply a review, or one row of it."""
        path = review if isinstance(review, Path) else self.review(review)
        given = {"inputs": self.inputs} | options
        names = {"move", "reviewer"} & given.keys()
        own = {name: given.pop(name) for name in names}
        scans = CorrectionOptions(out_dir=self.out, **given)
        return apply_review(
            ReviewOptions(review=path, scans=scans, **own), segmenter=self.segmenter
        )

    def remeasure(self, *, segmenter: bool = True, number: int = 0, scans=None, **options):
        """Correct the series of a row of the results."""
        given = CorrectionOptions(out_dir=self.out, **{"inputs": self.inputs} | (scans or {}))
        series = {"series": self.rows()[number]["series"], "by": "AB"}
        return remeasure(
            RemeasureOptions(scans=given, **series | options),
            segmenter=self.segmenter if segmenter else None,
        )


def make_run(
    place: Path,
    *,
    levels: Mapping[str, float] | None = None,
    patients: int = 2,
    analysis: AnalysisOptions | None = None,
    patients_table: Path | None = None,
    volumes: Sequence[Volume] = (),
    **options,
) -> Run:
    """Write patients as DICOM and analyse them; without ``volumes`` they are widening ones."""
    volumes = volumes or [widening(number) for number in range(patients)]
    for number, volume in enumerate(volumes):
        header = SeriesHeader(
            seed=f"patient {number}", patient_id=f"SECRET-{number}", patient_name="Doe^Jane"
        )
        write_ct_series(place / "in" / f"{number}", volume, header)
    analysis = analysis or AnalysisOptions()
    analyzer = Analyzer(LevelsAt(levels or {"L3": 61.0}), ByDensity(), analysis)
    given = AnalyzeOptions(
        inputs=(place / "in",),
        models_dir=place,
        out_dir=place / "out",
        range_mm=analysis.range_mm,
        intervals=analysis.intervals,
        patients=patients_table,
        **{"previews": False, "workers": 0} | options,
    )
    analyze_inputs(given, analyzer=analyzer)
    return Run(place, ByDensity())


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(folder: Path, *without: str) -> dict[str, bytes]:
    """Return every file below a folder and its content."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in paths
        if path.name not in without
    }


def level_document(folder: Path, level: str = "L3") -> dict:
    """Return what the corrected results of a series say of a level."""
    path = folder / "corrected" / level / "results.json"
    (found,) = json.loads(path.read_text())["levels"]
    return found


def area_cm2(mask: Sequence | np.ndarray, label: int) -> float:
    return float(np.count_nonzero(np.asarray(mask) == label)) * PIXEL_CM2
