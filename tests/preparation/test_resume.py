"""A preparation that is killed goes on where it was, and ends with the same bytes."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bodycomp.preparation.run import prepare
from support.annotated_cases import TASKS, make_cases, options_of

pytestmark = pytest.mark.xdist_group("preparation")

KILLED = """
import os, signal, sys
from pathlib import Path
from support.annotated_cases import TASKS, options_of
from bodycomp.preparation.run import prepare

table, out, name, stage, count, number, jobs = sys.argv[1:]

def progress(now, done, total):
    if (now, done) == (stage, int(count)):
        os.kill(os.getpid(), int(number))

if __name__ == "__main__":
    prepare(options_of(Path(table), Path(out), name, int(jobs)), progress)
"""


def digests(out: Path) -> dict[str, str]:
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    files.append(out.with_name(f"{out.name}-key.csv"))
    return {
        str(p.relative_to(out.parent)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
    }


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cases(tmp_path_factory.mktemp("scans"), 3)


@pytest.fixture(scope="module")
def whole(table: Path) -> dict[str, dict[str, str]]:
    """Digests of sets that nothing interrupted."""
    found = {}
    for name in TASKS:
        out = table.parent / name / "set"
        prepare(options_of(table, out, name, jobs=1), lambda *_: None)
        found[name] = digests(out)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "jobs", "moment"),
    [
        ("masks", 1, ("cases", 0, signal.SIGKILL)),
        ("masks", 2, ("cases", 2, signal.SIGKILL)),
        ("masks", 1, ("writing", 1, signal.SIGKILL)),
        ("masks", 1, ("checking", 3, signal.SIGKILL)),
        ("levels", 1, ("cases", 1, signal.SIGKILL)),
        ("levels", 1, ("writing", 2, signal.SIGKILL)),
        ("masks", 2, ("cases", 1, signal.SIGINT)),
        ("levels", 1, ("checking", 1, signal.SIGTERM)),
    ],
)
def test_the_same_bytes_after_a_kill(
    name: str, jobs: int, moment: tuple[str, int, int], table: Path, whole: dict, tmp_path: Path
) -> None:
    stage, count, number = moment
    out = tmp_path / "set"
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    done = subprocess.run(
        [sys.executable, script, table, out, name, stage, str(count), str(int(number)), str(jobs)],
        env={"PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if number == signal.SIGKILL:
        assert done.returncode == -signal.SIGKILL, done.stderr
    else:
        assert "finished cases are kept" in done.stderr
    assert not out.exists()

    seen = []
    summary = prepare(
        options_of(table, out, name, jobs=1), lambda stage, done, _: seen.append((stage, done))
    )
    at_least = 3 if stage != "cases" else count
    assert summary.reused >= at_least
    assert seen[0] == ("cases", summary.reused)
    assert digests(out) == whole[name]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    assert not out.with_name("set.parts").exists()


def test_changed_inputs_and_options_are_not_taken_from_an_earlier_run(tmp_path: Path) -> None:
    table = make_cases(tmp_path / "scans", 2)
    out = tmp_path / "set"
    killed = table.read_text()
    table.write_text(killed + "bad,case-0,none,,\n")
    options = options_of(table, out, "masks", jobs=1)
    table.write_text(killed)

    def stop(stage: str, done: int, _: int) -> None:
        if stage == "writing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(options, stop)
    mask = tmp_path / "scans" / "case-1" / "mask.nii.gz"
    mask.write_bytes(mask.read_bytes() + b"\0")
    reused = []
    with pytest.raises(KeyboardInterrupt):
        prepare(options, lambda stage, done, n: (reused.append(done), stop(stage, done, n)))
    assert reused[0] == 1
