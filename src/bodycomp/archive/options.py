"""Which studies to pull from which archive, how to reach it, and what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bodycomp.errors import UsageError
from bodycomp.options import check_options, declare, option

PULLED_NAME: Final = "pulled.csv"
_PEER: Final = re.compile(
    r"(?P<title>[^@\\]{1,16})@(?P<host>\[[^\]]+\]|[^@:\s]+):(?P<port>\d{1,5})"
)
_PLACE: Final = re.compile(r"((?P<host>\[[^\]]+\]|[^:\s]+):)?(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Peer:
    """An archive that speaks DICOM over TCP: its AE title, host and port."""

    title: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


def parse_archive(text: str) -> Peer | str:
    """Return the peer of ``AE@HOST:PORT``, or the URL of DICOMweb as it is.

    Raises:
        UsageError: It is neither, or a URL that holds a password.
    """
    if text.startswith(("http://", "https://")):
        if "@" in urlsplit(text).netloc:
            raise UsageError(
                "expected a URL without user and password, found both in it",
                hint="Put them into ~/.netrc, or name a token's file with --token.",
            )
        return text.rstrip("/")
    found = _PEER.fullmatch(text)
    if not found:
        raise UsageError(
            f"expected AE@HOST:PORT or the URL of DICOMweb as --from, found {text!r}",
            hint="Such as PACS@192.168.0.10:11112 or https://pacs.example.org/dicom-web.",
        )
    return Peer(found["title"], found["host"].strip("[]"), _port(found["port"]))


def parse_place(text: str) -> tuple[str, int]:
    """Return host and port of ``[HOST:]PORT``; the host is empty where none is named.

    Raises:
        UsageError: It is something else.
    """
    found = _PLACE.fullmatch(text)
    if not found:
        raise UsageError(f"expected [HOST:]PORT as --receive-at, found {text!r}")
    return (found["host"] or "").strip("[]"), _port(found["port"])


def _port(text: str) -> int:
    if not 0 < int(text) < 2**16:
        raise UsageError(f"expected a port from 1 to 65535, found {text}")
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOptions:
    """Studies to pull, and how.

    Raises:
        UsageError: Nothing is asked for, or a value cannot be used.
    """

    archive: str = field(
        metadata=declare(
            "--from",
            metavar="ARCHIVE",
            help="AE@HOST:PORT of the archive (C-FIND and C-GET), or the URL of its DICOMweb "
            "service (QIDO-RS and WADO-RS)",
        )
    )
    out_dir: Path = field(
        metadata=declare("--out -o", metavar="DIR", help="folder for the studies; see above")
    )
    query: tuple[str, ...] = option(
        (),
        "--query -q",
        metavar="KEY=VALUE",
        help="what to ask for by keys of DICOM, all of which have to match: "
        "StudyDate=20260101-20260331 StudyDescription='*abdomen*'; of each study its series with "
        "Modality=CT, unless this says otherwise (SeriesDescription, BodyPartExamined)",
    )
    accessions: Path | None = option(
        None,
        "--accessions -a",
        metavar="CSV",
        help="table with one study a row, or several, in columns accession_number, study_uid, "
        "patient_id, study_date: what a row has is asked for together with the query",
    )
    title: str = option(
        "BODYCOMP", "--title", metavar="AE", help="our own AE title (default {default})"
    )
    receive_at: str = option(
        "",
        "--receive-at",
        metavar="[HOST:]PORT",
        help="receive by C-MOVE at this port, for archives without C-GET; they have to know the "
        "title as the AE at this host and port (default host: the address that faces the archive)",
    )
    ca: Path | None = option(
        None,
        "--ca",
        metavar="PEM",
        help="certificates to trust; with AE@HOST:PORT it turns TLS on",
    )
    certificate: Path | None = option(
        None, "--certificate", metavar="PEM", help="our own certificate with its key, for TLS"
    )
    token: Path | None = option(
        None,
        "--token",
        metavar="FILE",
        help="file with a bearer token for DICOMweb (user and password are taken from ~/.netrc)",
    )
    timeout_s: float = option(
        60.0,
        "--timeout",
        metavar="S",
        positive=True,
        help="seconds to wait for each answer (default {default})",
    )
    pseudonym_key: Path | None = option(
        None,
        "--pseudonym-key",
        metavar="FILE",
        help="key that names the studies (default: DIR.pseudonym-key, made at the first run); "
        "'bodycomp analyze' with the same key gives them the same names",
    )
    dry_run: bool = option(
        False, "--dry-run", help="ask what the archive has, pull and write nothing"
    )

    def __post_init__(self) -> None:
        check_options(self)
        if not (self.query or self.accessions):
            raise UsageError(
                "expected --query or --accessions, found neither",
                hint="Without them the archive would be asked for all that it has.",
            )
        is_web = isinstance(parse_archive(self.archive), str)
        if self.receive_at:
            parse_place(self.receive_at)
            if is_web:
                raise UsageError("expected --receive-at with AE@HOST:PORT, found it with a URL")
        if self.token and not is_web:
            raise UsageError("expected --token with a URL, found it with AE@HOST:PORT")
        if self.certificate and not self.ca and not is_web:
            raise UsageError("expected --ca with --certificate, found none")
        if not re.fullmatch(r"[^\\]{1,16}", self.title.strip()):
            raise UsageError(f"expected an AE title of 1 to 16 characters, found {self.title!r}")


class Status(StrEnum):
    """What came of a study, or of a row without any."""

    PULLED = "pulled"
    NOT_FOUND = "not found"
    NO_SERIES = "no series"
    FAILED = "failed"
    THERE = "there"
    """Found by a dry run, which pulls nothing."""


@dataclass(frozen=True, slots=True)
class StudyOutcome:
    """What came of one study; a row of ``pulled.csv``, under a pseudonym.

    Attributes:
        row: Line of the table of accessions, counted from 1; None for the query alone.
        study: Its folder; empty where nothing was found.
        series, files: How many lie in the folder.
        reason: Why it was not pulled; names nobody.
    """

    status: Status
    study: str = ""
    series: int = 0
    files: int = 0
    reason: str = ""
    row: int | None = None


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a run pulled; ``earlier`` counts studies that were there before."""

    outcomes: tuple[StudyOutcome, ...]
    out_dir: Path
    earlier: int = 0

    def count(self, status: Status) -> int:
        """Return the number of studies, or rows without one, with this outcome."""
        return sum(each.status is status for each in self.outcomes)

    def __str__(self) -> str:
        counts = {status: self.count(status) for status in Status}
        words = ", ".join(f"{count:,} {status}" for status, count in counts.items() if count)
        before = f" ({self.earlier:,} of them earlier)" if self.earlier else ""
        return f"{words}{before}; studies in {self.out_dir}"
