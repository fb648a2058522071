"""``manifest.json``: what a run was made from and with, and how it ended."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch

import bodycomp
from bodycomp.errors import RunInterruptedError, UsageError
from bodycomp.json_file import write_json
from bodycomp.training.machine.memory import peak_resident_bytes
from bodycomp.training.run_folder import RunFolder
from bodycomp.training.steps.state import TrainingState
from bodycomp.training.steps.training import Training

PACKAGES: Final = ("torch", "numpy", "scipy", "pillow", "safetensors")

DECODED: Final = "decoded_slices"
"""Key of the decoded slices' names in the cache, split by split."""


def software_versions() -> dict[str, str]:
    """Return the versions of all that a training's numbers depend on."""
    return {
        "bodycomp": bodycomp.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def git_commit() -> str | None:
    """Return the commit of the checkout that this code runs from; None outside one."""
    source = Path(bodycomp.__file__).parent
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD", "--show-toplevel"],  # noqa: S607 - whichever git the user has
            cwd=source,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    commit, top = done.stdout.split("\n")[:2]
    # An environment inside somebody else's checkout is not a checkout of bodycomp.
    return commit if (Path(top) / "src" / "bodycomp").resolve() == source.resolve() else None


def decoded_slices(folder: RunFolder) -> dict[str, str]:
    """Return which decoded slices of the cache a run's manifest names, by split."""
    return dict(_read(folder).get(DECODED, {}))


class RunManifest:
    """The manifest of one run; written when it starts, when it resumes and when it ends."""

    def __init__(self, folder: RunFolder, facts: Mapping[str, Any]) -> None:
        """Take what is known at the start."""
        self._folder = folder
        earlier = _read(self._folder)
        self._values: dict[str, Any] = {
            "started": earlier.get("started", _now()),
            "resumed": [*earlier.get("resumed", []), *([_now()] if earlier else [])],
            "versions": software_versions(),
            "git_commit": git_commit(),
            "platform": platform.platform(),
            **facts,
        }

    def check_same_data(self) -> None:
        """Refuse to continue on another training set."""
        earlier = _read(self._folder).get("data", {})
        if earlier and earlier.get("digest") != self._values["data"]["digest"]:
            raise UsageError(
                "the training set is not the one that this run began with: "
                f"{earlier.get('sizes')} samples before, {self._values['data']['sizes']} now, "
                "and other contents",
                hint="Start a new run; --load_weights can begin with this run's model.",
            )

    def write(self, exit_state: str, **facts: object) -> None:
        """Write the file."""
        self._values |= {"exit_state": exit_state, "written": _now()} | facts
        self._values["peak_memory_bytes"] = peak_resident_bytes()
        write_json(self._folder.manifest, self._values, durable=True, allow_nan=True)


@contextmanager
def recording(training: Training, manifest: RunManifest) -> Iterator[None]:
    """Write the manifest when the work begins and however it ends."""
    manifest.write("running")
    exit_state, reason = "failed", ""
    try:
        yield
        exit_state = "finished"
    except BaseException as error:
        if isinstance(error, RunInterruptedError):
            exit_state = "interrupted"
        reason = str(error)
        raise
    finally:
        manifest.write(exit_state, **_outcome(training.state), reason=reason)


def _outcome(state: TrainingState) -> dict[str, Any]:
    return {
        "wall_s": round(state.elapsed_s, 1),
        "steps": state.step,
        "epochs_judged": len(state.history),
        "best_epoch": state.best_epoch,
        "best_score": None if state.best_epoch is None else state.best_score,
        "peak_gpu_memory_bytes": torch.cuda.max_memory_allocated(),
        "step_backs": state.step_backs,
        "warnings": state.warnings,
    }


def _read(folder: RunFolder) -> dict[str, Any]:
    """Return an earlier manifest; nothing before there is one."""
    if not folder.manifest.is_file():
        return {}
    values: dict[str, Any] = json.loads(folder.manifest.read_text(encoding="utf-8"))
    return values


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
