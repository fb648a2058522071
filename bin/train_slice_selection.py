#!/usr/bin/env python3
"""Train a slice-selection model; the same as ``bodycomp train slice-selection``."""

import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
if (SOURCE / "bodycomp").is_dir():  # a checkout, installed or not
    sys.path.insert(0, str(SOURCE))

from bodycomp.cli import main  # noqa: E402 - the path must be there first

if __name__ == "__main__":
    sys.exit(main(["train", "slice-selection", *sys.argv[1:]]))
