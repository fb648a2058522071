"""A CSV list of inputs, one study, folder or file per row."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bodycomp.errors import InputNotFoundError, UsageError
from bodycomp.user_table import read_user_table

INPUT_COLUMN: Final = "input"


def read_input_list(path: Path) -> tuple[Path, ...]:
    """Return the paths in the column ``input``; relative ones count from the list's folder.

    Other columns are left alone, and so are rows whose cell is empty.

    Raises:
        InputNotFoundError: The list is not there, or a path in it is not.
        UsageError: It is not text, or has no such column, or no path at all.
    """
    table = read_user_table(path, "inputs", UsageError)
    if INPUT_COLUMN not in table.columns:
        raise UsageError(
            f"expected a column {INPUT_COLUMN!r} in {path}, "
            f"found {', '.join(table.columns) or 'nothing'}",
            hint="Begin the list with a line that says: input",
        )
    inputs = []
    for row in table.rows:
        cell = row.cells[INPUT_COLUMN]
        place = path.parent / cell
        if cell and not place.exists():
            raise InputNotFoundError(
                f"{path}, line {row.line}: expected a file or folder, found nothing at {place}"
            )
        inputs += [place] if cell else []
    if not inputs:
        raise UsageError(f"expected at least one path in the column {INPUT_COLUMN!r} of {path}")
    return tuple(inputs)
