"""``evaluation.json`` and the tables beside it: everything that was measured, with what, on what.

Definitions and columns are in docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from bodycomp import __version__
from bodycomp.digests import text_digest
from bodycomp.evaluation.options import BootstrapOptions
from bodycomp.json_file import write_json
from bodycomp.preparation.refusals import RefusedCase, write_refused
from bodycomp.progress import Progress
from bodycomp.tables import Cell, write_table

EVALUATION_NAME: Final = "evaluation.json"
EVALUATION_SCHEMA: Final = "bodycomp.evaluation"
EVALUATION_SCHEMA_VERSION: Final = 2
NOTICE: Final = "For research only, not a medical device."
PACKAGES: Final = ("numpy", "scipy", "torch")

SEGMENTATION_CSV: Final = "segmentation.csv"
SLICE_SELECTION_CSV: Final = "slice_selection.csv"
END_TO_END_CSV: Final = "end_to_end.csv"
CASES_CSV: Final = "cases.csv"

TEST_SPLIT: Final = "test"
SPLIT_WARNINGS: Final = {
    "folds": "every sample was seen by the model of the fold that held it out, which chose its "
    "best epoch by it: models do a little better here than on new patients, and the ensemble of "
    "all folds usually a little better than its members here",
    "": "the cases table names no splits: nothing says whether the models were trained on these "
    "patients",
    "train": "the split train is what models are trained on: they do better here than on patients "
    "that they have not seen",
    "val": "the split val chooses the best epoch and calibrates the confidence: models do better "
    "here than on patients that had no part in that",
}
"""Where models may have seen what they are evaluated on."""

ROLES: Final = ("models", "against")
"""How tables and comparisons name the two pairs of models."""


@dataclass
class EvaluationDocument:
    """What was measured, filled section by section.

    ``models`` and ``against`` map roles to short digests of the weights, of the pair of models that
    is evaluated and of the one that it is compared with. ``data`` says by stage what was compared
    with, ``comparison`` by section paired differences. ``tables`` maps file names to rows; nothing
    in them is summarized.
    """

    models: dict[str, str] = field(default_factory=dict)
    against: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=dict)
    comparison: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, list[Mapping[str, Cell]]] = field(default_factory=dict)
    refused: list[RefusedCase] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add_digests(self, role: str, digests: tuple[str, ...]) -> None:
        """Note the model of a role, and the one that it is compared with."""
        for side, digest in zip((self.models, self.against), digests, strict=False):
            side[role] = digest

    def add_rows(self, table: str, models: Sequence[Sequence[Mapping[str, Cell]]]) -> None:
        """Note rows of one or two pairs of models, whose role is the first column."""
        rows = self.tables.setdefault(table, [])
        rows += [
            {"models": role, **row} for role, own in zip(ROLES, models, strict=False) for row in own
        ]
        rows.sort(key=lambda row: ROLES.index(str(row["models"])))

    def warn(self, *warnings: str) -> None:
        """Note warnings, each once."""
        self.warnings += [warning for warning in warnings if warning not in self.warnings]

    def warn_of_split(self, split: str) -> None:
        """Note that models may have seen a split; none (empty) of a table without splits."""
        if split in SPLIT_WARNINGS:
            self.warn(SPLIT_WARNINGS[split])

    def to_dict(self, bootstrap: BootstrapOptions) -> dict[str, Any]:
        """Return the content of the file."""
        return {
            "schema": EVALUATION_SCHEMA,
            "schema_version": EVALUATION_SCHEMA_VERSION,
            "notice": NOTICE,
            "software": {
                "name": "bodycomp",
                "version": __version__,
                "packages": {name: version(name) for name in PACKAGES},
            },
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "models": self.models,
            **({"against": self.against} if self.against else {}),
            "data": _data(self.data),
            "bootstrap": asdict(bootstrap),
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
        # Nothing says whether patients of two parts are the same people.
        "patients": next(iter(patients.values())) if len(parts) == len(patients) == 1 else None,
        "parts": parts,
    }


def write_evaluation(
    folder: Path, evaluation: EvaluationDocument, bootstrap: BootstrapOptions
) -> dict[str, Any]:
    """Write all tables and ``evaluation.json``, and return the content of the latter."""
    for name, rows in evaluation.tables.items():
        if rows:
            write_table(folder / name, list(rows[0]), rows)
    if evaluation.refused:
        write_refused(folder, evaluation.refused)
    content = evaluation.to_dict(bootstrap)
    write_json(folder / EVALUATION_NAME, content)
    return content


def count_steps(progress: Progress, stage: str, total: int = 0) -> Callable[[int], None]:
    """Return what adds a number of steps to those of a stage and reports them; 0 for no total."""
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(stage, done, total)

    return step
