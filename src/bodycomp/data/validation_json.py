"""A validation for machines: one JSON object, its form described in docs/validation.md."""

from __future__ import annotations

import math
from typing import Any, Final

from bodycomp import __version__
from bodycomp.data.validation import Validation

SCHEMA: Final = "bodycomp-validation"
SCHEMA_VERSION: Final = 1
"""Grows when a key changes its meaning or goes; new keys may come without."""


def validation_to_dict(validation: Validation) -> dict[str, Any]:
    """Return what was found as JSON-ready values; numbers that are not finite become None."""
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
                "value": _finite(finding.value),
                "message": finding.message,
                "hint": finding.hint,
            }
            for finding in validation.findings
        ],
    }


def _finite(value: float | str | None) -> float | int | str | None:
    is_finite = not isinstance(value, float) or math.isfinite(value)
    return value if is_finite else None
