"""The table of results as Parquet, for statistics programs that read typed columns."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bodycomp.errors import UsageError
from bodycomp.report.result_rows import Cell
from bodycomp.storage import atomic_file


def check_parquet() -> None:
    """Check that Parquet can be written.

    Raises:
        UsageError: pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError(
            "expected pyarrow to write Parquet with, found none",
            hint="Install it with: pip install 'bodycomp[parquet]'",
        )


def write_parquet(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> None:
    """Write a table; the file appears whole or not at all.

    Numbers keep every digit, unlike in CSV. A column without any value has the type null, which
    takes on the other file's type where several files are read together.

    Raises:
        UsageError: pyarrow is not installed.
    """
    check_parquet()
    arrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    kept = list(rows)
    table = arrow.table({name: [row.get(name) for row in kept] for name in columns})
    with atomic_file(path) as temporary:
        parquet.write_table(table, temporary)
