"""Side-by-side timing: variants take turns, so that a busy moment hits all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved_medians_s(
    variants: Mapping[str, Callable[[], object]], *, repeats: int
) -> dict[str, float]:
    """Return the median wall time of each variant in seconds, after one warm-up call."""
    for variant in variants.values():
        variant()
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repeats):
        for name, variant in variants.items():
            began = time.perf_counter()
            variant()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def best_s(work: Callable[[], object], *, repeats: int) -> float:
    """Return the shortest wall time in seconds, after one warm-up call: what a limit is."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)
