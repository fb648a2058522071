"""``run.json``: what a run did, with which software, models and settings, and how it ended."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bodycomp import __version__
from bodycomp.digests import SHORT, file_digest
from bodycomp.errors import InputNotFoundError, OutputError
from bodycomp.json_file import write_json
from bodycomp.options import Record, recorded
from bodycomp.study.options import AnalyzeOptions

if TYPE_CHECKING:  # pages of runs need no PyTorch
    from bodycomp.analysis.loading import ModelFacts

MANIFEST_NAME: Final = "run.json"
MANIFEST_SCHEMA: Final = "bodycomp.run"
MANIFEST_SCHEMA_VERSION: Final = 1
NO_RUN_HINT: Final = "Name the folder that bodycomp analyze was given as --out."
_PACKAGES: Final = ("numpy", "scipy", "torch", "pydicom", "highdicom", "nibabel")


class RunState(StrEnum):
    """How a run ended; "running" also where it was killed."""

    RUNNING = "running"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True)
class RunManifest:
    """The manifest of one run.

    ``settings`` are what results depend on beside the inputs; ``cards`` are by role of the model.
    """

    path: Path
    settings: Mapping[str, Any]
    options: Mapping[str, Any]
    cards: Mapping[str, Any] = field(default_factory=dict)
    _began: float = field(default_factory=time.time)

    def write(self, state: RunState, counts: Mapping[str, int]) -> None:
        """Replace the file on the disk."""
        now = time.time()
        document = {
            "schema": MANIFEST_SCHEMA,
            "schema_version": MANIFEST_SCHEMA_VERSION,
            "state": state.value,
            "software": {
                "name": "bodycomp",
                "version": __version__,
                "python": platform.python_version(),
                "packages": {name: _version(name) for name in _PACKAGES},
            },
            "started": _moment(self._began),
            "ended": None if state is RunState.RUNNING else _moment(now),
            "wall_seconds": None if state is RunState.RUNNING else round(now - self._began, 1),
            "settings": dict(self.settings),
            "options": dict(self.options),
            "counts": dict(counts),
            "model_cards": dict(self.cards),
        }
        write_json(self.path, document, durable=True)

    def check_same_settings(self) -> None:
        """Check that the run of the file at ``path`` can be resumed with these settings.

        Raises:
            OutputError: There is no such run, or it had other settings.
        """
        try:
            earlier = read_run_manifest(self.path)["settings"]
        except (InputNotFoundError, OutputError) as error:
            raise OutputError(
                f"expected the results of an earlier run, found no readable {self.path}",
                hint="Leave --resume out, or name the folder of the run to resume.",
            ) from error
        ours = json.loads(json.dumps(dict(self.settings)))
        names = ours.keys() | earlier.keys()
        differing = sorted(name for name in names if earlier.get(name) != ours.get(name))
        if differing:
            changed = "; ".join(f"{n}: {earlier.get(n)!r}, now {ours.get(n)!r}" for n in differing)
            raise OutputError(
                f"the run to resume had other settings ({changed})",
                hint="Give the same options and models, or name another folder.",
            )


def read_run_manifest(path: Path) -> Mapping[str, Any]:
    """Return the manifest of a run; it has settings, whatever else it has.

    Raises:
        InputNotFoundError: It is not there.
        OutputError: It is damaged.
    """
    if not path.is_file():
        raise InputNotFoundError(
            f"expected the results of a run, found no {path.name} in {path.parent}",
            hint=NO_RUN_HINT,
        )
    try:
        document: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        dict(document["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"expected the manifest of a run in {path}, found other content"
        ) from error
    return document


def settings_of(
    options: AnalyzeOptions, models: ModelFacts, key_fingerprint: str
) -> dict[str, Any]:
    """Return what results depend on beside the inputs."""
    return {
        "version": __version__,
        "models": dict(models.digests),
        "engines": dict(models.engines),
        **recorded(options, Record.SETTING),
        "patients": None if options.patients is None else file_digest(options.patients, SHORT),
        "references": [file_digest(each, SHORT) for each in options.references] or None,
        "pseudonym_key": key_fingerprint,
    }


def options_of(options: AnalyzeOptions) -> dict[str, Any]:
    """Return the other options; paths, which may name patients, only with identifiers."""
    shown = recorded(options, Record.FREE) | {"input_count": len(options.inputs)}
    return shown | recorded(options, Record.LOCAL) if options.identifiers else shown


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
