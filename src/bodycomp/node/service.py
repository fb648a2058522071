"""What the node speaks: SOP classes, transfer syntaxes and TLS (docs/conformance.md)."""

from __future__ import annotations

import ssl
from typing import Final

from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined] # made when the module is imported
    Comprehensive3DSRStorage,
    CTImageStorage,
    EnhancedCTImageStorage,
    LabelMapSegmentationStorage,
    LegacyConvertedEnhancedCTImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    Verification,
)

from bodycomp.dicom.pixels import readable_syntaxes
from bodycomp.node.config import Listener, Tls

IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
VERIFICATION: Final = str(Verification)
RECEIVED: Final = tuple(
    map(str, (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage))
)
"""SOP classes that are taken as a storage SCP."""
SENT: Final = {
    "seg": str(SegmentationStorage),
    "sr": str(Comprehensive3DSRStorage),
    "overlay": str(SecondaryCaptureImageStorage),
    "labelmap": str(LabelMapSegmentationStorage),
}
"""Kind of object -> SOP class that is sent as a storage SCU."""
SENT_SYNTAX: Final = EXPLICIT
MAX_PDU: Final = 131_072
"""Bytes of a PDU that peers are asked to send at most."""
CIPHERS: Final = "ECDHE+AESGCM"
"""Of TLS 1.2, as RFC 9325 4.2 recommends; those of TLS 1.3 are all allowed."""


def accepting_entity(listener: Listener) -> AE:
    """Return the application entity that receives."""
    entity = _entity(listener)
    entity.maximum_associations = listener.max_associations
    entity.require_called_aet = True
    entity.add_supported_context(VERIFICATION, [IMPLICIT, EXPLICIT])
    for sop_class in RECEIVED:
        entity.add_supported_context(sop_class, list(readable_syntaxes()))
    return entity


def requesting_entity(listener: Listener) -> AE:
    """Return the application entity that sends, and asks whether somebody is there."""
    entity = _entity(listener)
    entity.add_requested_context(VERIFICATION, [IMPLICIT, EXPLICIT])
    for sop_class in SENT.values():
        entity.add_requested_context(sop_class, SENT_SYNTAX)
    return entity


def _entity(listener: Listener) -> AE:
    entity = AE(ae_title=listener.ae_title)
    entity.maximum_pdu_size = MAX_PDU
    entity.acse_timeout = entity.connection_timeout = listener.timeout_seconds
    entity.dimse_timeout = entity.network_timeout = listener.timeout_seconds
    return entity


def server_context(tls: Tls) -> ssl.SSLContext:
    """Return TLS for those who call: nobody comes in without a certificate of the CA.

    Raises:
        OSError: A file is missing, or is no certificate or key.
    """
    return _bcp195(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls)


def client_context(tls: Tls) -> ssl.SSLContext:
    """Return TLS for those who are called; their certificate must name their host.

    Raises:
        OSError: As ``server_context``.
    """
    return _bcp195(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls)


def _bcp195(context: ssl.SSLContext, tls: Tls) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.load_cert_chain(tls.certificate, tls.key)
    context.load_verify_locations(tls.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
