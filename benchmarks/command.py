"""How soon ``bodycomp --help`` answers."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.timing import interleaved_medians_s


def run(repeats: int = 9) -> list[tuple[str, str]]:
    """Return rows of (what, result)."""

    def answer(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    times = interleaved_medians_s(
        {
            "python alone": lambda: answer("-c", "pass"),
            "bodycomp --help": lambda: answer("-m", "bodycomp", "--help"),
        },
        repeats=repeats,
    )
    return [(name, f"{seconds * 1000:.0f} ms") for name, seconds in times.items()]
