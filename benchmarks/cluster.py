"""What a cluster adds to every study: time of an item that takes none, on two processes here.

Times of the processor are those of the client and the scheduler, which share a process here.
"""

from __future__ import annotations

import time

from bodycomp.cluster import opened_workers
from bodycomp.processes import Work

ITEMS = 500
FILES = 300
"""Of a study: names travel with it."""


def count(item: tuple[str, ...]) -> int:
    return len(item)


def run() -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    items = [
        tuple(f"/archive/study-{n}/image-{k:06}.dcm" for k in range(FILES)) for n in range(ITEMS)
    ]
    work = Work(count, lambda _: ())
    with opened_workers("local:2", 1) as workers:
        list(workers.results(work, items[:8]))  # workers have imported what they need
        began, busy = time.perf_counter(), time.process_time()
        list(workers.results(work, items))
        clock, processor = time.perf_counter() - began, time.process_time() - busy
    each = f"{1e3 * clock / ITEMS:.1f} ms each, {1e3 * processor / ITEMS:.1f} of the processor"
    return [("cluster, overhead of a study", each)]


if __name__ == "__main__":
    for what, result in run():
        print(what, result)
