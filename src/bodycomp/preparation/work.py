"""The work folder beside the set: finished cases survive whatever ends the command."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from bodycomp import __version__
from bodycomp.digests import text_digest
from bodycomp.preparation.cases import Case
from bodycomp.preparation.options import SegmentationTask, Task
from bodycomp.storage import lock_file, remove_leftovers

LOCK_NAME: Final = ".lock"
PART_VERSION: Final = 3
"""Counts changes of what parts hold."""


@contextmanager
def work_folder(parts: Path) -> Iterator[None]:
    """Make the folder, for its owner alone, or clear what a killed process left half-written.

    Raises:
        OutputError: Another run is at work in it.
    """
    parts.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (parts / LOCK_NAME).open("ab") as lock:
        lock_file(lock, parts)
        remove_leftovers(parts)
        yield


def part_name(case: Case, task: Task) -> str:
    """Return a name that is another one as soon as a file of the case or the task is.

    Files count by path, size and time of change, because reading all of them again would take as
    long as preparing them.
    """
    content = {
        "version": [PART_VERSION, __version__],
        "patient": case.patient,
        "series": case.series,
        "files": [
            [role, *stamp] for role, path in _inputs(case, task) for stamp in sorted(_stamps(path))
        ],
        "task": [type(task).__name__, asdict(task) | {"levels": ()}],
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return text_digest(text, 32)


def _inputs(case: Case, task: Task) -> Iterable[tuple[str, Path]]:
    yield "scan", case.scan
    for number, path in enumerate(case.masks):  # slice selection compares levels with them
        yield f"mask {number}", path
    if case.levels is not None and (not isinstance(task, SegmentationTask) or task.sampling.around):
        yield "levels", case.levels


def _stamps(path: Path) -> Iterator[tuple[str, int, int]]:
    if path.is_file():
        yield _stamp(path)
        return
    for root, _, names in os.walk(path):
        for name in names:
            yield _stamp(Path(root, name))


def _stamp(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path.resolve()), status.st_size, status.st_mtime_ns
