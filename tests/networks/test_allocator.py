import platform
import subprocess
import sys

import pytest

from bodycomp.networks import allocator

GLIBC = platform.libc_ver()[0] == "glibc"


TOUCH_64_MIB_AGAIN = """
import resource
import numpy as np
from bodycomp.networks.allocator import keep_freed_memory
done = keep_freed_memory()
np.full(64 << 20, 1, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.full(64 << 20, 1, np.uint8)
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not GLIBC, reason="not glibc")
def test_freed_blocks_are_reused():
    """A fresh block of this size would cost 16384 page faults."""
    run = [sys.executable, "-c", TOUCH_64_MIB_AGAIN]
    done, faults = subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()
    assert done == "True"
    assert int(faults) < 1000


def test_elsewhere_it_does_nothing(monkeypatch):
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("", ""))
    assert allocator.keep_freed_memory() is False
