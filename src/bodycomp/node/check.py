"""Whether a node would run as configured: every point with what was found."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from bodycomp.errors import BodycompError
from bodycomp.networks.shipped import models_dir
from bodycomp.node.config import Destination, NodeConfig
from bodycomp.node.measuring import analyze_options, default_loader
from bodycomp.node.sending import ping
from bodycomp.node.service import client_context, server_context
from bodycomp.node.spool import free_gb

_SOON_DAYS: Final = 30
_DAY_SECONDS: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was checked.

    Attributes:
        state: ``ok``, ``warning``, or ``error``: the node would not work.
    """

    state: str
    what: str
    found: str = ""

    def __str__(self) -> str:
        return f"{self.state:<8} {self.what}" + (f": {self.found}" if self.found else "")


def check_node(config: NodeConfig) -> Iterator[Point]:
    """Yield what was found, as it is found; destinations are asked for an answer."""
    yield _tried("spool", partial(_spool, config))
    yield _exposed(config)
    if config.tls is not None:
        yield _tried("TLS", partial(_tls, config))
    for folder in dict.fromkeys(
        [config.measure.models, *(each.models for each in config.rules if each.models)]
    ):
        yield _tried("models", partial(_models, config, folder))
    for each in config.destinations:
        yield _tried(f"destination {each.name!r}", partial(_answers, config, each))
    used = {name for rule in config.rules for name in rule.destinations}
    for rule in config.rules:
        if rule.measure and not rule.destinations:
            yield Point("warning", f"rule {rule.name!r}", "results go nowhere")
    for name in sorted({each.name for each in config.destinations} - used):
        yield Point("warning", f"destination {name!r}", "no rule names it")


def _tried(what: str, check: Callable[[], str]) -> Point:
    try:
        found = check()
    except BodycompError as error:
        return Point("error", what, error.message)
    except (OSError, ValueError) as error:
        return Point("error", what, str(error))
    return Point("ok", what, found)


def _spool(config: NodeConfig) -> str:
    folder = config.node.spool
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder):
        pass
    free = free_gb(folder)
    if free < config.node.min_free_gb:
        raise OSError(f"{free:.1f} GB are free, fewer than min_free_gb; nothing is accepted")
    return f"{folder}, {free:.0f} GB free"


def _exposed(config: NodeConfig) -> Point:
    node = config.node
    what = f"{node.ae_title} on {node.address}:{node.port}"
    if node.is_local or config.tls is not None:
        return Point("ok", what)
    return Point("warning", what, "other machines can reach it, and there is no [tls]")


def _tls(config: NodeConfig) -> str:
    if config.tls is None:
        return ""
    server, _ = server_context(config.tls), client_context(config.tls)
    days = (_end_of(server, config.tls.certificate) - time.time()) / _DAY_SECONDS
    advice = ", renew it" if days < _SOON_DAYS else ""
    return f"the certificate is valid for {days:.0f} days{advice}"


def _end_of(server: ssl.SSLContext, certificate: Path) -> float:
    """Return until when a certificate is valid, seconds since 1970, as one who calls sees it.

    Raises:
        OSError: It is not valid now.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(certificate)
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # whoever signed it
    server.verify_mode = ssl.CERT_NONE
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(back, there, server_hostname="node"),
        server.wrap_bio(there, back, server_side=True),
    ]
    for side in (*sides, *sides):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return float(ssl.cert_time_to_seconds(str((sides[0].getpeercert() or {})["notAfter"])))


def _models(config: NodeConfig, folder: Path | None) -> str:
    place = Path()
    options = analyze_options(config.measure, (place,), place, place, folder)
    analyzer = default_loader(options)
    return f"{models_dir(options.models_dir)}, levels {', '.join(analyzer.scorer.levels)}"


def _answers(config: NodeConfig, destination: Destination) -> str:
    ping(config, destination)
    return f"{destination.place} answers"
