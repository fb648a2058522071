"""Time and peak memory of ``bodycomp prepare``: flat in the number of cases.

The cases are one phantom written as DICOM under many patients, the grey levels a little different
each, with masks as NIfTI and levels as a table. Each measurement is a process of its own.
"""

from __future__ import annotations

import csv
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.nifti import write_nifti_labels
from bodycomp.phantom import Torso, sample_patient, sample_scan

CASES = (4, 16)
SLICES = 100
LABELS = ("1=muscle", "2=subcutaneous_fat", "3=visceral_fat")
SETS = {"segmentation": ("--labels", *LABELS), "slice-selection": ()}


def write_cases(folder: Path, count: int) -> Path:
    """Write patients of 100 slices of 512 x 512, and their table."""
    patient = sample_patient(0, 0)
    torso = Torso(patient)
    scan = replace(sample_scan(patient), slice_spacing_mm=4.0)
    volume, labels = torso.render(scan)
    kept = slice(len(volume) - SLICES, None) if len(volume) > SLICES else slice(None)
    volume = replace(
        volume,
        hu=volume.hu[kept],
        slice_z_mm=volume.slice_z_mm[kept],
        first_pixel_mm=(*volume.first_pixel_mm[:2], float(volume.slice_z_mm[kept][0])),
    )
    rows, levels = [], []
    for number in range(count):
        name = f"p{number:03d}"
        other = replace(volume, hu=np.asarray(volume.hu + np.int16(number)))
        header = SeriesHeader(seed=name, patient_id=name)
        write_ct_series(folder / name / "ct", other, header)
        write_nifti_labels(folder / name / "mask.nii.gz", other, labels[kept])
        rows.append((name, f"{name}/ct", f"{name}/mask.nii.gz", "levels.csv"))
        levels += [(name, level, z_mm) for level, z_mm in torso.level_z_mm.items()]
    _write(folder / "levels.csv", ("patient", "level", "z_mm"), levels)
    _write(folder / "cases.csv", ("patient", "scan", "masks", "levels"), rows)
    return folder / "cases.csv"


def _write(path: Path, header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def measure(cases: Path, kind: str, jobs: int) -> tuple[float, float]:
    """Return seconds and the peak memory in MB of the largest process."""
    out = cases.parent / f"{kind}-{jobs}"
    command = ["prepare", kind, str(cases), str(out), "--jobs", str(jobs), *SETS[kind]]
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.prepare", *command],
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - begun, float(done.stdout.splitlines()[-1])


def run() -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    rows = []
    for count in CASES:
        with tempfile.TemporaryDirectory() as name:
            cases = write_cases(Path(name), count)
            for kind in SETS:
                for jobs in (1, 2):
                    seconds, peak = measure(cases, kind, jobs)
                    what = f"prepare {kind}, {count} cases, {jobs} processes"
                    result = f"{seconds:.1f} s, largest process {peak:.0f} MB"
                    rows.append((what, result))
    return rows


if __name__ == "__main__":
    subprocess.run([sys.executable, "-m", "bodycomp", *sys.argv[1:]], check=True)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6)
