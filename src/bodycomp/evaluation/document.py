"""``evaluation.json``: everything that was measured, with what, on what. See docs/evaluation.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from bodycomp import __version__
from bodycomp.digests import text_digest
from bodycomp.evaluation.estimates import BootstrapOptions
from bodycomp.json_file import write_json
from bodycomp.preparation.report_files import RefusedCase

EVALUATION_NAME: Final = "evaluation.json"
EVALUATION_SCHEMA: Final = "bodycomp.evaluation"
EVALUATION_SCHEMA_VERSION: Final = 1
NOTICE: Final = "For research only, not a medical device."
PACKAGES: Final = ("numpy", "scipy", "torch")


@dataclass
class Evaluation:
    """What was measured, filled part by part.

    Attributes:
        models, against: Role -> short digest of the weights, of the pair of models that is
            evaluated and of the one that it is compared with.
        data: Stage -> what was compared with: kind, digest, split, counts.
        sections: Name -> its numbers.
        comparison: Section -> paired differences.
        refused: Cases that could not be evaluated.
        warnings: What a reader has to know.
    """

    models: dict[str, str] = field(default_factory=dict)
    against: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=dict)
    comparison: dict[str, Any] = field(default_factory=dict)
    refused: list[RefusedCase] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add_digests(self, role: str, digests: tuple[str, ...]) -> None:
        """Note the model of a role, and the one that it is compared with."""
        for side, digest in zip((self.models, self.against), digests, strict=False):
            side[role] = digest

    def warn(self, *warnings: str) -> None:
        """Note warnings, each once."""
        self.warnings += [warning for warning in warnings if warning not in self.warnings]

    def to_dict(self, bootstrap: BootstrapOptions) -> dict[str, Any]:
        """Return the content of the file."""
        return {
            "schema": EVALUATION_SCHEMA,
            "schema_version": EVALUATION_SCHEMA_VERSION,
            "notice": NOTICE,
            "software": {"name": "bodycomp", "version": __version__, "packages": _versions()},
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "models": self.models,
            **({"against": self.against} if self.against else {}),
            "data": _data(self.data),
            "bootstrap": {
                "resamples": bootstrap.resamples,
                "level": bootstrap.level,
                "seed": bootstrap.seed,
            },
            "warnings": self.warnings,
            **self.sections,
            **({"comparison": self.comparison} if self.comparison else {}),
        }


def _data(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what was compared with as a whole, and each part of it."""
    digests = [str(part.get("digest") or "") for part in parts.values()]
    whole = digests[0] if len(digests) == 1 else text_digest("".join(digests))
    patients = {name: part["patients"] for name, part in parts.items() if part.get("patients")}
    return {
        "kind": ", ".join(str(part["kind"]) for part in parts.values()),
        "digest": whole,
        "cases": sum(part["cases"] for part in parts.values()),
        # Nothing tells whether patients of two parts are the same people.
        "patients": next(iter(patients.values())) if len(parts) == len(patients) == 1 else None,
        "parts": parts,
    }


def write_document(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``evaluation.json``; NaN and infinity would be a fault and are refused."""
    write_json(folder / EVALUATION_NAME, content)


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
