"""A folder that ``analyze`` left, opened to be reviewed or corrected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bodycomp.digests import key_of
from bodycomp.errors import InputNotFoundError, ReviewError
from bodycomp.reference.table import ReferenceTable, read_reference
from bodycomp.study.journal import JOURNAL_NAME, StudyRecord, open_journal
from bodycomp.study.options import REFERENCES_FOLDER
from bodycomp.study.run_manifest import (
    MANIFEST_NAME,
    MANIFEST_SCHEMA,
    MANIFEST_SCHEMA_VERSION,
    NO_RUN_HINT,
    read_run_manifest,
)
from bodycomp.tables import Cell


class CaseKey(NamedTuple):
    """One row of the results: a level of a series, under its pseudonyms."""

    study: str
    series: str
    level: str

    def __str__(self) -> str:
        return f"{self.level} of {self.study}/{self.series}"


@dataclass(frozen=True, eq=False)
class MeasuredRun:
    """What a run measured: its settings, and the rows of ``results.csv`` in every digit.

    ``cards`` are those of its models, by their roles.
    """

    out_dir: Path
    settings: Mapping[str, Any]
    rows: Mapping[CaseKey, Mapping[str, Cell]] = field(repr=False)
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def models(self) -> tuple[str, str]:
        """Digests of the slice-selection and of the segmentation model."""
        models = self.settings["models"]
        return str(models["slice_selection"]), str(models["segmentation"])

    @property
    def references(self) -> tuple[ReferenceTable, ...]:
        """References that the run was given, beside those that ship.

        Raises:
            UsageError: Its copy of one is damaged.
        """
        copies = sorted((self.out_dir / REFERENCES_FOLDER).glob("*.json"))
        return tuple(map(read_reference, copies))

    def folder(self, case: CaseKey) -> Path:
        """Return the folder of a case's series."""
        return self.out_dir / case.study / case.series

    def row_digest(self, case: CaseKey) -> str:
        """Return a digest that changes when a case is measured anew."""
        return key_of(json.dumps(dict(self.rows[case]), sort_keys=True))


@contextmanager
def opened_run(out_dir: Path) -> Iterator[MeasuredRun]:
    """Yield what a run measured; nothing else writes to its folder meanwhile.

    Raises:
        InputNotFoundError: The folder, or a run in it, is not there.
        OutputError: A run, a review or a correction is writing to it.
        ReviewError: It holds no result, or was written by a newer version.
    """
    manifest = _manifest(out_dir / MANIFEST_NAME)
    if not (out_dir / JOURNAL_NAME).is_file():
        raise InputNotFoundError(f"expected {JOURNAL_NAME} of a run in {out_dir}", hint=NO_RUN_HINT)
    with open_journal(out_dir / JOURNAL_NAME, StudyRecord) as journal:
        rows = _rows(out_dir, journal.records)
        if not rows:
            raise ReviewError(f"expected results to review in {out_dir}, found none")
        yield MeasuredRun(out_dir, manifest["settings"], rows, manifest.get("model_cards", {}))


def _rows(out_dir: Path, records: Mapping[str, StudyRecord]) -> dict[CaseKey, Mapping[str, Cell]]:
    """Return the rows of all series whose folder is there; the others are to be done again."""
    return {
        CaseKey(record.study, series, str(row["level"])): row
        for record in records.values()
        for series, rows in record.analyzed.items()
        if (out_dir / record.study / series).is_dir()
        for row in rows
    }


def _manifest(path: Path) -> Mapping[str, Any]:
    document = read_run_manifest(path)
    schema, number = document.get("schema"), document.get("schema_version")
    if schema != MANIFEST_SCHEMA or not isinstance(number, int) or number > MANIFEST_SCHEMA_VERSION:
        raise ReviewError(
            f"expected {MANIFEST_SCHEMA} of version {MANIFEST_SCHEMA_VERSION} in {path}, "
            f"found {schema} of version {number}"
        )
    return document
