"""The storage SCP: who may come in, how much a peer may send, and where that goes."""

from __future__ import annotations

import logging
import socket
import sqlite3
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pynetdicom import _config as pynetdicom_config
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from bodycomp.node.config import NodeConfig
from bodycomp.node.service import accepting_entity, server_context
from bodycomp.node.spool import Spool, Status

_LOG: Final = logging.getLogger(__name__)
_LONGEST_PDU: Final = 1 << 20
_LONGEST_IN_MEMORY: Final = 1 << 20
"""Bytes of a message that pynetdicom holds in memory: all but datasets to be stored."""
_MOST_WAITING: Final = 10
"""Messages that may wait for answers; without asynchronous operations there is one."""
_UNKNOWN_CALLER: Final = (0x01, 0x01, 0x03)
"""Rejected for good, by the service user, calling AE title not recognized (PS3.8 9.3.4)."""


class _Server(ThreadedAssociationServer):
    """Accepts connections of known addresses alone, and waits for no peer while it does."""

    config: NodeConfig
    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection; hands are shaken later, by the thread of the association."""
        if self.socket is None:  # closed
            raise OSError("the server is closed")
        client, address = self.socket.accept()
        client.settimeout(self.config.node.timeout_seconds)
        if self.ssl_context is not None:
            client = self.ssl_context.wrap_socket(
                client, server_side=True, do_handshake_on_connect=False
            )
        return client, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether to talk to an address at all."""
        address = str(client_address[0])
        if not any(peer.is_at(address) for peer in self.config.peers):
            _LOG.warning("a connection from %s is refused: no peer is at this address", address)
            return False
        return len(self.active_associations) < 2 * self.config.node.max_associations

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note a connection that could not be served."""
        _LOG.warning("a connection from %s failed", client_address[0])


class _BoundedSocket(AssociationSocket):
    """Reads no more than a peer may send; pynetdicom would read up to 4 GB into memory."""

    max_bytes: int
    _message_bytes = 0

    def recv(self, nr_bytes: int) -> bytearray:
        """Read a part of a PDU.

        Raises:
            OSError: It is too long, as is its message, or too many messages wait; the association
                ends.
        """
        dimse = self.assoc.dimse
        message = dimse.message
        self._message_bytes = nr_bytes + (0 if message is None else self._message_bytes)
        on_disk = message is not None and message._data_set_file is not None  # noqa: SLF001 - no other way
        longest = self.max_bytes if on_disk else _LONGEST_IN_MEMORY
        if nr_bytes > _LONGEST_PDU or self._message_bytes > longest:
            raise OSError("longer than this node takes")
        if dimse.msg_queue.qsize() > _MOST_WAITING:
            raise OSError("more messages than this node takes at once")
        return super().recv(nr_bytes)


class _Handler(RequestHandler):
    """Gives associations sockets with bounds."""

    server: _Server

    def _create_association(self) -> Association:
        association = super()._create_association()
        bounded = association.dul.socket
        bounded.__class__ = _BoundedSocket
        bounded.max_bytes = int(self.server.config.node.max_image_gb * 1e9)  # type: ignore[union-attr]
        return association


@contextmanager
def receiving(config: NodeConfig, spool: Spool) -> Iterator[None]:
    """Receive images into the spool while the block runs.

    Raises:
        OSError: The port is taken, or a certificate cannot be read.
    """
    context = None if config.tls is None else server_context(config.tls)
    listener = config.node

    def requested(event: Event) -> None:
        association = event.assoc
        asked = association.requestor.primitive
        title, address = "" if asked is None else asked.calling_ae_title, _address(event)
        if not any(each.ae_title == title and each.is_at(address) for each in config.peers):
            _LOG.warning("an association from %s is refused: unknown calling AE title", address)
            association.acse.send_reject(*_UNKNOWN_CALLER)

    def stored(event: Event) -> int:
        title = str(event.assoc.requestor.ae_title)
        try:
            return spool.receive(event.dataset_path, title)
        except (OSError, sqlite3.Error) as error:
            _LOG.error("an image of %s is not accepted: %s", title, type(error).__name__)
            return Status.NO_RESOURCES

    hook = threading.excepthook
    earlier = tempfile.tempdir, pynetdicom_config.STORE_RECV_CHUNKED_DATASET
    tempfile.tempdir = str(spool.incoming)  # where pynetdicom writes what it receives
    pynetdicom_config.STORE_RECV_CHUNKED_DATASET = True
    server = _started(config, context, [(evt.EVT_REQUESTED, requested), (evt.EVT_C_STORE, stored)])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2})
    thread.start()
    _LOG.info("%s listens on %s:%d", listener.ae_title, listener.address, listener.port)
    threading.excepthook = _failed
    try:
        yield
    finally:
        threading.excepthook = hook
        server.shutdown()
        thread.join()
        for association in server.active_associations:
            association.abort()
        tempfile.tempdir, pynetdicom_config.STORE_RECV_CHUNKED_DATASET = earlier


def _failed(args: threading.ExceptHookArgs) -> None:
    """Note that a thread fell, such as over a peer that breaks the protocol, and quote nothing."""
    _LOG.warning("an association failed: %s", args.exc_type.__name__)


def _started(config: NodeConfig, context: ssl.SSLContext | None, handlers: list[Any]) -> _Server:
    listener = config.node
    entity = accepting_entity(listener)
    server = _Server(
        entity,
        (listener.address, listener.port),
        listener.ae_title,
        entity.supported_contexts,
        context,
        evt_handlers=handlers,
        request_handler=_Handler,
    )
    server.config = config
    entity._servers.append(server)  # noqa: SLF001 - its shutdown takes it from there
    return server


def _address(event: Event) -> str:
    return str(event.assoc.requestor.address)
