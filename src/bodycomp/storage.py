"""Files and folders that appear whole or not at all.

A result is written under a temporary name beside its place and renamed at the end, so that a name
that exists is complete, also after a crash or on a full disk.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from bodycomp.errors import OutputError

_LEFTOVERS = ".*.part"


def user_cache_folder(name: str) -> Path:
    """Return the folder of what can be made again, not made yet.

    It lies in ``XDG_CACHE_HOME``, or in ``~/.cache`` (XDG Base Directory Specification).
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "bodycomp" / name


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")


@contextmanager
def atomic_file(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path to write; it becomes ``path`` at the end, or vanishes on an error.

    The folder is made if it is missing, an existing file replaced in one step. If ``durable`` the
    content is on the disk before the name, so that a power cut leaves the old file or the new
    one; that costs some ms.

    Raises:
        OutputError: ``path`` is a folder.
    """
    if path.is_dir():
        raise OutputError(
            f"expected a file to write, found a folder: {path}", hint="Name a file in it."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_name(path)
    try:
        yield temporary
        if durable:
            flush_to_disk(temporary)
        temporary.replace(path)
        if durable:
            flush_to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Have a file's content, or a folder's names, on the disk when this returns."""
    if path.is_dir() and os.name == "nt":  # Windows cannot
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Have a folder and all of its content on the disk when this returns."""
    for entry in (*folder.rglob("*"), folder):
        flush_to_disk(entry)


def duplicate(source: Path, target: Path) -> None:
    """Give a file a second name, without a second copy where the file system can."""
    with atomic_file(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def lock_file(file: IO[bytes], folder: Path) -> None:
    """Keep other processes that lock the same file from a folder, until it is closed.

    Raises:
        OutputError: Another process holds it.
    """
    _lock(file.fileno(), folder)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other processes that lock the same folder from it; nothing is written for that.

    Raises:
        OutputError: Another process holds it.
    """
    if sys.platform == "win32":  # no folder can be opened there
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems lock no folders; the files locked in it are then all there is.
        with suppress(OSError):
            _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    if sys.platform == "win32":  # no flock there
        return
    import fcntl  # noqa: PLC0415 - Unix alone has it

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"another run is writing to {folder}",
            hint="Wait until it ends, or name another folder.",
        ) from error


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process was writing in a folder that nobody else writes to."""
    for path in folder.rglob(_LEFTOVERS):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def remove_interrupted(path: Path) -> None:
    """Remove what killed processes were writing that would have become ``path``."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.part")
    for leftover in path.parent.glob(_LEFTOVERS) if path.parent.is_dir() else ():
        if name.fullmatch(leftover.name):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, overwrite: bool = False, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary folder to fill; it becomes ``path`` at the end, or vanishes on an error.

    An empty folder at ``path`` is replaced, with ``overwrite`` one that has content, too;
    ``durable`` is as for ``atomic_file``.

    Raises:
        OutputError: ``path`` has content and ``overwrite`` is off, or is a file.
    """
    refuse_existing(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_name(path)
    temporary.mkdir()
    try:
        yield temporary
        if durable:
            flush_folder(temporary)
        replace_folder(temporary, path, durable=durable)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(finished: Path, path: Path, *, durable: bool) -> None:
    """Give a finished folder the name ``path``, in place of one that is there."""
    if path.exists():
        previous = _temporary_name(path)
        path.rename(previous)
        finished.rename(path)
        shutil.rmtree(previous)
    else:
        finished.rename(path)
    if durable:
        flush_to_disk(path.parent)


def refuse_existing(path: Path, *, overwrite: bool = False) -> None:
    """Check that an output folder can be made without losing anything.

    Raises:
        OutputError: ``path`` is a file, or has content and ``overwrite`` is off.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"expected a folder to write to, found a file: {path}")
    if path.is_dir() and not overwrite and any(path.iterdir()):
        raise OutputError(
            f"the output folder is not empty: {path}",
            hint="Name another folder, or remove this one first.",
        )


def refuse_other(path: Path, what: str, mark: str, *, overwrite: bool) -> None:
    """Check the same, and that a folder to be replaced is ``what`` and so holds the file ``mark``.

    Raises:
        OutputError: As ``refuse_existing``, or the folder is something else.
    """
    refuse_existing(path, overwrite=overwrite)
    if path.is_dir() and any(path.iterdir()) and not (path / mark).is_file():
        raise OutputError(
            f"expected {what} to replace, found another folder: {path}",
            hint=f"It would hold {mark}. Name another folder, or remove this one yourself.",
        )
