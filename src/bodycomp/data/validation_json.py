"""A validation for machines: one JSON object, its form described in docs/validation.md."""

from __future__ import annotations

import json
from typing import Any, Final

from bodycomp import __version__
from bodycomp.data.validation import Validation

SCHEMA: Final = "bodycomp-validation"
SCHEMA_VERSION: Final = 1
"""Grows when a key changes its meaning or goes; new keys may come without."""


def validation_to_dict(validation: Validation) -> dict[str, Any]:
    """Return what was found as plain values."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "bodycomp": __version__,
        "kind": validation.kind,
        "data_dir": str(validation.data_dir),
        "samples": {split: len(facts) for split, facts in validation.facts.items()},
        "errors": validation.errors,
        "warnings": validation.warnings,
        "findings": [
            {
                "severity": finding.severity,
                "code": finding.code,
                "where": finding.where,
                "split": finding.split,
                "index": finding.index,
                "value": finding.value,
                "message": finding.message,
                "hint": finding.hint,
            }
            for finding in validation.findings
        ],
    }


def validation_to_json(validation: Validation) -> str:
    """Return what was found as text; numbers that are not finite become null."""
    values = validation_to_dict(validation)
    for finding in values["findings"]:
        value = finding["value"]
        if isinstance(value, float) and not abs(value) < float("inf"):
            finding["value"] = None
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
