"""Time, peak memory and page size of ``bodycomp show``, each in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.validate import write_masks, write_pngs

MASK_SLICES = (300, 1200)
PNG_SLICES = (500, 2000)
PNG_SIDE = 256


def measure(folder: Path) -> str:
    """Show a set once its files are in the disk's cache, and say what it took."""
    page = folder.with_suffix(".html")
    command = [sys.executable, "-m", "benchmarks.show", str(folder), "--out", str(page)]
    subprocess.run(command, check=True, capture_output=True)
    began = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    peak_mb = float(done.stdout.splitlines()[-1])
    return f"{seconds:.1f} s, {peak_mb:.0f} MB, page of {page.stat().st_size / 1e6:.1f} MB"


def run() -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for count in MASK_SLICES:
            folder = Path(name) / f"masks-{count}"
            write_masks(folder, count)
            rows.append((f"show, {count} slices with masks", measure(folder)))
        for count in PNG_SLICES:
            folder = Path(name) / f"pngs-{count}"
            write_pngs(folder, count, PNG_SIDE)
            rows.append((f"show, {count} PNG slices of {PNG_SIDE} x {PNG_SIDE}", measure(folder)))
    return rows


if __name__ == "__main__":
    subprocess.run([sys.executable, "-m", "bodycomp", "show", *sys.argv[1:]], check=True)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6)
