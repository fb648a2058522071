"""The page of a run, served to this computer alone, whose reviews are applied as they are saved.

Who may save knows the token in the address that was printed. Another site that is open in the same
browser does not, nor does a name that someone points at this computer: requests must name the
loopback address, and the page may connect to nothing but its server.
"""

from __future__ import annotations

import json
import logging
import secrets
import tempfile
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from bodycomp.analysis.pipeline import Segmenter
from bodycomp.errors import BodycompError, OutputError
from bodycomp.review.apply import ReviewOutcome, apply_review
from bodycomp.review.options import CorrectionOptions, ReviewOptions, ServeOptions
from bodycomp.study.analysis_page import write_analysis_page
from bodycomp.study.options import REPORT_NAME

_LOG: Final = logging.getLogger(__name__)
LOOPBACK: Final = "127.0.0.1"
KEY_HEADER: Final = "X-Review-Key"
MAX_REVIEW_BYTES: Final = 64_000_000
"""Ten times what 10,000 cases take of which every one was painted."""


@dataclass(frozen=True, eq=False)
class ReviewServer:
    """A run's page at an address of the loopback interface, until it is closed.

    Saved reviews are applied one after the other. A segmenter takes the place of the model in the
    options.

    Raises:
        OutputError: The port is taken.
        InputNotFoundError: No results are there.
    """

    options: ServeOptions
    segmenter: Segmenter | None = None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _http: ThreadingHTTPServer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.page()  # what is wrong with the run is said at once
        try:
            handler = type("Handler", (_Handler,), {"review": self})
            http = ThreadingHTTPServer((LOOPBACK, self.options.port), handler)
        except OSError as error:
            raise OutputError(
                f"expected port {self.options.port} to be free, found {error.strerror or error}",
                hint="Leave --port out to take any that is free.",
            ) from error
        http.daemon_threads = True
        object.__setattr__(self, "_http", http)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{LOOPBACK}:{self._http.server_port}/?token={self.token}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """What requests may call the server."""
        return tuple(f"{name}:{self._http.server_port}" for name in (LOOPBACK, "localhost"))

    def run(self) -> None:
        """Serve until ``close`` is called from another thread."""
        self._http.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        """Stop serving, after the review that is being applied."""
        with self._one_at_a_time:
            self._http.shutdown()
        self._http.server_close()

    def page(self, name: str = REPORT_NAME) -> bytes | None:
        """Return a page of the run as it counts now; None if it has no page of that name."""
        with self._one_at_a_time, tempfile.TemporaryDirectory() as folder:
            write_analysis_page(self.options.scans.out_dir, Path(folder) / REPORT_NAME, saves=True)
            pages = {path.name: path for path in Path(folder).iterdir()}
            return pages[name].read_bytes() if name in pages else None

    def save(self, review: bytes) -> ReviewOutcome:
        """Apply what the page sends: the CSV that it exports."""
        scans: CorrectionOptions = self.options.scans
        with self._one_at_a_time, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "review.csv"
            path.write_bytes(review)
            options = ReviewOptions(scans=scans, review=path, move=bool(scans.inputs))
            return apply_review(options, segmenter=self.segmenter)


class _Handler(BaseHTTPRequestHandler):
    """Gives the page of ``review`` and takes what it sends."""

    review: ReviewServer
    server_version = "bodycomp"
    sys_version = ""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if not self._is_allowed(parse_qs(asked.query).get("token", [""])[0]):
            return
        page = self.review.page(asked.path.removeprefix("/") or REPORT_NAME)
        if page is None:
            self._say(HTTPStatus.NOT_FOUND, error="expected a page of the run")
        else:
            self._answer(HTTPStatus.OK, page, "text/html; charset=utf-8")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not self._is_allowed(self.headers.get(KEY_HEADER, "")):
            return
        if self.path != "/review" or not length.isdigit():
            self._say(HTTPStatus.NOT_FOUND, error="expected a review for /review")
        elif int(length) > MAX_REVIEW_BYTES:
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error="the review is too large")
        else:
            self._save(self.rfile.read(int(length)))

    def _save(self, review: bytes) -> None:
        try:
            done = self.review.save(review)
        except BodycompError as error:
            self._say(HTTPStatus.CONFLICT, error=f"{error.message}\n{error.hint or ''}".strip())
        except Exception as error:
            _LOG.exception("a review could not be applied")
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, error=type(error).__name__)
        else:
            self._say(HTTPStatus.OK, new=done.new, waiting=done.waiting)

    def _is_allowed(self, token: str) -> bool:
        is_here = self.headers.get("Host", "") in self.review.hosts
        is_known = secrets.compare_digest(token.encode(), self.review.token.encode())
        if not (is_here and is_known):
            self._say(HTTPStatus.FORBIDDEN, error="expected the address that was printed")
        return is_here and is_known

    def _say(self, status: HTTPStatus, **document: Any) -> None:
        self._answer(status, json.dumps(document).encode(), "application/json")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        own = {"Content-Type": kind, "Content-Length": str(len(body))}
        kept_apart = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        guards = {"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"}
        for name, value in (own | kept_apart | guards).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing: addresses hold the token."""
