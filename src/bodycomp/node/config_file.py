"""TOML -> the configuration of a node; what it does not know is refused with its place."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from bodycomp.errors import InputNotFoundError, UsageError
from bodycomp.networks.shipped import shipped_models
from bodycomp.node.config import NodeConfig


def read_config(path: Path) -> NodeConfig:
    """Read a configuration; paths in it count from its folder.

    Raises:
        InputNotFoundError: It is not there.
        UsageError: It is no TOML, or a key is unknown, missing or of another type; the message
            has the place.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputNotFoundError(
            f"expected the configuration of a node, found nothing at {path}",
            hint="docs/serve.md shows one.",
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: expected TOML, found other text: {error}") from error
    try:
        found: NodeConfig = _section(NodeConfig, document, "", path.parent)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from error
    return found


def _section(kind: type[Any], table: Mapping[str, Any], place: str, folder: Path) -> Any:
    """Make a dataclass of a table."""
    hints, known = get_type_hints(kind), {each.name: each for each in fields(kind)}
    for name in table:
        if name not in known:
            what = f"[{place}]" if place else "the file"
            raise UsageError(
                f"{what}: expected keys among {', '.join(known)}, found {name!r}",
            )
    values = {}
    for name, field in known.items():
        inner = f"{place}.{name}" if place else name
        if name in table:
            values[name] = _value(hints[name], table[name], inner, folder)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UsageError(f"expected {inner}, found nothing")
    try:
        return kind(**values)
    except UsageError as error:
        raise UsageError(f"[{place}]: {error.message}" if place else error.message) from error


def _value(kind: Any, value: Any, place: str, folder: Path) -> Any:
    inner = get_args(kind)
    if NoneType in inner:
        (kind,) = (each for each in inner if each is not NoneType)
        inner = get_args(kind)
    if get_origin(kind) is tuple:
        return _values(inner, value, place, folder)
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, Mapping):
        return _section(kind, value, place, folder)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Path and isinstance(value, str):
        return Path(value) if value in shipped_models() else folder / value
    if type(value) is not kind:
        what = "a section" if is_dataclass(kind) else kind.__name__
        raise UsageError(f"{place}: expected {what}, found {value!r}")
    return value


def _values(inner: tuple[Any, ...], value: Any, place: str, folder: Path) -> tuple[Any, ...]:
    count = None if inner[-1] is Ellipsis else len(inner)
    if not isinstance(value, list) or (count is not None and len(value) != count):
        many = "a list" if count is None else f"a list of {count}"
        raise UsageError(f"{place}: expected {many}, found {value!r}")
    kinds = [inner[0]] * len(value) if count is None else inner
    return tuple(
        _value(each, part, f"{place} {number}", folder)
        for number, (each, part) in enumerate(zip(kinds, value, strict=True), start=1)
    )
