"""A cohort that is killed at random moments and resumed, against one that is left alone.

``PYTHONPATH=tests python -m support.kill_harness STUDIES KILLS`` does it at any size and prints
what happened.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from bodycomp.progress import Progress, no_progress
from bodycomp.study.options import AnalyzeOptions, DicomObject
from support.stand_ins import BodyIsMuscle, LevelAt

TABLES = ("results.csv", "refused.csv", "series.csv")
BAD_EVERY = 5
SLICES = 12


def make_cohort(folder: Path, studies: int) -> None:
    """Write small studies of different muscle areas; every fifth one cannot be decoded."""
    for number in range(studies):
        hu = np.full((SLICES, 32, 40), -1000, np.int16)
        hu[:, 8:24, 6 : 12 + number % 20] = 40 + number % 7
        volume = Volume(hu, (2.0, 2.0), 10.0 * np.arange(SLICES))
        header = SeriesHeader(seed=f"patient {number}", patient_id=f"P{number}")
        files = write_ct_series(folder / f"{number:03}", volume, header)
        if number % BAD_EVERY == BAD_EVERY - 1:
            for path in files:
                path.write_bytes(path.read_bytes()[:-900])


def analyze(
    cohort: Path, out: Path, key: Path, cluster: str = "", progress: Progress = no_progress
) -> None:
    """Analyse a cohort, going on where an earlier process stopped."""
    # Processes that read ahead import this file, too, and need no networks.
    from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer  # noqa: PLC0415
    from bodycomp.study.run import analyze_inputs  # noqa: PLC0415

    options = AnalyzeOptions(
        inputs=(cohort,),
        models_dir=cohort,
        out_dir=out,
        pseudonym_key=key,
        resume=True,
        workers=1,
        cluster=cluster,
        previews=False,
        report=False,
        dicom=frozenset({DicomObject.SEG}),
    )
    analyzer = Analyzer(LevelAt(), BodyIsMuscle(), AnalysisOptions())
    analyze_inputs(options, progress, analyzer=analyzer)


def start(cohort: Path, out: Path, key: Path) -> subprocess.Popen:
    """Analyse in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "support.kill_harness",
        "--analyze",
        *map(str, (cohort, out, key)),
    ]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def finished(out: Path) -> dict[str, int]:
    """Return the time stamp of every result of which the journal knows."""
    journal = out / "journal.jsonl"
    lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
    records = [json.loads(line) for line in lines]
    paths = [out / r["study"] / s / "results.json" for r in records for s in r["analysed"]]
    return {str(path): path.stat().st_mtime_ns for path in paths}


def kill_and_resume(place: Path, studies: int, kills: int, seed: int = 0) -> list[str]:
    """Run a cohort undisturbed and one with kills; return what differs, and repeats."""
    cohort, key = place / "cohort", place / "key"
    key.write_text("ab" * 32)
    make_cohort(cohort, studies)
    assert start(cohort, place / "undisturbed", key).wait() == 0
    whole = len(finished(place / "undisturbed"))
    rng = random.Random(seed)
    wrong: list[str] = []
    known: dict[str, int] = {}
    done = []
    # Moments spread over the work rather than over time, which a busy machine stretches.
    for aim in sorted(rng.sample(range(whole), kills)):
        process = start(cohort, place / "killed", key)
        while process.poll() is None and len(finished(place / "killed")) < aim:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = finished(place / "killed")
        wrong += [f"repeated or lost: {path}" for path, at in known.items() if now.get(path) != at]
        known = now
        done.append(len(known))
    assert start(cohort, place / "killed", key).wait() == 0
    now = finished(place / "killed")
    wrong += [f"repeated or lost: {path}" for path, at in known.items() if now.get(path) != at]
    sys.stdout.write(f"results after each kill: {done}, in the end {len(now)}\n")
    return wrong + differences(place / "undisturbed", place / "killed")


def differences(left: Path, right: Path) -> list[str]:
    """Return in which names, tables and results two output folders differ."""
    names = [{str(p.relative_to(out)) for p in out.rglob("*")} for out in (left, right)]
    wrong = [f"only in one: {name}" for name in sorted(names[0] ^ names[1])]
    same = [*TABLES, *(name for name in names[0] & names[1] if name.endswith("results.json"))]
    return wrong + [
        f"differs: {name}"
        for name in same
        if (left / name).read_bytes() != (right / name).read_bytes()
    ]


def main() -> None:
    """Analyse one cohort, or compare a killed one with an undisturbed one."""
    if sys.argv[1] == "--analyze":
        analyze(*map(Path, sys.argv[2:]))
        return
    studies, kills = map(int, sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        wrong = kill_and_resume(Path(folder), studies, kills)
    sys.stdout.write("\n".join(wrong or ["no difference"]) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
