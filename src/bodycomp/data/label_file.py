"""``labels.json``: whether the masks of a set say of some pixels that nobody annotated them.

The declaration lies beside the masks, so that it travels with them. Without it 255 is a label that
a mask must not have: a mask that was scaled to 0..255 is not taken for one that is not finished.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from bodycomp.anatomy import NOT_ANNOTATED_LABEL
from bodycomp.data.findings import Finding, Place, Rule
from bodycomp.data.naming import LABELS_NAME
from bodycomp.storage import atomic_file

DECLARATION: Final = {"not_annotated": NOT_ANNOTATED_LABEL}
LABELS_FILE: Final = Rule(
    "labels-file",
    "error",
    f"Write {json.dumps(DECLARATION)} into it, or remove it if every pixel is annotated.",
)


def declare_not_annotated(data_dir: Path) -> None:
    """Write that 255 in the masks of a set means not annotated."""
    text = json.dumps(DECLARATION) + "\n"
    with atomic_file(data_dir / LABELS_NAME) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_declaration(data_dir: Path) -> bool | Finding:
    """Return whether 255 means not annotated, or why the file that should say so cannot be used."""
    path = data_dir / LABELS_NAME
    if not path.exists():
        return False
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:160]
        message = f"expected {json.dumps(DECLARATION)}, found a file that cannot be read ({reason})"
        return LABELS_FILE.broken(Place(LABELS_NAME), message)
    if found != DECLARATION or isinstance(found["not_annotated"], bool | float):
        message = f"expected {json.dumps(DECLARATION)}, found {json.dumps(found)[:160]}"
        return LABELS_FILE.broken(Place(LABELS_NAME), message)
    return True
