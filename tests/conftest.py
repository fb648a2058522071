"""Make `factories` importable from every test file, and keep tests to one thread each."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# Tensors in tests are small, and threads that wait for each other on a busy machine cost most.
os.environ.setdefault("OMP_NUM_THREADS", "1")
