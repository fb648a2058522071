"""The page of 500 cases: time to make a case and to write the page, its size, and its first paint.

A case is a phantom's, as ``analyze`` keeps it; the page holds copies of a few under names of their
own. Times in the browser are medians of five openings from disk in headless Chromium.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.timing import best_s
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.phantom import Torso, sample_patient, sample_scan
from bodycomp.report.case_view import CaseView, make_case_view, write_case_view
from bodycomp.report.page_content import PageCase, PageContent
from bodycomp.report.result_rows import SeriesKey
from bodycomp.report.review_page import write_review_page
from bodycomp.report.volume_views import coronal_and_sagittal
from bodycomp.results import LevelResult, LevelStatus, SeriesResult, SliceChoice
from bodycomp.scan import Scan
from bodycomp.tables import Cell

CASES = (100, 500)
SEEDS = range(4)
OPENINGS = 5
MODELS = {"slice_selection": "a" * 12, "segmentation": "b" * 12}
PAINT_MS = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
SORT_MS = """() => { const began = performance.now();
document.querySelector('thead th[data-key=muscle_area_cm2] button').click();
document.body.offsetHeight; return performance.now() - began; }"""


def phantom_case(seed: int) -> tuple[Scan, SeriesResult, SeriesKey]:
    """Return a phantom with the true labels of its middle slice as result."""
    patient = sample_patient(seed, seed)
    volume, labels = Torso(patient).render(sample_scan(patient))
    middle = len(volume) // 2
    z_mm = float(volume.slice_z_mm[middle])
    offsets = np.clip(volume.slice_z_mm - z_mm, -50, 50).astype(np.float32)
    choice = SliceChoice("L3", LevelStatus.FOUND, "", middle, z_mm, offsets, offsets, 1, 0.9)
    level = LevelResult(choice, (middle,), masks={middle: labels[middle]})
    key = SeriesKey(f"study-{seed}", f"series-{seed}")
    return Scan(volume), SeriesResult(ABDOMINAL_TISSUES, (level,), MODELS), key


def copies(cases: list[CaseView], folder: Path, count: int) -> list[PageCase]:
    """Write so many cases, with names and areas of their own."""
    pages = []
    for number in range(count):
        study = f"study-{number:012x}"
        own: dict[str, Cell] = {"study": study, "muscle_area_cm2": 100.0 + number % 97}
        case = cases[number % len(cases)].copy()
        case["cells"] = {**case["cells"], **own}
        path = folder / f"case-{number}.json"
        write_case_view(path, case)
        pages.append(PageCase({"study": study, "series": "", "level": "L3"}, path))
    return pages


def opened(page: Path) -> str:
    """Return in words how soon a page shows something, its table is there, and a sort is done."""
    program = shutil.which("chromium")
    if program is None:
        return "no Chromium"
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a part of the test extra

    times = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(OPENINGS):
            tab = browser.new_page()
            began = time.perf_counter()
            tab.goto(page.as_uri(), wait_until="load")
            loaded = 1e3 * (time.perf_counter() - began)
            tab.wait_for_function(f"{PAINT_MS} > 0")
            paint, sort = tab.evaluate(PAINT_MS), tab.evaluate(SORT_MS)
            began = time.perf_counter()
            tab.locator("#table tbody tr").first.click()
            tab.wait_for_selector(".views-chart")
            times.append((paint, loaded, sort, 1e3 * (time.perf_counter() - began)))
            tab.close()
        browser.close()
    paint, loaded, sort, case = (statistics.median(one) for one in zip(*times, strict=True))
    return (
        f"first paint {paint:.0f} ms, loaded {loaded:.0f} ms, sorted {sort:.0f} ms, "
        f"case opened {case:.0f} ms"
    )


def written(folder: Path, page: Path) -> str:
    """Write the page of a folder's cases in a process of its own; return what it took."""
    command = [sys.executable, "-m", "benchmarks.report", str(folder), str(page)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def run() -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    made = [phantom_case(seed) for seed in SEEDS]
    scan, result, key = made[0]
    views = coronal_and_sagittal(scan.volume)
    level = result.levels[0]
    seconds = best_s(lambda: make_case_view(scan, result, level, key, views=views), repeats=5)
    rows = [(f"report, case of {len(scan.volume)} slices", f"{1e3 * seconds:.0f} ms")]
    cases = [make_case_view(s, r, r.levels[0], k) for s, r, k in made]
    with tempfile.TemporaryDirectory() as name:
        for count in CASES:
            folder, page = Path(name) / str(count), Path(name) / f"{count}.html"
            copies(cases, folder, count)
            rows.append((f"report, {count} cases written", written(folder, page)))
            rows.append((f"report, {count} cases in Chromium", opened(page)))
    return rows


def write_page_of(folder: Path, page: Path) -> None:
    cases = [
        PageCase({"study": f"study-{n:012x}", "series": "", "level": "L3"}, path)
        for n, path in enumerate(sorted(folder.glob("case-*.json")))
    ]
    began = time.perf_counter()
    write_review_page(page, PageContent(kind="analysis", title="t", run_id="r", cases=cases))
    seconds = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"{seconds:.1f} s, {peak_mb:.0f} MB, page of {page.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    write_page_of(Path(sys.argv[1]), Path(sys.argv[2]))
