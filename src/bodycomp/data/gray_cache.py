"""The cache of decoded slices on disk: where it lies, how large it may be, what it knows.

Files are named by what they hold, not by where it came from. Several trainings may use and fill
the cache at once: files appear whole, and one that is removed stays readable for who has it open.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.gray_file import (
    SUFFIX,
    TEMPORARY_SUFFIX,
    GrayFile,
    file_bytes,
    open_or_none,
)
from bodycomp.errors import OutputError
from bodycomp.storage import user_cache_folder

log = logging.getLogger(__name__)

BYTES_PER_GB: Final = 10**9
FREE_BYTES: Final = 2**29
"""Left free on the disk for everything else."""

ABANDONED_S: Final = 24 * 3600.0
"""A temporary file that nobody has written to for so long was left by a run that was killed."""


def default_cache_dir() -> Path:
    """Return the folder of decoded slices: ``BODYCOMP_CACHE``, else one in the user's cache."""
    named = os.environ.get("BODYCOMP_CACHE")
    return Path(named) if named else user_cache_folder("slices")


@dataclass(frozen=True, slots=True)
class GrayCache:
    """A folder of ``GrayFile``, which need not exist, and their size together; 0 for no cache."""

    folder: Path
    limit_bytes: int

    def find(self, key: str) -> GrayFile | None:
        """Return the file of this name, or None if it is not there or damaged."""
        return open_or_none(self.folder / f"{key}{SUFFIX}")

    def files(self, size: tuple[int, int]) -> list[GrayFile]:
        """Open all files of slices of this size, those used last first; damaged ones go."""
        opened = []
        for path in self._paths():
            file = open_or_none(path)
            if file is None:
                log.info("a damaged file of decoded slices is removed: %s", path)
                _remove(path)
            elif file.size == size:
                opened.append(file)
        return opened

    def make_room(self, count: int, size: tuple[int, int], keep: Iterable[Path]) -> bool:
        """Remove the files used least recently until ``count`` slices more fit.

        Returns whether they fit, also onto the disk.
        """
        self._remove_abandoned()
        needed, kept = file_bytes(count, size), set(keep)
        paths = self._paths()
        used = sum(_stat(path)[0] for path in paths)
        if needed + sum(_stat(path)[0] for path in kept) > self.limit_bytes:
            return False
        while used + needed > self.limit_bytes and paths:
            path = paths.pop()
            if path not in kept:
                used -= _stat(path)[0]
                _remove(path)
        self.folder.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.folder).free >= needed + FREE_BYTES

    def usage(self) -> tuple[int, int]:
        """Return how many files there are, and their bytes."""
        lengths = [_stat(path)[0] for path in self._paths()]
        return len(lengths), sum(lengths)

    def clear(self) -> tuple[int, int]:
        """Remove all files; return how many there were, and their bytes.

        Raises:
            OutputError: A file cannot be removed.
        """
        before = self.usage()
        for path in [*self._paths(), *self._temporaries()]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(
                    f"a file of the cache cannot be removed: {path} ({error.strerror})"
                ) from error
        return before

    def _paths(self) -> list[Path]:
        """Return the files, those used last first."""
        times = {path: _stat(path)[1] for path in self.folder.glob(f"*{SUFFIX}")}
        return sorted(times, key=lambda path: (-times[path], path))

    def _temporaries(self) -> list[Path]:
        return list(self.folder.glob(f".*{TEMPORARY_SUFFIX}"))

    def _remove_abandoned(self) -> None:
        for path in self._temporaries():
            if time.time() - _stat(path)[1] > ABANDONED_S:
                _remove(path)


class KnownSlices:
    """Slices that files of a cache hold, of one size, found by the content of their PNG."""

    def __init__(self, files: list[GrayFile]) -> None:
        self._files = files
        contents = [np.ascontiguousarray(file.facts["content"]).view("S16") for file in files]
        joined = np.concatenate(contents) if contents else np.empty(0, "S16")
        self._order = np.argsort(joined)
        self._sorted = joined[self._order]
        self._starts = np.cumsum([0, *(len(file) for file in files)])

    def find(self, content: bytes) -> tuple[np.void, NDArray[np.uint8]] | None:
        """Return what is known of a slice and its pixels, or None if it is not there or damaged."""
        at = int(np.searchsorted(self._sorted, np.bytes_(content)))
        while at < len(self._sorted) and self._sorted[at] == content.rstrip(b"\0"):
            number = int(self._order[at])
            which = int(np.searchsorted(self._starts, number, side="right")) - 1
            index = number - int(self._starts[which])
            gray = self._files[which].read_checked(index)
            if gray is not None:
                return self._files[which].facts[index], gray
            at += 1
        return None


def note_use(file: GrayFile) -> None:
    """Remember that a file was used now, so that others are removed first."""
    try:
        os.utime(file.path)
    except OSError:  # removed meanwhile, or somebody else's
        log.debug("the time of %s cannot be set", file.path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("a file of the cache cannot be removed: %s (%s)", path, error.strerror)


def _stat(path: Path) -> tuple[int, float]:
    """Return bytes and time of change of a file, zeros if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0.0
    return status.st_size, status.st_mtime
