"""A reviewed run -> cases to train with: what people corrected, and what they accepted.

Masks and levels lie beside a cases table, which ``bodycomp prepare`` takes as any other.
"""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.dicom.candidate import CandidateSeries
from bodycomp.errors import ReviewError
from bodycomp.nifti import write_nifti_labels
from bodycomp.progress import Progress
from bodycomp.report.result_rows import CORRECTED
from bodycomp.review.correction import Corrector, LevelChange
from bodycomp.review.found_scans import FoundScans, found_scans
from bodycomp.review.history import ACCEPT, REJECT
from bodycomp.review.options import FromReviewOptions
from bodycomp.review.recorded import recorded_masks
from bodycomp.review.session import ReviewSession, corrected_folder, now, opened_session
from bodycomp.scan import Scan
from bodycomp.storage import atomic_folder, refuse_other
from bodycomp.study.measured_run import CaseKey
from bodycomp.study.outputs import LABELS_NAME
from bodycomp.study.sources import Source

CASES_NAME: Final = "cases.csv"
_COLUMNS: Final = ("patient", "scan", "series", "masks", "levels", "note")


@dataclass(frozen=True, slots=True)
class ReviewedCases:
    """The table of cases, and of how many series it has masks and levels."""

    table: Path
    masks: int
    levels: int


def training_cases(options: FromReviewOptions, progress: Progress) -> ReviewedCases:
    """Write cases of all that people corrected, and unless told otherwise of what they accepted.

    A mask counts where it was corrected or its case accepted, on the slices of that case; a level
    where it was moved or its case accepted. What was rejected counts nowhere.

    Raises:
        InputNotFoundError: The run, an input or the key is not there.
        OutputError: The folder has other content, or something is writing to the run's.
        ReviewError: Nobody reviewed anything that counts, or scans are missing or in archives.
    """
    refuse_other(options.folder, "earlier cases", CASES_NAME, overwrite=options.overwrite)
    with opened_session(options.scans.out_dir) as session:
        chosen = [case for case in session.run.rows if any(_counts(session, case, options))]
        if not chosen:
            raise ReviewError(
                f"expected cases that were corrected or accepted in {options.scans.out_dir}, found "
                "none",
                hint="Review the run and apply the review first, with bodycomp review apply.",
            )
        with (
            found_scans(session.run, options.scans, progress) as scans,
            atomic_folder(options.folder, overwrite=options.overwrite) as folder,
        ):
            scans.check_there(chosen)
            chosen.sort(key=lambda case: case[:2])
            series = [list(same) for _, same in groupby(chosen, key=lambda case: case[:2])]
            rows = []
            for number, cases in enumerate(series, start=1):
                rows.append(_SeriesCases(session, scans, cases, options).write(folder))
                progress("series", number, len(series))
            with (folder / CASES_NAME).open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, _COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
    masks, levels = (sum(bool(row.get(name)) for row in rows) for name in ("masks", "levels"))
    return ReviewedCases(options.folder / CASES_NAME, masks, levels)


def _counts(session: ReviewSession, case: CaseKey, options: FromReviewOptions) -> tuple[bool, bool]:
    """Return whether the mask and the level of a case are a person's word."""
    state, row = session.state(case), session.row(case)
    if state.verdict == REJECT or row["slice_index"] is None:
        return False, False
    corrected = str(row.get(CORRECTED) or "")
    is_accepted = state.verdict == ACCEPT and (bool(corrected) or not options.corrected)
    return is_accepted or "mask" in corrected, is_accepted or "level" in corrected


@dataclass(frozen=True, eq=False)
class _SeriesCases:
    """The cases of one series that count, in one row of the table."""

    session: ReviewSession
    scans: FoundScans
    cases: Iterable[CaseKey]
    options: FromReviewOptions

    def write(self, folder: Path) -> Mapping[str, str]:
        """Write the masks and levels; return the row."""
        first = next(iter(self.cases))
        source, (key, scan) = self.scans.sources[first[:2]], self.scans.load(first)
        corrector = Corrector(self.session.run, key, scan, self.scans.outputs)
        labels = np.zeros(scan.volume.hu.shape, np.uint8)
        levels, notes = [], []
        for case in self.cases:
            has_mask, has_level = _counts(self.session, case, self.options)
            row = self.session.row(case)
            if has_mask:
                slices = self._take(case, corrector, scan, labels)
                notes.append(f"{case.level}: mask of {slices} slices")
            if has_level:
                levels.append({"level": case.level, "z_mm": row["level_z_mm"]})
                notes.append(f"{case.level}: level")
        own = {"patient": _patient(source), **_place(source), "note": "; ".join(notes)}
        if labels.any():
            own["masks"] = f"masks/{first.series}.nii.gz"
            (folder / "masks").mkdir(exist_ok=True)
            write_nifti_labels(folder / own["masks"], scan.volume, labels)
        if levels:
            own["levels"] = f"levels/{first.series}.csv"
            (folder / "levels").mkdir(exist_ok=True)
            _write_levels(folder / own["levels"], levels)
        return own

    def _take(
        self, case: CaseKey, corrector: Corrector, scan: Scan, labels: NDArray[np.uint8]
    ) -> int:
        """Copy the masks of a case's slices; return how many slices these are."""
        run, row = self.session.run, self.session.row(case)
        is_corrected = self.session.state(case).corrected is not None
        path = (corrected_folder(run, case) if is_corrected else run.folder(case)) / LABELS_NAME
        masks = recorded_masks(path, scan.volume)
        if masks is None:
            raise ReviewError(f"expected masks on the pixels of {case}, found none in {path}")
        choice = corrector.choice(LevelChange(case=case, by="", at=now()), row)
        slices = list(corrector.slices_of(case, choice))
        labels[slices] = masks[slices]
        return len(slices)


def _write_levels(path: Path, levels: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ("level", "z_mm"))
        writer.writeheader()
        writer.writerows(levels)


def _patient(source: Source) -> str:
    """Return what tells patients apart: several studies of one must share a split."""
    series = source.origin
    return (series.patient_id if isinstance(series, CandidateSeries) else "") or source.study


def _place(source: Source) -> dict[str, str]:
    """Return where the scan is.

    Raises:
        ReviewError: In an archive, which is unpacked for this command alone.
    """
    if source.place.is_file() and zipfile.is_zipfile(source.place):
        raise ReviewError(
            f"expected scans in folders or files, found {source.series} in an archive",
            hint="Unpack it, and name the folder instead.",
        )
    if isinstance(source.origin, Path):
        return {"scan": str(source.origin.absolute()), "series": ""}
    folder = os.path.commonpath([path.absolute().parent for path in source.origin.files])
    return {"scan": folder, "series": source.origin.series_uid}
