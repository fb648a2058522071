"""Resumable states on disk: written whole, read back, the last good one kept until the next is.

A checkpoint is PyTorch's zip file, which holds a CRC-32 of each of its parts. It is compared when
the file was written and before it is used: a file that was cut short or changed is never resumed.
"""

from __future__ import annotations

import io
import logging
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from bodycomp.errors import OutputError, TrainingError
from bodycomp.storage import atomic_file, duplicate, remove_leftovers
from bodycomp.training.run_folder import RunFolder
from bodycomp.training.steps.state import STATE_KEY

log = logging.getLogger(__name__)

RESUME_HINT: Final = "The same command with --resume and this run's --name resumes from there."


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint that can be used."""

    path: Path
    step: int


class DamagedCheckpointError(Exception):
    """A checkpoint cannot be used; the message says why."""


def write_checkpoint(checkpoint: dict[str, Any], folder: RunFolder) -> None:
    """Make ``checkpoint`` the last one, and the one that was it the previous one.

    At every moment at least one whole checkpoint has its name, if ever there was one.

    Raises:
        OSError: The disk is full or fails; the last checkpoint is as it was.
        OutputError: What was read back is not what was written.
    """
    content = io.BytesIO()
    torch.save(checkpoint, content)  # in memory: errors of the disk then are Python's own
    last = folder.last_checkpoint
    with atomic_file(last, durable=True) as temporary:
        temporary.write_bytes(content.getbuffer())
        damage = find_damage(temporary)
        if damage is not None:
            raise OutputError(
                f"a checkpoint read back from {last.parent} is not what was written: {damage}",
                hint="Check the disk. The last good checkpoint is still there. " + RESUME_HINT,
            )
        if last.exists():
            duplicate(last, folder.previous_checkpoint)


def find_damage(path: Path) -> str | None:
    """Say what is wrong with a checkpoint's bytes; None if they are as they were written."""
    try:
        with zipfile.ZipFile(path) as archive:
            part = archive.testzip()
    except zipfile.BadZipFile:
        return f"it is cut short, {path.stat().st_size} bytes are left"
    except (OSError, EOFError, NotImplementedError, RuntimeError) as error:
        return f"it cannot be read: {error}"
    return None if part is None else f"the checksum of its part {part} is wrong"


def read_step(path: Path) -> int:
    """Return the number of steps done by a checkpoint, after comparing all its checksums.

    Raises:
        DamagedCheckpointError: It cannot be used.
    """
    if not path.is_file():
        raise DamagedCheckpointError("there is no such file")
    damage = find_damage(path)
    if damage is not None:
        raise DamagedCheckpointError(damage)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        return int(checkpoint[STATE_KEY]["step"])
    except (KeyError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        raise DamagedCheckpointError("it is no checkpoint of a training") from error


def find_checkpoints(folder: RunFolder) -> tuple[list[Kept], dict[Path, str]]:
    """Return the checkpoints that can be used, the most advanced first, and why others cannot."""
    good: list[Kept] = []
    damaged: dict[Path, str] = {}
    others = sorted(folder.last_checkpoint.parent.glob("*.ckpt"))
    for path in dict.fromkeys((folder.last_checkpoint, folder.previous_checkpoint, *others)):
        try:
            good.append(Kept(path, read_step(path)))
        except DamagedCheckpointError as error:
            damaged[path] = str(error)
    return sorted(good, key=lambda kept: kept.step, reverse=True), damaged


def restore_last(folder: RunFolder) -> None:
    """Make sure that the last checkpoint is a good one, and clear away what a kill left.

    If it is damaged, the most advanced good one takes its place; the steps since are done again.

    Raises:
        TrainingError: No checkpoint is good.
    """
    remove_leftovers(folder.path)
    last = folder.last_checkpoint
    try:
        read_step(last)
    except DamagedCheckpointError as error:
        damage = str(error)
    else:
        return
    good, damaged = find_checkpoints(folder)
    if not good:
        reasons = "; ".join(f"{path.name}: {reason}" for path, reason in damaged.items())
        raise TrainingError(
            f"expected a checkpoint to resume from in {last.parent}, found none that is whole "
            f"({reasons})",
            hint="Put one back from a copy, or start a new run; --load_weights with this run's "
            "folder begins with its best model.",
        )
    log.warning(
        "%s cannot be used (%s): resuming from %s, after step %d",
        last,
        damage,
        good[0].path.name,
        good[0].step,
    )
    duplicate(good[0].path, last)
