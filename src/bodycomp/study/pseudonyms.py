"""Names of studies and series that identify nobody, made with a secret key."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from bodycomp.dicom.derived.identity import PseudonymKey
from bodycomp.errors import InputNotFoundError, UsageError
from bodycomp.storage import atomic_file
from bodycomp.study.options import SERIES_PREFIX, STUDY_PREFIX, RefusedSeries
from bodycomp.study.search import Worklist
from bodycomp.study.series_table import SeriesRow
from bodycomp.study.sources import Source

KEY_SUFFIX: Final = ".pseudonym-key"
_KEY_BYTES: Final = 32
_OWNER_ONLY: Final = 0o600
_CALENDAR_DAYS: Final = 365_250
Row = TypeVar("Row", RefusedSeries, SeriesRow, Source)


def key_path(out_dir: Path) -> Path:
    """Return where the key of a run lies unless the user names another: beside its folder.

    Whoever has the results alone cannot find out by trying whose they are.
    """
    place = out_dir.resolve()
    return place.with_name(place.name + KEY_SUFFIX)


def read_or_make_key(out_dir: Path, given: Path | None) -> PseudonymKey:
    """Return the key of a file, or that of an earlier run into the same folder, or a new one.

    Raises:
        InputNotFoundError: The file that the user names is not there.
        UsageError: A file holds no key.
    """
    path = given or key_path(out_dir)
    if not path.exists():
        if given is not None:
            raise InputNotFoundError(
                f"expected a pseudonym key, found nothing at {given}",
                hint="Leave the option out once: a key is made beside the results.",
            )
        with atomic_file(path, durable=True) as temporary:
            temporary.touch(mode=_OWNER_ONLY)
            temporary.write_text(secrets.token_hex(_KEY_BYTES) + "\n", encoding="ascii")
    return read_key(path)


def read_key(path: Path) -> PseudonymKey:
    """Return the key of a file.

    Raises:
        InputNotFoundError: It is not there.
        UsageError: It holds no key.
    """
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii"))
    except FileNotFoundError as error:
        raise InputNotFoundError(
            f"expected a pseudonym key, found nothing at {path}",
            hint="Name the key of the run with --pseudonym-key.",
        ) from error
    except ValueError:
        secret = b""
    if len(secret) < _KEY_BYTES:
        raise UsageError(f"expected a key of {_KEY_BYTES} bytes in hexadecimal digits in {path}")
    return PseudonymKey(secret)


def with_pseudonyms(work: Worklist, key: PseudonymKey) -> Worklist:
    """Return the same work with every study and series named by the key."""

    def renamed(rows: Iterable[Row]) -> tuple[Row, ...]:
        return tuple(
            replace(
                row, study=study_pseudonym(key, row.study), series=series_pseudonym(key, row.series)
            )
            for row in rows
        )

    return replace(
        work,
        sources=renamed(work.sources),
        fallbacks={
            study_pseudonym(key, study): renamed(sources)
            for study, sources in work.fallbacks.items()
        },
        series=tuple(_of_person(row, key) for row in renamed(work.series)),
        refused=renamed(work.refused),
        not_chosen=renamed(work.not_chosen),
    )


def _of_person(row: SeriesRow, key: PseudonymKey) -> SeriesRow:
    """Return a row that says whose it is and when, without naming person or date."""
    patient_id = row.images.patient_id.strip() if row.images else ""
    if not patient_id:
        return row
    date = getattr(row.images, "study_date", "")
    return replace(row, patient=key.patient(patient_id), study_day=study_day(key, patient_id, date))


def study_day(key: PseudonymKey, patient_id: str, date: str) -> int | None:
    """Return a DICOM date (YYYYMMDD) as a day of the person's own calendar.

    It begins up to a thousand years before, by the key. None if there is no such date.
    """
    try:
        day = datetime.strptime(date, "%Y%m%d").toordinal()  # noqa: DTZ007 - a day, no time
    except ValueError:
        return None
    return day + int(key.code("calendar", patient_id), 16) % _CALENDAR_DAYS


def study_pseudonym(key: PseudonymKey, plain: str) -> str:
    """Return what tables and folders call a study; empty where ``plain``, its own name, is."""
    return STUDY_PREFIX + key.code("study", plain) if plain else ""


def series_pseudonym(key: PseudonymKey, plain: str) -> str:
    """Return what tables and folders call a series, as ``study_pseudonym``."""
    return SERIES_PREFIX + key.code("series", plain) if plain else ""
