"""An archive over DICOMweb: QIDO-RS and WADO-RS (PS3.18)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom.dataset import Dataset

from bodycomp.archive.options import PullOptions
from bodycomp.archive.protocol import Save, answer_of
from bodycomp.archive.query import Answer, Level
from bodycomp.errors import ArchiveError, ArchiveUnreachableError, InputNotFoundError

_PAGE: Final = 500
"""Answers asked for at once; archives send as many as they like."""

_AS_STORED: Final = (("application/dicom", "*"),)
"""In any transfer syntax; without this, archives decompress."""

_ESCAPED: Final = re.compile(r"[^\w.*?-]", re.ASCII)
_NO_ENTRY: Final = (401, 403)
_URL_HINT: Final = "Expected is the URL below which /studies is, such as .../dicom-web."


class WebArchive:
    """A DICOMweb service by its URL.

    Raises:
        InputNotFoundError: The file with the token is not there.
    """

    def __init__(self, url: str, options: PullOptions) -> None:
        self._url = url
        self._session = _Session()
        self._session.verify = str(options.ca) if options.ca else True
        self._session.cert = str(options.certificate) if options.certificate else None
        if options.token is not None:
            self._session.auth = _Bearer(options.token)
        with self._in_words("its address"):
            self._client = DICOMwebClient(url, self._session, timeout=options.timeout_s)
        self._client.set_http_retry_params(retry=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def connect(self) -> None:
        """Ask for one study, as ``Archive.connect``."""
        try:
            with self._in_words("a query"):
                self._client.search_for_studies(limit=1)
        except ArchiveError as error:
            raise ArchiveUnreachableError(error.message, hint=error.hint) from error

    def find(self, level: Level, keys: Mapping[str, str]) -> Iterator[Answer]:
        """Yield what it has that matches, as ``Archive.find``; page by page."""
        # What would be escaped becomes a pattern; the caller sees which answers match the query.
        filters = {name: _ESCAPED.sub("?", value) for name, value in keys.items() if value}
        study = filters.pop("StudyInstanceUID", None) if level is Level.SERIES else None
        fields = [name for name, value in keys.items() if not value]
        asked: dict[str, Any] = {"fields": fields, "search_filters": filters, "limit": _PAGE}
        search: Callable[..., Any] = self._client.search_for_studies
        uid = "StudyInstanceUID"
        if study is not None:
            search, uid = self._client.search_for_series, "SeriesInstanceUID"
            asked["study_instance_uid"] = study
        seen: set[str] = set()
        while True:
            with self._in_words(f"the query by {', '.join(filters) or 'study'}"):
                page = [
                    answer_of(Dataset.from_json(each)) for each in search(**asked, offset=len(seen))
                ]
            found = {"".join(answer.get(uid, ())): answer for answer in page}
            new = found.keys() - seen
            yield from (found[each] for each in found if each in new)
            seen |= new
            if not new:  # the end, or an archive that ignores the offset
                return

    def fetch(self, study_uid: str, series_uid: str, save: Save) -> None:
        """Have every image of a series sent to ``save``, as ``Archive.fetch``."""
        with self._in_words("a series"):
            images = self._client.iter_series(study_uid, series_uid, media_types=_AS_STORED)
        while True:
            with self._in_words("a series"):
                image = next(images, None)
            if image is None:
                return
            content = io.BytesIO()
            image.save_as(content, enforce_file_format=True)
            save(content.getvalue())

    @contextmanager
    def _in_words(self, what: str) -> Iterator[None]:
        """Raise what requests raise without their URLs, which name patients."""
        try:
            yield
        except requests.HTTPError as error:
            status = 0 if error.response is None else error.response.status_code
            raise self._refused(what, status) from None
        except requests.exceptions.SSLError:
            raise ArchiveUnreachableError(
                f"the archive at {self._url} is not trusted, or does not trust us",
                hint="Name the certificates to trust with --ca, and ours with --certificate.",
            ) from None
        except (requests.ConnectionError, requests.Timeout) as error:
            raise ArchiveUnreachableError(
                f"the archive at {self._url} cannot be reached, or does not answer "
                f"({type(error).__name__})",
                hint="Host and port are as its administrator set them up.",
            ) from None
        except (requests.RequestException, ValueError, KeyError, AttributeError) as error:
            raise ArchiveError(
                f"the archive at {self._url} answered {what} with something else than DICOMweb "
                f"({type(error).__name__})",
                hint=_URL_HINT,
            ) from None

    def _refused(self, what: str, status: int) -> ArchiveError:
        if status in _NO_ENTRY:
            return ArchiveUnreachableError(
                f"the archive at {self._url} does not let us in (HTTP {status})",
                hint="Name a token's file with --token, or put user and password into ~/.netrc.",
            )
        return ArchiveError(
            f"the archive at {self._url} refused {what} with HTTP status {status}", hint=_URL_HINT
        )


class _Session(requests.Session):
    """Sends patterns unescaped, as RFC 3986 allows: Orthanc, at least up to 1.10, decodes none."""

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        prepared = super().prepare_request(request)
        prepared.url = (prepared.url or "").replace("%2A", "*").replace("%3F", "?")
        return prepared


class _Bearer(requests.auth.AuthBase):
    """The token of a file (RFC 6750), read anew for each request: it may be renewed meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._read()}"
        return request

    def _read(self) -> str:
        if not self._path.is_file():
            raise InputNotFoundError(f"expected a token, found nothing at {self._path}")
        return self._path.read_text(encoding="ascii").strip()
