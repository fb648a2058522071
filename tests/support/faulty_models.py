"""Models that are wrong by as much as a test says, on the cases of ``annotated``."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bodycomp.analysis.pipeline import Analyzer
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.annotation.labels import LabelMapping
from bodycomp.evaluation.options import AnnotationFormat, BootstrapOptions, EvaluateOptions, Truths
from bodycomp.evaluation.run import evaluate
from bodycomp.networks.targets import offset_to_target
from support.annotated_cases import L3_SLICE, SIZE, SLICES, SPACING_MM, make_volume
from support.factories import torso_slice

L3_Z_MM = -200.0 + SPACING_MM * L3_SLICE + 1
FEW_RESAMPLES = BootstrapOptions(resamples=200)


class Scorer:
    """Scores L3 as lying ``shift_mm`` above where it is, and T5 wherever ``t5_z_mm`` says."""

    levels = ("L3", "T5")
    scale_mm = 10.0
    least_confidence = 0.0
    sees_series = False
    runs_as = "stand-in"
    caution = ""

    def __init__(self, shift_mm: float = 0.0, t5_z_mm: float = 500.0, digest: str = "scorer"):
        self.z_mm = np.array([L3_Z_MM + shift_mm, t5_z_mm])
        self.digest = digest
        self.calibrations: dict[str, Any] = {}

    def __call__(self, volume, progress=None, slice_indices=None):
        indices = range(len(volume)) if slice_indices is None else slice_indices
        offsets = volume.slice_z_mm[list(indices)][:, None] - self.z_mm
        return np.asarray(offset_to_target(offsets, self.scale_mm), np.float32)


class BlindScorer(Scorer):
    """Scores that say nothing."""

    def __call__(self, volume, progress=None, slice_indices=None):
        indices = range(len(volume)) if slice_indices is None else slice_indices
        return np.full((len(list(indices)), 2), 0.5, np.float32)


class Segmenter:
    """Gives the drawn labels of any slice of the cases 0..n-1, changed by a function."""

    tissues = ABDOMINAL_TISSUES
    runs_as = "stand-in"
    caution = ""

    def __init__(self, cases: int, change: Callable[[np.ndarray], np.ndarray] = lambda m: m):
        self.digest = "segmenter"
        self._change = change
        self._labels = {}
        for seed in range(cases):
            volume, _ = make_volume(seed)
            labels = full_labels(seed)
            for hu, mask in zip(volume.hu, labels, strict=True):
                self._labels[hu.tobytes()] = mask

    def __call__(self, volume, slice_indices, progress=None):
        return {
            index: self._change(self._labels[volume.hu[index].astype(np.int16).tobytes()])
            for index in slice_indices
        }


def full_labels(seed: int) -> np.ndarray:
    """Labels of all slices, also those that ``annotated`` leaves blank."""
    rng = np.random.default_rng(seed)
    return np.stack([torso_slice(rng, SIZE)[1] for _ in range(SLICES)])


def without_a_row(mask: np.ndarray) -> np.ndarray:
    """Lose the highest labelled row of pixels."""
    lost = mask.copy()
    lost[np.flatnonzero(mask.any(axis=1))[0]] = 0
    return lost


def run(
    table: Path,
    out: Path,
    *analyzers: Analyzer,
    by: tuple[str, ...] = (),
    split: str | None = None,
    identifiers: bool = False,
    labels: tuple[str, ...] = (),
):
    """Evaluate stand-ins on a cases table; the second one is what the first is compared with."""
    options = EvaluateOptions(
        out=out,
        truths=Truths(cases=table, split=split),
        models=Path("0"),
        against=Path("1") if len(analyzers) > 1 else None,
        by=by,
        form=AnnotationFormat(LabelMapping.parse(labels) if labels else None),
        bootstrap=FEW_RESAMPLES,
        identifiers=identifiers,
    )
    return evaluate(
        options, lambda *_: None, lambda models, device, engine: analyzers[int(models.name)]
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def column(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows if row[name] != ""])
