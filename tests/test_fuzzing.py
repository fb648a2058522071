"""Whatever bytes come: no crash, no hang, no traceback, and no file outside the output folder."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

HANGS_AFTER_S = 900


def run(tmp_path: Path, *options: str) -> set[str]:
    """Names that are there afterwards beside the inputs and the output folder."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "support.fuzzing", tmp_path / "work", *options],
        cwd=tmp_path / "temporary",
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    return {name for name in left if not name.startswith(("work/in", "work/out"))}


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--files", "100"), ("--files", "600", "--analyze")])
def test_mutated_files_are_read_or_refused(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Others in every run; any number of them by ``python -m support.fuzzing FOLDER --files N``."""
    seed = str(random.randrange(10**6))
    assert run(tmp_path, *options, "--seed", seed) == {"work", "temporary"}, seed
