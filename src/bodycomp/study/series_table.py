"""``series.csv``: every series of every study, its rank, and why it is measured or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from bodycomp.dicom.candidate import CandidateSeries, Refusal
from bodycomp.dicom.rank import contrast_phase, why_behind
from bodycomp.digests import key_of
from bodycomp.study.options import SERIES_PREFIX, STUDY_PREFIX
from bodycomp.tables import Cell, open_table

SERIES_NAME: Final = "series.csv"
SERIES_IDENTIFIERS: Final = ("patient_id", "study_uid", "series_uid", "series_description")
_COLUMNS: Final = (
    *("study", "series", "patient", "study_day", "rank", "chosen", "kind", "reason"),
    *("series_number", "files", "slices"),
    *("coverage_mm", "slice_spacing_mm", "slice_thickness_mm", "rows", "columns", "kernel", "kvp"),
    *("contrast_phase", "image_type", "notes"),
)
_EXTENTS: Final = ("coverage_mm", "slice_spacing_mm")
_MADE: Final = ("slice_thickness_mm", "kernel", "kvp")
_TEXTS: Final = ("kernel", "contrast_phase", "image_type", "notes")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRow:
    """What became of the images of one series: a row, which tells the rest from their headers.

    Attributes:
        patient, study_day: Pseudonym of the person, and the study's day by a calendar that begins
            on another day for each person: what lies between two days of one person is true.
            Empty and None where the header does not say.
        rank: 1 is the best of its study; None for what cannot be measured.
        kind: The rule that refused images break, in few words.
        images: What was found; None for a volume file.
    """

    study: str
    series: str
    patient: str = ""
    study_day: int | None = None
    rank: int | None = None
    chosen: str = "no"
    kind: str = ""
    reason: str
    images: CandidateSeries | Refusal | None = field(default=None, repr=False)

    def cells(self, *, identifiers: bool) -> dict[str, Cell]:
        """Return column -> value; what is not known is None or empty."""
        cells: dict[str, Cell] = dict.fromkeys(_COLUMNS)
        cells |= dict.fromkeys(_TEXTS, "") | {"files": 1}
        cells |= {f.name: getattr(self, f.name) for f in fields(self) if f.name != "images"}
        if isinstance(self.images, CandidateSeries):
            cells |= _cells_of(self.images)
        elif self.images is not None:
            cells |= {"series_number": self.images.series_number, "files": self.images.file_count}
        if identifiers and self.images is not None:
            cells |= {
                "patient_id": self.images.patient_id,
                "study_uid": self.images.study_uid,
                "series_uid": self.images.series_uid,
                "series_description": self.images.description,
            }
        return cells


def _cells_of(series: CandidateSeries) -> dict[str, Cell]:
    own = {name: getattr(series, name) for name in ("series_number", *_EXTENTS)}
    made = {name: getattr(series.acquisition, name) for name in _MADE}
    return (
        own
        | made
        | {
            "files": len(set(series.files)),
            "slices": len(series),
            "rows": series.shape[0],
            "columns": series.shape[1],
            "contrast_phase": contrast_phase(series),
            "image_type": "\\".join(series.image_type),
            "notes": "; ".join(series.notes),
        }
    )


def write_series_table(path: Path, rows: Iterable[SeriesRow], *, identifiers: bool) -> None:
    """Write the table; it appears whole or not at all."""
    columns = (*_COLUMNS, *(SERIES_IDENTIFIERS if identifiers else ()))
    with open_table(path, columns) as table:
        for row in rows:
            table.append(row.cells(identifiers=identifiers))


def study_rows(members: Sequence[CandidateSeries], *, all_chosen: bool) -> list[SeriesRow]:
    """Return the rows of the candidates of one study, best first."""
    return [
        SeriesRow(
            study=STUDY_PREFIX + series.study_key,
            series=SERIES_PREFIX + series.key,
            rank=rank,
            chosen="yes" if rank == 1 or all_chosen else "no",
            reason=_reason(members, rank),
            images=series,
        )
        for rank, series in enumerate(members, start=1)
    ]


def refusal_row(refusal: Refusal, study: str) -> SeriesRow:
    """Return the row of images that cannot be measured."""
    return SeriesRow(
        study=study,
        series=SERIES_PREFIX
        + key_of(study, refusal.series_uid, refusal.description, refusal.what, refusal.reason),
        kind=str(refusal.kind),
        reason=refusal.reason,
        images=refusal,
    )


def _reason(members: Sequence[CandidateSeries], rank: int) -> str:
    if len(members) == 1:
        return "the only series of its study that can be measured"
    if rank == 1:
        return f"first of {len(members)}; the next one: {why_behind(members[1], members[0])}"
    return f"another series ranks first: {why_behind(members[rank - 1], members[0])}"
