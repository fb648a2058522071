"""JSON files as people read them: indented, UTF-8, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
