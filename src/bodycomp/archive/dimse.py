"""An archive over DICOM's own protocol: C-FIND, then C-GET or C-MOVE (PS3.4 C.4)."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final, Self

from pydicom import uid
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association

from bodycomp.archive.options import Peer, PullOptions, parse_place
from bodycomp.archive.protocol import Save, answer_of
from bodycomp.archive.query import Answer, Level
from bodycomp.dicom.pixels import readable_syntaxes
from bodycomp.errors import ArchiveError, ArchiveUnreachableError, UsageError

_FIND: Final = uid.UID("1.2.840.10008.5.1.4.1.2.2.1")
_MOVE: Final = uid.UID("1.2.840.10008.5.1.4.1.2.2.2")
_GET: Final = uid.UID("1.2.840.10008.5.1.4.1.2.2.3")
"""The study root model (PS3.4 C.6.2)."""

_CLASSES: Final = (
    uid.CTImageStorage,
    uid.EnhancedCTImageStorage,
    uid.LegacyConvertedEnhancedCTImageStorage,
    uid.SecondaryCaptureImageStorage,  # dose reports and reformats in series of CT
)
_PENDING: Final = (0xFF00, 0xFF01)
_OUT_OF_RESOURCES, _NOT_AUTHORIZED, _UNKNOWN_DESTINATION = 0xA700, 0x0124, 0xA801
_REASONS: Final = {
    (1, 3): "it does not know our AE title {ours}",
    (1, 7): "it has another AE title than {theirs}",
    (3, 1): "it is busy",
    (3, 2): "it has too many associations already",
}
"""Source and reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4) -> words."""


class DimseArchive:
    """One association, made anew when it is lost; with C-MOVE a listener for what is sent.

    Raises:
        UsageError: The port to receive at, or a certificate, cannot be used.
    """

    def __init__(self, peer: Peer, options: PullOptions) -> None:
        self._peer = peer
        self._title = options.title.strip()
        self._tls = _tls_context(options)
        self._is_moving = bool(options.receive_at)
        self._association: Association | None = None
        self._save: Save | None = None
        self._fault: Exception | None = None
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._ae = self._entity(options.timeout_s)
        self._ae.add_requested_context(_FIND)
        self._ae.add_requested_context(_MOVE if self._is_moving else _GET)
        if self._is_moving:
            self._listen(options)
        else:  # one context for each syntax, so that nothing is recoded on its way
            for kind in _CLASSES:
                for syntax in readable_syntaxes():
                    self._ae.add_requested_context(kind, syntax)

    def _entity(self, timeout_s: float) -> AE:
        entity = AE(self._title)
        entity.maximum_pdu_size = 2**17  # 16 KiB, the default, costs a third of the speed
        entity.connection_timeout = entity.acse_timeout = timeout_s
        entity.dimse_timeout = entity.network_timeout = timeout_s
        return entity

    def _listen(self, options: PullOptions) -> None:
        host, port = parse_place(options.receive_at)
        entity = self._entity(options.timeout_s)
        entity.require_called_aet = True
        for kind in _CLASSES:
            entity.add_supported_context(kind, list(readable_syntaxes()))
        try:
            place = (host or self._own_address(), port)
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from error
        try:
            server = entity.start_server(
                place, block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
            )
        except OSError as error:
            raise UsageError(
                f"expected a place to listen at as --receive-at, found {error.strerror or error} "
                f"at {place[0]}:{port}"
            ) from error
        if server is not None:
            self._open.callback(server.shutdown)

    def _own_address(self) -> str:
        """Return the address that faces the archive; raises OSError where it is not there."""
        peer = (self._peer.host, self._peer.port)
        with socket.create_connection(peer, self._ae.connection_timeout) as found:
            return str(found.getsockname()[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._association is not None and self._association.is_established:
            end = self._association.release if kind is None else self._association.abort
            end()
        self._open.close()

    def connect(self) -> None:
        """Open an association, as ``Archive.connect``."""
        self._associated()

    def find(self, level: Level, keys: Mapping[str, str]) -> Iterator[Answer]:
        """Yield what it has that matches, as ``Archive.find``."""
        association = self._associated()
        identifier = _identifier(level, keys)
        for status, answer in association.send_c_find(identifier, _FIND):
            if "Status" not in status:
                raise self._unreachable(
                    "it broke the connection, or did not answer in time",
                    f"Some archives do so where they do not know our AE title {self._title}.",
                )
            code = int(status.Status)
            if code in _PENDING and answer is not None:
                yield answer_of(answer)
            elif code:
                keyed = ", ".join(name for name, value in keys.items() if value)
                raise ArchiveError(
                    f"the archive refused the query by {keyed} with status {code:04X}",
                    hint="It may not know one of the keys: ask by fewer.",
                )

    def fetch(self, study_uid: str, series_uid: str, save: Save) -> None:
        """Have every image of a series sent to ``save``, as ``Archive.fetch``."""
        association = self._associated()
        identifier = _identifier(
            Level.SERIES, {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        )
        self._fault, self._save = None, save
        try:
            if self._is_moving:
                answers = association.send_c_move(identifier, self._title, _MOVE)
            else:
                answers = association.send_c_get(identifier, _GET)
            code, failed = 0, 0
            for status, _ in answers:
                if "Status" not in status:
                    raise ArchiveError("the archive broke the connection, or is too slow")
                code = int(status.Status)
                failed = int(status.get("NumberOfFailedSuboperations") or 0)
        finally:
            with self._lock:
                self._save = None
        if self._fault is not None:
            raise self._fault
        if code == _UNKNOWN_DESTINATION:
            raise UsageError(
                f"expected an AE title that the archive sends images to, found {self._title}",
                hint="Have it added there with our host and port, or leave --receive-at out.",
            )
        if code or failed:
            raise ArchiveError(
                f"the archive ended with status {code:04X}, {failed} images not sent"
            )

    def _store(self, event: evt.Event) -> int:
        """Take one image; the archive's own threads call this with C-MOVE."""
        with self._lock:
            if self._save is None:
                return _NOT_AUTHORIZED
            if self._fault is None:
                try:
                    self._save(event.encoded_dataset())
                except Exception as error:  # raised where the series was asked for
                    self._fault = error
            return _OUT_OF_RESOURCES if self._fault else 0

    def _associated(self) -> Association:
        if self._association is not None and self._association.is_established:
            return self._association
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store)]
        roles: list[Any] = (
            [] if self._is_moving else [build_role(kind, scp_role=True) for kind in _CLASSES]
        )
        peer = self._peer
        try:
            found = self._ae.associate(
                peer.host,
                peer.port,
                ae_title=peer.title,
                ext_neg=roles,
                evt_handlers=handlers,
                tls_args=(self._tls, peer.host) if self._tls else None,
            )
        except OSError as error:  # no such host
            raise self._unreachable(error.strerror or str(error)) from error
        if not found.is_established:
            raise self._unreachable(self._why_not(found))
        self._association = found
        offered = {context.abstract_syntax for context in found.accepted_contexts}
        if _FIND not in offered:
            raise self._unreachable(f"it does not offer C-FIND to {self._title}")
        if not {_GET, _MOVE} & offered:
            name, hint = ("C-MOVE", "") if self._is_moving else ("C-GET", "Pull with --receive-at.")
            raise self._unreachable(f"it does not offer {name} to {self._title}", hint)
        return found

    def _why_not(self, association: Association) -> str:
        if association.is_rejected:
            answer: Any = association.acceptor.primitive
            place = (answer.result_source, answer.diagnostic)
            words = _REASONS.get(place, f"it rejected the association, {answer.reason_str}")
            return words.format(ours=self._title, theirs=self._peer.title)
        try:
            self._own_address()
        except OSError as error:
            return error.strerror or str(error)
        tls = "both certificates have to be trusted" if self._tls else "it may expect TLS (--ca)"
        return f"it is there, but ended the connection; {tls}"

    def _unreachable(self, why: str, hint: str = "") -> ArchiveUnreachableError:
        return ArchiveUnreachableError(
            f"the archive {self._peer} cannot be used: {why}",
            hint=hint or "AE titles, host and port are as its administrator set them up.",
        )


def _tls_context(options: PullOptions) -> ssl.SSLContext | None:
    if options.ca is None:
        return None
    try:
        context = ssl.create_default_context(cafile=options.ca)
        if options.certificate is not None:
            context.load_cert_chain(options.certificate)
    except OSError as error:
        raise UsageError(
            f"expected certificates in PEM as --ca and --certificate, found none ({error})"
        ) from error
    return context


def _identifier(level: Level, keys: Mapping[str, str]) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level.value
    if not "".join(keys.values()).isascii():
        identifier.SpecificCharacterSet = "ISO_IR 192"
    for name, value in keys.items():
        setattr(identifier, name, value)
    return identifier
