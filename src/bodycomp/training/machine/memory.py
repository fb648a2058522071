"""How much memory this process takes, how much it may take, and whether an error says too much."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import resource
import sys
from pathlib import Path
from typing import Final

import torch

_STATUS: Final = Path("/proc/self/status")
_CLEAR_REFS: Final = Path("/proc/self/clear_refs")
_RESET_PEAK: Final = "5"
"""What proc(5) expects in ``clear_refs`` to reset the peak of resident memory."""

_CGROUP_FILES: Final = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
_SAYS_OUT_OF_MEMORY: Final = re.compile(
    r"can't allocate memory|not enough memory|out of memory|bad_alloc|bad allocation"
    # oneDNN has no room for the code of a convolution; one that it lacks has no "descriptor".
    r"|^could not create a (primitive|memory object)$",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python or PyTorch says that memory ran out, on any device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and bool(_SAYS_OUT_OF_MEMORY.search(str(error)))


def peak_resident_bytes() -> int:
    """Return this process's largest resident memory, since ``reset_peak`` where that works."""
    peak = _status_bytes("VmHWM")
    if peak is not None:
        return peak
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def resident_bytes() -> int:
    """Return this process's resident memory; its peak where the present value is not known."""
    now = _status_bytes("VmRSS")
    return peak_resident_bytes() if now is None else now


def reset_peak() -> None:
    """Give freed memory back and begin the peak of resident memory anew; only Linux can."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:  # not Linux, or a kernel that does not let us
        return


def begin_peak(device: torch.device) -> None:
    """Begin the peak of memory anew: PyTorch's on a GPU, else this process's."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:
        reset_peak()


def peak_bytes(device: torch.device) -> int:
    """Return the largest memory since ``begin_peak``."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return peak_resident_bytes()


def available_bytes() -> int:
    """Return the memory that this process could still take, by the machine and by its limits.

    The smallest of: what the system has available, what is left of the control group's limit (a
    container's or a batch job's), and what is left of ``ulimit -v``.
    """
    left = [_machine_available_bytes()]
    for limit_file, usage_file in _CGROUP_FILES:
        limit, usage = _number(limit_file), _number(usage_file)
        if limit is not None and usage is not None:
            left.append(limit - usage)
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        left.append(limit - (_status_bytes("VmSize") or 0))
    return max(0, min(left))


def _machine_available_bytes() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="ascii"))
        if found:
            return int(found[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2  # macOS does not tell


def _status_bytes(key: str) -> int | None:
    if not _STATUS.is_file():
        return None
    found = re.search(rf"{key}:\s+(\d+) kB", _STATUS.read_text(encoding="utf-8"))
    return int(found[1]) * 1024 if found else None


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such limit; "max" is none
        return None
