"""Results to destinations: C-STORE or STOW-RS; and whether a destination answers."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import requests
from dicomweb_client.api import DICOMwebClient
from pynetdicom import _config as pynetdicom_config
from pynetdicom.association import Association

from bodycomp.dicom.file_header import open_dicom
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.errors import OutputError
from bodycomp.node.config import Destination, NodeConfig
from bodycomp.node.service import client_context, requesting_entity

_WARNINGS: Final = 0xB000
"""Statuses of C-STORE from here to 0xBFFF say that an object was stored (PS3.4 table B.2-1)."""


@quiet_pydicom()
def send(config: NodeConfig, destination: Destination, files: Sequence[Path]) -> None:
    """Send objects to a destination; what it has already is the same object to it.

    Raises:
        OutputError: It did not take all of them; the message names nobody.
    """
    if destination.url:
        _post(config, destination, files)
        return
    pynetdicom_config.STORE_SEND_CHUNKED_DATASET = True  # the bytes as they are
    with _associated(config, destination) as association:
        for path in files:
            try:
                status = association.send_c_store(path).get("Status")
            except ValueError as error:  # no presentation context was accepted for it
                raise OutputError(f"it does not accept objects such as {path.name}") from error
            except RuntimeError as error:
                raise OutputError("the association ended") from error
            if status is None:
                raise OutputError("it did not answer")
            if status != 0 and status & 0xF000 != _WARNINGS:
                raise OutputError(f"it refused {path.name} with status 0x{status:04X}")


@quiet_pydicom()
def ping(config: NodeConfig, destination: Destination) -> None:
    """Check that a destination answers: by C-ECHO, or a search for no study.

    Raises:
        OutputError: It does not; the message says why.
    """
    if destination.url:
        with _web_errors():
            _client(config, destination).search_for_studies(limit=1)
        return
    with _associated(config, destination) as association:
        status = association.send_c_echo().get("Status")
        if status != 0:
            raise OutputError("it did not answer C-ECHO")


@contextmanager
def _associated(config: NodeConfig, destination: Destination) -> Iterator[Association]:
    host, port = destination.host, destination.port
    tls = config.tls if destination.tls else None
    secured: tuple[ssl.SSLContext, str] | None = None
    try:
        if tls is not None:
            secured = (client_context(tls), host)
        entity = requesting_entity(config.node)
        association = entity.associate(
            _address(host), port, ae_title=destination.ae_title, tls_args=secured
        )
    except OSError as error:
        raise OutputError(f"it cannot be reached: {error.strerror or error}") from error
    if not association.is_established:
        rejected = association.is_rejected
        raise OutputError(
            "it rejected the association; does it know our AE title and address?"
            if rejected
            else "it cannot be reached" + (", or TLS failed" if tls else "")
        )
    try:
        yield association
    finally:
        association.release()


def _address(host: str) -> str:
    """Return the address of a name.

    Raises:
        OSError: It has none.
    """
    import socket  # noqa: PLC0415

    return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])


def _post(config: NodeConfig, destination: Destination, files: Sequence[Path]) -> None:
    found = [open_dicom(path, pixels=True) for path in files]
    datasets = [dataset for dataset in found if dataset is not None]
    with _web_errors():
        answer = _client(config, destination).store_instances(datasets)
        failed = answer.get("FailedSOPSequence") or ()
    if failed:
        reason = failed[0].get("FailureReason", 0)
        raise OutputError(f"it refused {len(failed)} of {len(files)} objects (0x{reason:04X})")


@contextmanager
def _web_errors() -> Iterator[None]:
    """Turn what HTTP raises into words without addresses of instances."""
    try:
        yield
    except requests.HTTPError as error:
        code = "an error" if error.response is None else error.response.status_code
        raise OutputError(f"it answered with HTTP {code}") from error
    except (requests.RequestException, OSError, ValueError) as error:
        raise OutputError(
            f"it cannot be reached, or TLS failed ({type(error).__name__})"
        ) from error


def _client(config: NodeConfig, destination: Destination) -> DICOMwebClient:
    session = requests.Session()
    session.trust_env = False  # neither proxies nor passwords of the environment
    if destination.password_file is not None:
        password = destination.password_file.read_text(encoding="utf-8").strip()
        session.auth = (destination.user, password)
    if destination.tls and config.tls is not None:
        session.verify = str(config.tls.ca)
        session.cert = (str(config.tls.certificate), str(config.tls.key))
    client = DICOMwebClient(destination.url, session=session)
    client.set_http_retry_params(retry=False)
    return client
