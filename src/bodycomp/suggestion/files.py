"""The files of suggested slices: to draw on, to read, and to prepare a training set of."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import Tissue
from bodycomp.errors import OutputError
from bodycomp.imaging.volume import Volume
from bodycomp.nifti import write_nifti_labels, write_nifti_volume
from bodycomp.storage import atomic_file, atomic_folder
from bodycomp.suggestion.candidates import Taken
from bodycomp.suggestion.options import (
    CASES_NAME,
    OUTLINE_NAME,
    SCAN_NAME,
    SLICES_FOLDER,
    START_NAME,
    TABLE_NAME,
    Suggestion,
)
from bodycomp.tables import Cell, write_table

LABELS_NAME: Final = "itk-snap-labels.txt"
_COLUMNS: Final = (
    *("suggestion", "patient", "series", "level", "offset_mm", "slice_index", "slices", "z_mm"),
    "disagreement",
)
_LAST_COLUMN: Final = "reason"


class SuggestionFolder:
    """A folder of suggestions, with those that were there before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = self._read_rows()

    def _read_rows(self) -> list[dict[str, Cell]]:
        table = self.path / TABLE_NAME
        if not table.is_file():
            return []
        with table.open(encoding="utf-8", newline="") as stream:
            rows: list[dict[str, Cell]] = [dict(row) for row in csv.DictReader(stream)]
        needed = {*_COLUMNS, _LAST_COLUMN}
        if rows and not needed <= rows[0].keys():
            raise OutputError(
                f"expected the columns {', '.join(sorted(needed))} in {table}, "
                f"found {', '.join(rows[0])}",
                hint="Put the table back as it was, or name another folder.",
            )
        return rows

    @property
    def taken(self) -> list[Taken]:
        """Slices that are suggested already."""
        return [(str(r["patient"]), str(r["series"]), float(r["z_mm"] or 0)) for r in self.rows]

    @property
    def next_number(self) -> int:
        """Number of the next suggestion; no folder that is there has it."""
        folders = (self.path / SLICES_FOLDER).glob("[0-9]*")
        used = [int(each.name) for each in folders if each.name.isdecimal()]
        return max(used, default=0) + 1

    def write_slice(
        self, suggestion: Suggestion, volume: Volume, labels: NDArray[np.uint8], context_mm: float
    ) -> None:
        """Write a slice with those around it, and the outline to start from.

        Where its neighbors lie too unevenly for NIfTI the slice comes alone.

        Raises:
            OutputError: The disk cannot be written to.
        """
        index = suggestion.slice_index
        for reach_mm in (context_mm, 0.0):
            near = np.abs(volume.slice_z_mm - volume.slice_z_mm[index]) <= reach_mm
            part = slices_of(volume, np.flatnonzero(near))
            start = np.zeros(part.hu.shape, np.uint8)
            start[int(np.count_nonzero(near[:index]))] = labels
            try:
                with atomic_folder(self.path / suggestion.folder) as folder:
                    write_nifti_volume(folder / SCAN_NAME, part)
                    write_nifti_labels(folder / START_NAME, part, start)
            except OutputError:
                if reach_mm == 0:
                    raise
            else:
                return

    def write_tables(self, suggestions: Sequence[Suggestion], tissues: Sequence[Tissue]) -> None:
        """Write all suggestions, old and new, as a table and as cases to prepare."""
        self.rows += [each.cells() for each in suggestions]
        shares = {name: None for row in self.rows for name in row if name.endswith("_disagreement")}
        shares |= {f"{tissue.key}_disagreement": None for tissue in tissues}
        write_table(self.path / TABLE_NAME, (*_COLUMNS, *shares, _LAST_COLUMN), self.rows)
        with atomic_file(self.path / CASES_NAME) as temporary:
            temporary.write_text(self._cases(tissues), encoding="utf-8")
        with atomic_file(self.path / LABELS_NAME) as temporary:
            temporary.write_text(_label_descriptions(tissues), encoding="utf-8")

    def _cases(self, tissues: Sequence[Tissue]) -> str:
        """Return the cases table; names in it are our own, and need no quotes."""
        lines = [
            f"# Save each outline as {OUTLINE_NAME} beside its scan; remove the lines of those",
            "# that you leave out. Then: bodycomp prepare segmentation cases.yaml SET",
            "labels:",
            *(f"  {tissue.label}: {tissue.key}" for tissue in tissues),
            "cases:",
        ]
        for row in self.rows:
            folder = f"{SLICES_FOLDER}/{row['suggestion']}"
            lines.append(
                f"  - {{patient: {row['patient']}, scan: {folder}/{SCAN_NAME}, "
                f"masks: {folder}/{OUTLINE_NAME}}}"
            )
        return "\n".join(lines) + "\n"


def slices_of(volume: Volume, indices: NDArray[np.intp]) -> Volume:
    """Return some slices of a volume at their places in the patient."""
    first = tuple(float(mm) for mm in volume.first_pixels_mm[indices[0]])
    return replace(
        volume,
        hu=volume.hu[indices],
        slice_z_mm=volume.slice_z_mm[indices],
        first_pixel_mm=(first[0], first[1], first[2]),
        notes=(),
    )


def _label_descriptions(tissues: Sequence[Tissue]) -> str:
    """Return the label descriptions that ITK-SNAP loads: number, color, visibility, name."""
    lines = ['0 0 0 0 0 0 0 "Clear Label"']
    for tissue in tissues:
        red, green, blue = tissue.color
        lines.append(f'{tissue.label} {red} {green} {blue} 1 1 1 "{tissue.title}"')
    return "\n".join(lines) + "\n"
