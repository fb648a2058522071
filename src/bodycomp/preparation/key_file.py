"""The key: the way from pseudonyms back to patients, kept beside the set, never in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from bodycomp.errors import OutputError
from bodycomp.preparation.conflicts import FinishedCase
from bodycomp.storage import atomic_file

KEY_COLUMNS: Final = ("pseudonym", "patient", "series_instance_uid", "scan", "masks", "levels")
OWNER_ONLY: Final = 0o600


def key_text(finished: Iterable[FinishedCase], pseudonyms: Mapping[str, str]) -> str:
    """Return the key of all cases of a set as CSV."""
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(KEY_COLUMNS)
    for item in finished:
        case = item.case
        rows.writerow(
            (
                pseudonyms[case.patient],
                case.patient,
                item.record().series_instance_uid,
                case.scan,
                ";".join(str(path) for path in case.masks),
                case.levels or "",
            )
        )
    return stream.getvalue()


def check_key(path: Path, text: str, *, overwrite: bool) -> None:
    """Check that no other key is lost, which may be the only way back from a set.

    Raises:
        OutputError: Another key is there and ``overwrite`` is off.
    """
    if path.exists() and not overwrite and path.read_text(encoding="utf-8") != text:
        raise OutputError(
            f"the key of another set is there already: {path}",
            hint="Move it to that set, name another folder, or replace both with --overwrite.",
        )


def write_key(path: Path, text: str) -> None:
    """Write the key so that its owner alone can read it."""
    with atomic_file(path) as temporary:
        temporary.touch(mode=OWNER_ONLY)
        temporary.write_text(text, encoding="utf-8")
