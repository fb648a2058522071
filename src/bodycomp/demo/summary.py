"""The demo's summary as a file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from bodycomp.demo.comparison import Agreement
from bodycomp.storage import atomic_file

SUMMARY_NAME = "summary.json"


def write_summary(folder: Path, agreement: Agreement, *, minutes: float) -> None:
    """Write every number of the comparison to ``summary.json``."""
    content = asdict(agreement) | {"minutes": round(minutes, 2)}
    for patient in content["patients"]:
        preview = patient["preview"]
        patient["preview"] = None if preview is None else str(preview.relative_to(folder))
    with atomic_file(folder / SUMMARY_NAME) as path:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
