"""JSON files as people read them, and frozen values as JSON: the one way from one to the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from bodycomp.storage import atomic_file


def json_text(value: Any, *, allow_nan: bool = False) -> str:
    """Return a value as indented JSON with a line end.

    Raises:
        ValueError: A number is NaN or infinite, and ``allow_nan`` is off.
    """
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=allow_nan) + "\n"


def write_json(path: Path, value: Any, *, durable: bool = False, allow_nan: bool = False) -> None:
    """Write a value as indented JSON; ``durable`` as ``atomic_file``, raises as ``json_text``."""
    text = json_text(value, allow_nan=allow_nan)
    with atomic_file(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def to_plain(value: Any) -> Any:
    """Return a value as JSON has it: dataclasses as objects, tuples as lists."""
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    return [to_plain(each) for each in value] if isinstance(value, tuple | list) else value


def from_plain(kind: Any, value: Any, *, complete: bool = False) -> Any:
    """Rebuild a value of this type from ``to_plain``; keys that it does not know are ignored.

    Args:
        kind: A dataclass, number, text, path, tuple, mapping, or one of these or None.
        value: What was read; what is of the dataclass already stays as it is.
        complete: Whether a key must be there even if its field has a default.

    Raises:
        KeyError, TypeError, ValueError: Something is missing or of another type.
    """
    inner = get_args(kind)
    if NoneType in inner:
        (kind,) = (each for each in inner if each is not NoneType)
        return None if value is None else from_plain(kind, value, complete=complete)
    if isinstance(kind, type) and is_dataclass(kind):
        return value if isinstance(value, kind) else _rebuilt(kind, value, complete=complete)
    if get_origin(kind) is tuple:
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(from_plain(each, part) for each, part in zip(kinds, value, strict=True))
    if get_origin(kind) is Mapping:
        return {str(key): from_plain(inner[1], part) for key, part in value.items()}
    if kind is str:
        return "" if value is None else str(value)
    return kind(value) if kind in {int, float, bool, Path} else value


def _rebuilt(kind: Any, value: Any, *, complete: bool) -> Any:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected an object, found {type(value).__name__}")
    hints, made = _hints_of(kind), {}
    for field in fields(kind):
        has_default = field.default is not MISSING or field.default_factory is not MISSING
        if field.name in value or complete or not has_default:
            made[field.name] = from_plain(hints[field.name], value[field.name], complete=complete)
    return kind(**made)


@lru_cache(maxsize=256)
def _hints_of(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
