"""How a set was prepared and what was left out, as files in the set without anybody's name."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bodycomp import __version__
from bodycomp.data.layout import SPLITS
from bodycomp.json_file import write_json
from bodycomp.preparation.assemble import Counts
from bodycomp.preparation.level_warnings import LevelWarning
from bodycomp.preparation.options import PrepareOptions, SegmentationTask

PREPARED_NAME: Final = "prepared.json"
REFUSED_NAME: Final = "refused.csv"


@dataclass(frozen=True, slots=True)
class RefusedCase:
    """A case that was left out.

    Attributes:
        where: Its row in the cases table.
        patient: Code or pseudonym.
        kind: Class of the fault.
        reason: What was expected and found, without names, codes, paths and UIDs.
    """

    where: str
    patient: str
    kind: str
    reason: str


def write_reports(
    folder: Path,
    options: PrepareOptions,
    counts: Counts,
    refused: Sequence[RefusedCase],
    warnings: Sequence[LevelWarning],
) -> None:
    """Write ``prepared.json``, and ``refused.csv`` if any case was left out."""
    write_json(folder / PREPARED_NAME, _prepared(options, counts, len(refused), warnings))
    if refused:
        write_refused(folder, refused)


def write_refused(folder: Path, refused: Sequence[RefusedCase]) -> None:
    """Write ``refused.csv``: row of the cases table, patient, and why."""
    with (folder / REFUSED_NAME).open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(("row", "patient", "kind", "reason"))
        rows.writerows((r.where, r.patient, r.kind, " ".join(r.reason.split())) for r in refused)


def _prepared(
    options: PrepareOptions, counts: Counts, refused: int, warnings: Sequence[LevelWarning]
) -> dict[str, Any]:
    masks = isinstance(options.task, SegmentationTask)
    return {
        "bodycomp": __version__,
        "set": "segmentation" if masks else "slice-selection",
        "task": asdict(options.task),
        "split": asdict(options.split),
        "patients": {split: len(counts.patients.get(split, ())) for split in SPLITS},
        "slices": {split: counts.slices[split] for split in SPLITS},
        "refused_cases": refused,
        "warnings": [asdict(warning) for warning in warnings],
        "notes": dict(sorted(counts.notes.items())),
    }
