"""What a pull asks for: the query, once for each row of a table of accession numbers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.archive.options import PullOptions
from bodycomp.archive.query import Query, column_key
from bodycomp.errors import UsageError
from bodycomp.user_table import read_user_table

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """A query, and the line of the table that it is of; None for the query alone."""

    query: Query
    line: int | None = None


def wanted_rows(options: PullOptions) -> tuple[Row, ...]:
    """Return what is asked for, row by row.

    Raises:
        InputNotFoundError: The table is not there.
        UsageError: A key or a value cannot be used; of a table the message names the line.
    """
    if options.accessions is None:
        return (Row(Query.parse(options.query)),)
    table = read_user_table(options.accessions, "accession numbers", UsageError)
    keys = {column: key for column in table.columns if (key := column_key(column))}
    if not keys:
        raise UsageError(
            f"{options.accessions.name}: expected a column accession_number, study_uid or "
            f"patient_id, found {', '.join(table.columns) or 'none'}"
        )
    others = [column for column in table.columns if column not in keys]
    if others:
        _LOG.warning("%s: columns not used: %s", options.accessions.name, ", ".join(others))
    return tuple(
        _row(options, {key: row.cells[column] for column, key in keys.items()}, row.line)
        for row in table.rows
    )


def _row(options: PullOptions, cells: dict[str, str], line: int) -> Row:
    given = {key: cell for key, cell in cells.items() if cell}
    where = f"{Path(options.accessions or '').name} line {line}"
    if not given:
        raise UsageError(f"{where}: expected {' or '.join(cells)}, found empty cells")
    if any(set(cell) & {"*", "?"} for cell in given.values()):
        raise UsageError(
            f"{where}: expected one study, found a pattern",
            hint="Patterns with * and ? are for --query.",
        )
    try:
        return Row(Query.parse(options.query, given), line)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from error
