"""CSV tables for spreadsheets and statistics programs, and one JSON file per series."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from bodycomp import __version__
from bodycomp.errors import OutputError
from bodycomp.report.result_rows import Cell, SeriesFacts
from bodycomp.results import LevelResult, SeriesResult
from bodycomp.storage import atomic_file

RESULT_SCHEMA: Final = "bodycomp.series-result"
RESULT_SCHEMA_VERSION: Final = 1
DECIMALS: Final = 4


class Table:
    """A CSV table that grows row by row.

    Args:
        file: Open for text.
        columns: Header, in order.
    """

    def __init__(self, file: IO[str], columns: Sequence[str]) -> None:
        self._file = file
        self._writer = csv.DictWriter(file, columns, lineterminator="\n")
        self._writer.writeheader()

    def append(self, row: Mapping[str, Cell]) -> None:
        """Write one row; missing columns and None become empty cells.

        Raises:
            OutputError: A column is not in the header.
        """
        try:
            self._writer.writerow({name: _cell(value) for name, value in row.items()})
        except ValueError as error:
            raise OutputError(f"a table row has columns that its header lacks ({error})") from error
        self._file.flush()


@contextmanager
def open_table(path: Path, columns: Sequence[str]) -> Iterator[Table]:
    """Yield a table; it appears as ``path`` at the end, or not at all."""
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield Table(file, columns)


def write_result_json(path: Path, facts: SeriesFacts, result: SeriesResult) -> None:
    """Write everything about one series but its masks; the schema is in docs/formats.md."""
    document = {
        "schema": RESULT_SCHEMA,
        "schema_version": RESULT_SCHEMA_VERSION,
        "software": {"name": "bodycomp", "version": __version__},
        "series": facts.cells(),
        "models": dict(result.models),
        "tissues": [{"label": tissue.label, "key": tissue.key} for tissue in result.tissues],
        "levels": [_level_document(level) for level in result.levels],
    }
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    with atomic_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _level_document(level: LevelResult) -> dict[str, Any]:
    choice = level.choice
    return {
        "level": choice.level,
        "status": choice.status.value,
        "reason": choice.reason,
        "z_mm": _rounded(choice.z_mm),
        "slice_index": choice.slice_index,
        "crossings": choice.crossings,
        "offset_mm": [_rounded(float(value)) for value in choice.offset_mm],
        "smoothed_offset_mm": [_rounded(float(value)) for value in choice.smoothed_offset_mm],
        "slice_indices": list(level.slice_indices),
        "measurements": {
            key: {name: _rounded(getattr(found, name)) for name in found.__dataclass_fields__}
            for key, found in level.measurements.items()
        },
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)


def _cell(value: Cell) -> Cell:
    return _rounded(value) if isinstance(value, float) else value
