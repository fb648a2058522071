"""Tables of the node's pages, made of its code: ``python docs/node_tables.py`` writes them anew.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from pydicom.uid import UID

from bodycomp.dicom.pixels import readable_syntaxes
from bodycomp.node import service
from bodycomp.node.config import NodeConfig
from bodycomp.node.spool import Status
from bodycomp.options import declared, default_text

DOCS: Final = Path(__file__).parent
PAGES: Final = (DOCS / "serve-keys.md", DOCS / "conformance.md")
STATUS_MEANINGS: Final = {
    Status.SUCCESS: "the image is on the disk, or was there already",
    Status.NO_RESOURCES: "the disk is almost full or cannot be written, or the study too large",
    Status.OTHER_STUDY: "the pseudonym of its study belongs to another one (once in 10^14 pairs)",
    Status.UNREADABLE: "no readable dataset, or without UIDs, or another instance than requested",
}


def table(*rows: tuple[str, ...]) -> str:
    """Return rows as Markdown, the first as the heading."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def sop_classes() -> str:
    """Return the SOP classes with their roles."""
    rows = [(service.VERIFICATION, "SCP and SCU", "-")]
    rows += [(uid, "SCP", "-") for uid in service.RECEIVED]
    rows += [(uid, "SCU", kind) for kind, uid in service.SENT.items()]
    named = [(UID(uid).name, f"`{uid}`", role, kind) for uid, role, kind in rows]
    return table(("SOP class", "UID", "role", "`objects`"), *named)


def syntaxes() -> str:
    """Return the transfer syntaxes."""
    rows = [(UID(uid).name, f"`{uid}`") for uid in readable_syntaxes()]
    return table(("transfer syntax of images that are received", "UID"), *rows)


def statuses() -> str:
    """Return the answers to C-STORE."""
    rows = [(f"`{status:04X}`", STATUS_MEANINGS[status]) for status in Status]
    return table(("status", "meaning"), *rows)


def keys() -> str:
    """Return every key of the configuration."""
    hints, rows = get_type_hints(NodeConfig), []
    for section in fields(NodeConfig):
        (kind,) = [
            each
            for each in (hints[section.name], *get_args(hints[section.name]))
            if is_dataclass(each)
        ]
        several = not is_dataclass(hints[section.name]) and section.name != "tls"
        place = f"[[{section.name}]]" if several else f"[{section.name}]"
        rows += [(f"`{place}`" if n == 0 else "", *row) for n, row in enumerate(_rows(kind))]
    return table(("section", "key", "default", "meaning"), *rows)


def _rows(kind: type[Any]) -> list[tuple[str, str, str]]:
    found = []
    for field, option in declared(kind):
        default = "required" if field.default is MISSING else default_text(field.default)
        default = {"None": "", "": "", "True": "true", "False": "false"}.get(default, default)
        help_text = option.help.replace("|", "\\|")  # type: ignore[union-attr] # none is nested
        found.append((f"`{field.name}`", default, help_text))
    return found


TABLES: Final[dict[str, Callable[[], str]]] = {
    "SOP classes": sop_classes,
    "transfer syntaxes": syntaxes,
    "statuses": statuses,
    "keys": keys,
}


def current(page: str) -> str:
    """Return a page with its tables as the code makes them."""

    def made(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table: ([^>]+?) -->\n.*?<!-- end -->", made, page, flags=re.DOTALL)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(current(path.read_text(encoding="utf-8")), encoding="utf-8")
