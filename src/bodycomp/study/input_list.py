"""A CSV list of inputs, one study, folder or file per row."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

from bodycomp.errors import InputNotFoundError, UsageError

INPUT_COLUMN: Final = "input"


def read_input_list(path: Path) -> tuple[Path, ...]:
    """Return the paths in the column ``input``; relative ones count from the list's folder.

    Other columns are left alone, and so are rows whose cell is empty.

    Raises:
        InputNotFoundError: The list is not there, or a path in it is not.
        UsageError: It is not text, or has no such column, or no path at all.
    """
    if not path.is_file():
        raise InputNotFoundError(f"expected a list of inputs, found no file at {path}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            cells = [(reader.line_num, (row.get(INPUT_COLUMN) or "").strip()) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"expected a CSV table in UTF-8 in {path}: {error}") from error
    if INPUT_COLUMN not in columns:
        raise UsageError(
            f"expected a column {INPUT_COLUMN!r} in {path}, "
            f"found {', '.join(columns) or 'nothing'}",
            hint="Begin the list with a line that says: input",
        )
    inputs = []
    for line, cell in cells:
        place = path.parent / cell
        if cell and not place.exists():
            raise InputNotFoundError(
                f"{path}, line {line}: expected a file or folder, found nothing at {place}"
            )
        inputs += [place] if cell else []
    if not inputs:
        raise UsageError(f"expected at least one path in the column {INPUT_COLUMN!r} of {path}")
    return tuple(inputs)
