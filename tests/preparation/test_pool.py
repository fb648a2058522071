"""Processes that make cases: an error of one of them ends the others, and none outlives the end."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bodycomp.errors import OutputError
from bodycomp.preparation.run import prepare
from support.annotated_cases import make_cases, options_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("preparation")]

ORPHANS = """
import multiprocessing, os, signal, sys
from pathlib import Path
from support.annotated_cases import options_of
from bodycomp.preparation.run import prepare

def progress(stage, done, total):
    if done == 1:
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    prepare(options_of(Path(sys.argv[1]), Path(sys.argv[2]), "masks", jobs=2), progress)
"""


def test_a_process_that_is_killed_is_told_and_the_rest_goes_on_later(tmp_path: Path) -> None:
    table = make_cases(tmp_path / "scans", 4)
    options = options_of(table, tmp_path / "set", "masks", jobs=2)

    def kill(stage: str, done: int, _: int) -> None:
        if (stage, done) == ("cases", 1):
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGKILL)

    with pytest.raises(OutputError, match="a process was ended from outside"):
        prepare(options, kill)
    until = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < until:
        time.sleep(0.05)
    assert not multiprocessing.active_children()
    assert prepare(options, lambda *_: None).reused >= 1


def test_no_process_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    table = make_cases(tmp_path / "scans", 4)
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    done = subprocess.run(
        [sys.executable, script, table, tmp_path / "set"],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = [int(text) for text in done.stdout.split()]
    assert pids
    until = time.monotonic() + 20
    while any(_lives(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [pid for pid in pids if _lives(pid)]


def _lives(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody asked for (Z) does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
