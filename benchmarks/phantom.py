"""Rendering of phantom studies: time for 100 slices on one core, memory over many patients."""

from __future__ import annotations

import resource
import statistics
import time

import numpy as np

from bodycomp.phantom import Torso, sample_patient, sample_scan


def run(patients: int = 6) -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    seconds, peaks = [], []
    for index in range(patients):
        patient = sample_patient(0, index)
        torso, scan = Torso(patient), sample_scan(patient)
        heights = np.linspace(scan.z_start_mm, scan.z_end_mm, 100)
        began = time.perf_counter()
        for z_mm in heights:
            torso.render_slice(scan, float(z_mm))
        seconds.append(time.perf_counter() - began)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return [
        (
            f"phantom, 100 slices of 512 x 512, median of {patients}",
            f"{statistics.median(seconds):.1f} s",
        ),
        ("phantom, slowest of them", f"{max(seconds):.1f} s"),
        (
            "phantom, peak memory after the first and the last",
            f"{peaks[0]:.0f} and {peaks[-1]:.0f} MB",
        ),
    ]
