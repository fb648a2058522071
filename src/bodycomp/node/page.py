"""A page that shows how the node does, behind a token, without an identifier."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Final

from markupsafe import Markup

from bodycomp.node.config import NodeConfig
from bodycomp.node.spool import Spool
from bodycomp.node.status import NodeStatus, node_status
from bodycomp.report.page import inline, render_page, source_hash
from bodycomp.storage import atomic_file

_LOG: Final = logging.getLogger(__name__)
TOKEN_NAME: Final = "page-token"  # noqa: S105 - the name of its file
_OWNER_ONLY: Final = 0o600
_TIMEOUT_SECONDS: Final = 10
_TEMPLATE: Final = "page.html.j2"
_STYLE: Final = Markup("""
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
td,th{padding:5px 10px;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}
.box{background:var(--card);border:1px solid var(--line);border-radius:8px;overflow:auto}
.name{font-family:ui-monospace,"DejaVu Sans Mono",monospace;white-space:nowrap}
""")


def read_or_make_token(folder: Path) -> str:
    """Return the token of a spool's page, readable by its owner alone."""
    path = folder / TOKEN_NAME
    if not path.exists():
        with atomic_file(path, durable=True) as temporary:
            temporary.touch(mode=_OWNER_ONLY)
            temporary.write_text(secrets.token_urlsafe(32) + "\n", encoding="ascii")
    return path.read_text(encoding="ascii").strip()


@contextmanager
def serving_page(config: NodeConfig, spool: Spool) -> Iterator[None]:
    """Serve the page while the block runs, if the configuration names a port.

    Raises:
        OSError: The port is taken.
    """
    if not config.page.port:
        yield
        return
    token = read_or_make_token(spool.folder)

    class Handler(_Handler):
        title = config.node.ae_title

        def status(self) -> NodeStatus:
            return node_status(config, spool.ledger, running=True)

        def is_allowed(self, given: str) -> bool:
            return hmac.compare_digest(given.encode(), token.encode())

    server = ThreadingHTTPServer((config.page.address, config.page.port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2})
    thread.start()
    _LOG.info("page on http://%s:%d, token in %s", *server.server_address[:2], TOKEN_NAME)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers ``/`` with the page and ``/status.json`` with what is on it."""

    timeout = _TIMEOUT_SECONDS
    server_version = "bodycomp"
    sys_version = ""
    title = ""

    def status(self) -> NodeStatus:
        """Return what to show."""
        raise NotImplementedError

    def is_allowed(self, given: str) -> bool:
        """Whether a token is the right one."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Answer."""
        if not self.is_allowed(_token_of(self.headers.get("Authorization", ""))):
            realm = 'Basic realm="bodycomp: any name, the token as password"'
            self._answer(HTTPStatus.UNAUTHORIZED, "text/plain", "", **{"WWW-Authenticate": realm})
        elif self.path == "/status.json":
            text = json.dumps(asdict(self.status()), indent=2)
            self._answer(HTTPStatus.OK, "application/json", text)
        elif self.path == "/":
            source = files("bodycomp.node").joinpath(_TEMPLATE).read_text(encoding="utf-8")
            style = inline("page.css") + _STYLE
            page = render_page(
                source, {"status": self.status(), "style": style, "title": self.title}
            )
            policy = f"default-src 'none'; style-src {source_hash(style)}; frame-ancestors 'none'"
            headers = {"Content-Security-Policy": policy, "Refresh": "10"}
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", page, **headers)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "")

    def _answer(self, status: HTTPStatus, kind: str, text: str, **headers: str) -> None:
        content = text.encode()
        self.send_response(status)
        own = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
        }
        for name, value in (own | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name of http.server
        """Log nothing: requests hold the token."""


def _token_of(header: str) -> str:
    """Return the token of an Authorization header, Bearer or Basic.

    >>> _token_of("Bearer abc"), _token_of("Basic bWU6YWJj"), _token_of("Basic !")
    ('abc', 'abc', '')
    """
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    try:
        pair = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return pair.partition(":")[2]
