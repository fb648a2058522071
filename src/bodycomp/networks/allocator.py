"""Keeps freed memory in the process, which saves a third of a training step on a CPU.

glibc gives every large block back to the system when it is freed, so that each new feature map is
made of pages that the kernel has to clear first. A step frees and asks for the same sizes again.
"""

from __future__ import annotations

import ctypes
import logging
import platform
from typing import Final

_logger = logging.getLogger(__name__)

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Parameters of mallopt(3)."""

_LARGEST_BLOCK_BYTES: Final = 1 << 30
_NEVER: Final = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Tell glibc to reuse large blocks instead of returning them; False without glibc.

    The process stays at its peak size and that peak grows, from 2.0 to 2.8 GB for the default U-Net
    on 4 slices. Call it once, before the first step, where a process trains or runs networks on
    the CPU; it changes no number.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    done = bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK_BYTES)) and bool(
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
    )
    _logger.debug("freed memory is kept in the process: %s", done)
    return done
