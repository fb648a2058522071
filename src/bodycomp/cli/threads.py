"""How PyTorch's threads wait for one another; to be settled before its import."""

from __future__ import annotations

import os


def share_cores() -> None:
    """Let PyTorch's threads sleep while they wait, unless the user says otherwise.

    By default they spin, so that two threads on two busy cores took 2.3 s for a training step
    that one thread did in 1.1 s; asleep, they took 1.0 to 1.3 s. Scoring the 300 slices of a
    series took 83 s spinning and 25 s asleep while others used the same two cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
