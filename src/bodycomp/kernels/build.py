"""Compile the C sources of this folder into a shared library of the user's cache, once."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Final

from bodycomp.storage import atomic_file, user_cache_folder

_logger = logging.getLogger(__name__)

SWITCH: Final = "BODYCOMP_NATIVE"
"""Environment variable: ``0`` leaves the kernels out."""

FLAGS: Final = (
    *("-O3", "-march=native", "-std=gnu11", "-fPIC", "-shared", "-fopenmp"),
    # No number depends on errno, traps or the order of a sum that the sources do not fix.
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
)
COMPILERS: Final = ("gcc", "cc")
TIMEOUT_S: Final = 120.0


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """Return the kernels, compiled at the first call on a machine; None where they do not serve.

    Without AVX-512 they are slower than PyTorch's operators.

    PyTorch must have been imported: the kernels share its OpenMP threads.
    """
    if os.environ.get(SWITCH) == "0" or not _is_supported():
        return None
    compiler = find_compiler()
    if compiler is None:
        _logger.info("no gcc found: training a DenseNet on this CPU takes longer")
        return None
    try:
        return load(compiler, user_cache_folder("native"))
    except (OSError, subprocess.SubprocessError) as error:
        _logger.warning(
            "the kernels for the CPU could not be compiled, training a DenseNet takes longer: %s",
            _short(error),
        )
        return None


def load(compiler: str, folder: Path) -> ctypes.CDLL:
    """Return the kernels, compiled anew if the file in the folder cannot be loaded."""
    path = build(compiler, folder)
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        path.unlink()
        return ctypes.CDLL(str(build(compiler, folder)))


def find_compiler() -> str | None:
    """Return a gcc; clang brings another OpenMP than PyTorch's, with threads of its own."""
    for name in COMPILERS:
        path = shutil.which(name)
        if path is not None and "Free Software Foundation" in _version(path):
            return path
    return None


def build(compiler: str, folder: Path) -> Path:
    """Compile the sources, unless the folder holds them already for this compiler and processor."""
    sources = sorted(Path(__file__).parent.glob("*.c"))
    target = folder / f"{_digest(compiler)}.so"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with atomic_file(target) as temporary:
            subprocess.run(  # noqa: S603 - a compiler and files of this package
                [compiler, *FLAGS, "-o", str(temporary), *map(str, sources), "-lm"],
                check=True,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
    return target


def _is_supported() -> bool:
    is_linux = sys.platform == "linux" and platform.machine() == "x86_64"
    return is_linux and " avx512bw " in f"{_processor()} "


def _digest(compiler: str) -> str:
    """Return a name for sources, flags, compiler and processor: a home may be shared by many."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.[ch]")):
        digest.update(path.read_bytes())
    for text in (*FLAGS, _version(compiler), _processor()):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:32]


def _processor() -> str:
    """Return what ``-march=native`` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


@lru_cache(maxsize=8)
def _version(compiler: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a compiler
            [compiler, "--version"], capture_output=True, text=True, check=True, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _short(error: Exception) -> str:
    text = getattr(error, "stderr", None) or str(error)
    return " ".join(text.split())[:300]
