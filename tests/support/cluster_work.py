"""Work for workers that meets what machines of a cluster meet."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path


def _is_first(folder: Path) -> bool:
    """Whether this process is the first one to come here."""
    mark = folder / "first"
    try:
        mark.open("x").write(str(os.getpid()))
    except FileExistsError:
        return mark.read_text() == str(os.getpid())
    return True


def folder_of(item: tuple[Path, int]) -> tuple[Path, ...]:
    """What workers must see of an item."""
    return (item[0],)


def square(item: tuple[Path, int]) -> int:
    """Do the work."""
    return item[1] ** 2


def square_on_another_disk(item: tuple[Path, int]) -> int:
    """Do the work, but not on the first machine that is asked, whose disk is full."""
    if _is_first(item[0]):
        raise OSError(errno.ENOSPC, "No space left on device")
    return square(item)


def square_without_haste(item: tuple[Path, int]) -> int:
    """Do the work; the first machine takes far too long for one item."""
    if item[1] == 3 and _is_first(item[0]):
        time.sleep(5)
    return square(item)


class Unreadable:
    """What workers cannot unpickle, as with other code than the client's."""

    def __call__(self, item: tuple[Path, int]) -> int:
        return square(item)

    def __reduce__(self) -> tuple[object, ...]:
        return int, ("no number",)
