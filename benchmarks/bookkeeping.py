"""What a cohort costs beside its analysis: journal, tables, resuming and pages, per study.

Stand-in studies have the rows and case files of real ones in small; nothing is read or segmented.
Every size is a process of its own. ``python -m benchmarks.bookkeeping 1000 10000 100000``.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.imaging.volume import Volume
from bodycomp.json_file import write_json
from bodycomp.report.case_view import case_name, make_case_view, write_case_view
from bodycomp.report.result_rows import SeriesKey, result_columns, result_rows
from bodycomp.results import LevelResult, LevelStatus, SeriesResult, SliceChoice
from bodycomp.scan import Scan
from bodycomp.study.analysis_page import write_analysis_page
from bodycomp.study.journal import JOURNAL_NAME, Ledger, StudyRecord, open_journal
from bodycomp.study.run_manifest import MANIFEST_NAME, MANIFEST_SCHEMA
from bodycomp.study.search import Worklist
from bodycomp.study.series_table import SERIES_NAME, SeriesRow, write_series_table
from bodycomp.study.sources import Source
from bodycomp.tables import Cell

COUNTS = (1_000, 10_000)
COPIES = 20_000
"""Studies that share one file of a case: file systems limit its names."""

MODELS = {"slice_selection": "a" * 12, "segmentation": "b" * 12}
Times = dict[str, tuple[float, float]]
"""Step -> seconds on the clock and of the processor."""


def small_case() -> tuple[Scan, SeriesResult]:
    """Return a small scan of noise and a result with a mask."""
    hu = np.random.default_rng(0).integers(-150, 150, (13, 128, 128)).astype(np.int16)
    z_mm = np.arange(len(hu), dtype=np.float64) * 5.0
    offsets = (z_mm - z_mm[6]).astype(np.float32)
    choice = SliceChoice("L3", LevelStatus.FOUND, "", 6, float(z_mm[6]), offsets, offsets, 1, 0.9)
    level = LevelResult(choice, (6,), masks={6: np.ones((128, 128), np.uint8)})
    return Scan(Volume(hu, (3.0, 3.0), z_mm)), SeriesResult(ABDOMINAL_TISSUES, (level,), MODELS)


def worklist(count: int) -> Worklist:
    sources = [
        Source(
            f"study-{n:012x}", f"series-{n:012x}", "series 1, 300 images", 300, Path("x"), Path("x")
        )
        for n in range(count)
    ]
    rows = [
        SeriesRow(study=s.study, series=s.series, rank=1, chosen="yes", reason="") for s in sources
    ]
    return Worklist(tuple(sources), {}, tuple(rows), (), (), 300 * count, 0)


@contextmanager
def timed(steps: Times, name: str) -> Iterator[None]:
    began, busy = time.perf_counter(), time.process_time()
    yield
    steps[name] = time.perf_counter() - began, time.process_time() - busy


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def make_folders(out: Path, work: Worklist, scan: Scan, result: SeriesResult) -> None:
    """Make the folders of all studies, with their cases as links to a few files."""
    view = make_case_view(scan, result, result.levels[0], SeriesKey("study", "series"))
    for number, source in enumerate(work.sources):
        own = out.parent / f"case-{number // COPIES}.json"
        if number % COPIES == 0:
            write_case_view(own, view)
        place = out / source.study / source.series
        place.mkdir(parents=True)
        os.link(own, place / case_name("L3"))


def measure(count: int) -> tuple[Times, dict[str, float]]:
    """Return seconds by step, and peak memory in MB after it."""
    scan, result = small_case()
    columns = result_columns(result.tissues, (), ())
    row = next(iter(result_rows(SeriesKey("study", "series"), scan, result)))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        out.mkdir()
        settings = {"models": MODELS}
        write_json(
            out / MANIFEST_NAME,
            {
                "schema": MANIFEST_SCHEMA,
                "schema_version": 1,
                "state": "complete",
                "settings": settings,
            },
        )
        make_folders(out, worklist(count), scan, result)
        seconds: Times = {}
        memory = {"before": peak_mb()}
        with timed(seconds, "worklist"):
            work = worklist(count)
        memory["worklist"] = peak_mb()
        with open_journal(out / JOURNAL_NAME, StudyRecord) as journal:
            ledger = Ledger(out, columns, work, journal)
            with ledger.tables(), timed(seconds, "journal and tables"):
                for source in work.sources:
                    names: dict[str, Cell] = {"study": source.study, "series": source.series}
                    found = {source.series: ({**row, **names},)}
                    ledger.add(StudyRecord(source.study, (source.series,), found))
            memory["journal and tables"] = peak_mb()
            with timed(seconds, "table of series"):
                write_series_table(out / SERIES_NAME, ledger.series_rows(), identifiers=False)
            with timed(seconds, "report"):
                assert ledger.report().levels_found == count
        memory["report"] = peak_mb()
        with timed(seconds, "resume"), open_journal(out / JOURNAL_NAME, StudyRecord) as journal:
            assert Ledger(out, columns, work, journal).resumed == count
        memory["resume"] = peak_mb()
        with timed(seconds, "pages"):
            write_analysis_page(out)
        memory["pages"] = peak_mb()
    return seconds, memory


def run(counts: tuple[int, ...] = COUNTS) -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    rows = []
    for count in counts:
        command = [sys.executable, "-m", "benchmarks.bookkeeping", "--one", str(count)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows += [
            (f"bookkeeping, {count:,} studies, {what}", result)
            for what, result in (line.split("\t") for line in done.stdout.splitlines())
        ]
    return rows


def main() -> None:
    if sys.argv[1] != "--one":
        for what, result in run(tuple(map(int, sys.argv[1:]))):
            print(f"{what:66} {result}", flush=True)
        return
    count = int(sys.argv[2])
    seconds, memory = measure(count)
    for what, (clock, processor) in seconds.items():
        each = f"{1e3 * clock / count:.2f} ms each, {1e3 * processor / count:.2f} of the processor"
        print(f"{what}\t{each}")
    before = memory.pop("before")
    for what, peak in memory.items():
        print(f"memory after {what}\t{peak:.0f} MB, {1e3 * (peak - before) / count:.2f} kB each")


if __name__ == "__main__":
    main()
