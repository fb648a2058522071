"""The configuration of a node: what each key of its TOML file means, and what it may be."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bodycomp.errors import UsageError
from bodycomp.options import check_options, declare, option
from bodycomp.study.options import DicomObject

SENDABLE: Final = (DicomObject.SEG, DicomObject.SR, DicomObject.OVERLAY, DicomObject.LABELMAP)
"""Objects that archives take."""
LOOPBACK: Final = "127.0.0.1"
_TITLE_LENGTH: Final = 16


def _check_title(title: str) -> None:
    """Check an AE title (PS3.5 6.2, VR AE)."""
    if not (title.strip() and len(title) <= _TITLE_LENGTH and title.isascii()) or "\\" in title:
        raise UsageError(f"expected an AE title of 1 to 16 ASCII characters, found {title!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """How the node is reached, and what it takes at most."""

    ae_title: str = option("BODYCOMP", "ae_title", help="title that senders call, and of the node")
    address: str = option(LOOPBACK, "address", help="address to listen on; 0.0.0.0 for all")
    port: int = option(11112, "port", at_least=1, at_most=65535, help="port to listen on")
    spool: Path = field(
        metadata=declare("spool", help="folder of received images and of results; not shared")
    )
    quiet_seconds: float = option(
        60.0, "quiet_seconds", at_least=0, help="a study is complete when none of its images came"
    )
    timeout_seconds: float = option(
        30.0, "timeout_seconds", positive=True, help="wait for a peer that says nothing"
    )
    max_associations: int = option(20, "max_associations", at_least=1, help="at the same time")
    max_images: int = option(20000, "max_images", at_least=1, help="images of one study")
    max_study_gb: float = option(20.0, "max_study_gb", positive=True, help="size of one study")
    max_image_gb: float = option(4.0, "max_image_gb", positive=True, help="size of one instance")
    min_free_gb: float = option(
        5.0, "min_free_gb", at_least=0, help="nothing is accepted while less of the disk is free"
    )

    def __post_init__(self) -> None:
        check_options(self)
        _check_title(self.ae_title)
        _check_address(self.address)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.address).is_loopback


def _check_address(address: str) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        raise UsageError(f"expected an IP address to listen on, found {address!r}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Certificates of DICOM TLS, for both directions; with this section nobody comes in without.

    PEM files. The profile is BCP 195 (PS3.15 B.12): TLS 1.2 or 1.3, each side with a certificate.
    """

    certificate: Path = field(metadata=declare("certificate", help="the node's, with its chain"))
    key: Path = field(metadata=declare("key", help="its private key, without a password"))
    ca: Path = field(
        metadata=declare("ca", help="who signed the certificates of senders and destinations")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who may send."""

    ae_title: str = field(metadata=declare("ae_title", help="its calling AE title"))
    addresses: tuple[str, ...] = option(
        (LOOPBACK,), "addresses", help="addresses or networks (10.1.2.0/24) that it comes from"
    )

    def __post_init__(self) -> None:
        _check_title(self.ae_title)
        for each in self.addresses:
            try:
                ipaddress.ip_network(each)
            except ValueError as error:
                raise UsageError(f"expected an IP address or network, found {each!r}") from error

    def is_at(self, address: str) -> bool:
        """Whether it may come from there."""
        found = ipaddress.ip_address(address)
        return any(found in ipaddress.ip_network(each) for each in self.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How studies are measured; as ``bodycomp analyze`` without these options."""

    models: Path | None = option(None, "models", help="as --models of analyze")
    objects: tuple[str, ...] = option(
        ("seg", "sr"), "objects", choices=tuple(map(str, SENDABLE)), help="what is sent"
    )
    all_series: bool = option(
        False, "all_series", help="measure every series, not only the best one of a study"
    )
    range_mm: float = option(0.0, "range_mm", at_least=0, help="as --range of analyze")
    device: str = option("auto", "device", help="as --device of analyze")
    processes: int = option(
        1, "processes", at_least=1, help="studies at the same time; each holds the models"
    )
    max_minutes: float = option(
        60.0, "max_minutes", positive=True, help="a study that takes longer is set aside"
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where results go: a C-STORE SCP, or STOW-RS at a URL."""

    name: str = field(metadata=declare("name", help="what rules call it"))
    ae_title: str = option("", "ae_title", help="C-STORE: its AE title")
    host: str = option("", "host", help="C-STORE: its address or name")
    port: int = option(104, "port", at_least=1, at_most=65535, help="C-STORE: its port")
    url: str = option("", "url", help="STOW-RS: the DICOMweb service, as https://archive/dicom-web")
    user: str = option("", "user", help="STOW-RS: user of HTTP authentication")
    password_file: Path | None = option(
        None, "password_file", help="STOW-RS: file that holds the password alone"
    )
    tls: bool = option(
        False, "tls", help="connect by [tls]; a URL with https without it trusts public CAs"
    )

    def __post_init__(self) -> None:
        check_options(self)
        by_title = bool(self.ae_title and self.host)
        if by_title == bool(self.url) or (self.url and (self.ae_title or self.host)):
            raise UsageError("expected ae_title and host, or url, found neither or both")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise UsageError(f"expected url to begin with https:// or http://, found {self.url!r}")
        if bool(self.user) != bool(self.password_file):
            raise UsageError("expected user and password_file together, found one of them")
        if by_title:
            _check_title(self.ae_title)

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return self.url or f"{self.ae_title} at {self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is done with a study of which one series fulfils every condition.

    Texts are patterns with ``*`` and ``?``, one of which has to match, in either case.
    """

    name: str = field(metadata=declare("name", help="what decisions call it"))
    calling: tuple[str, ...] = option((), "calling", help="AE title of the sender")
    description: tuple[str, ...] = option((), "description", help="of study, series or protocol")
    body_part: tuple[str, ...] = option((), "body_part", help="Body Part Examined")
    thickness_mm: tuple[float, float] | None = option(
        None, "thickness_mm", help="slice thickness, from and to, both included"
    )
    measure: bool = option(True, "measure", help="false: such a study is not measured")
    models: Path | None = option(None, "models", help="models in place of those of [measure]")
    destinations: tuple[str, ...] = option((), "destinations", help="where results go")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """How often a destination is tried that does not take results."""

    first_wait_seconds: float = option(
        30.0, "first_wait_seconds", positive=True, help="wait after the first failure; doubled then"
    )
    longest_wait_minutes: float = option(
        60.0, "longest_wait_minutes", positive=True, help="at most"
    )
    give_up_hours: float = option(
        72.0, "give_up_hours", positive=True, help="then the study is set aside, with the reason"
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """When the spool forgets; what is not delivered and not set aside stays."""

    images_hours: float = option(
        24.0, "images_hours", at_least=0, help="images after delivery or refusal, for late slices"
    )
    results_days: float = option(
        30.0, "results_days", at_least=0, help="results and the record of a study after that"
    )
    set_aside_days: float = option(
        30.0, "set_aside_days", at_least=0, help="everything of a study that was set aside"
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page that shows how the node does."""

    port: int = option(0, "port", at_least=0, at_most=65535, help="port; 0 for no page")
    address: str = option(LOOPBACK, "address", help="address to listen on")

    def __post_init__(self) -> None:
        check_options(self)
        _check_address(self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """The whole file; a field is a section, of several a list of them (``[[rules]]``)."""

    node: Listener
    peers: tuple[Peer, ...]
    rules: tuple[Rule, ...]
    destinations: tuple[Destination, ...] = ()
    tls: Tls | None = None
    measure: Measure = field(default_factory=Measure)
    deliver: Deliver = field(default_factory=Deliver)
    keep: Keep = field(default_factory=Keep)
    page: Page = field(default_factory=Page)

    def __post_init__(self) -> None:
        if not (self.peers and self.rules):
            raise UsageError("expected at least one of [[peers]] and of [[rules]], found none")
        for what, names in (
            ("destinations", [each.name for each in self.destinations]),
            ("rules", [each.name for each in self.rules]),
        ):
            if len(set(names)) < len(names):
                raise UsageError(f"expected [[{what}]] with names of their own, found {names}")
        known = {each.name for each in self.destinations}
        for rule in self.rules:
            unknown = sorted({*rule.destinations} - known)
            if unknown:
                raise UsageError(
                    f"[[rules]] {rule.name!r}: expected destinations among "
                    f"{', '.join(sorted(known)) or 'none'}, found {', '.join(unknown)}"
                )
        if self.tls is None and any(each.tls for each in self.destinations):
            raise UsageError("expected a section [tls] for destinations with tls, found none")
