"""A training set for finding levels: whole series of very many varied patients.

A synthetic patient knows all its levels, so that every slice has the offset of each, also of those
that a scan of this part of the body does not hold: a head is far above L3, a foot far below.
Slices have the size that the network sees, and lie no denser than it looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import VERTEBRAE, PhantomAnatomy
from bodycomp.data.samples import LevelSample
from bodycomp.data.writers import SliceWriter
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.phantom import PatientParameters, ScanParameters, Torso, sample_patient, sample_scan
from bodycomp.phantom.coverage import WITH_L3, WITHOUT_L3, Coverage
from bodycomp.phantom.physics import render_physics_phantom

FINDER_LEVELS: Final = ("T5", "T8", "T10", "T12", "L1", "L2", "L3", "L4", "L5")
"""Levels of the default finder."""

TAUGHT_LEVELS: Final = tuple(VERTEBRAE[VERTEBRAE.index("T1") :])
"""Levels that it learns, from head to feet: every vertebra helps to tell its neighbors apart."""

FINDER_SIZE: Final = (128, 128)
"""Pixels are about 3 mm, as the rows of a projection."""

THINNEST_MM: Final = 3.5
MOST_SLICES: Final = 150
"""Longer series have slices farther apart."""

COARSE_NOISE: Final = 0.35
"""Noise of coarse pixels relative to that of a 512 x 512 image: averaging takes the rest."""

PHYSICS_EVERY: Final = 40
"""Of so many training series one is of a physics phantom."""

NOWHERE_MM: Final = 1600.0
"""How far below all levels what is no patient is said to lie: farther than feet."""


@dataclass(frozen=True, slots=True)
class LevelSetOptions:
    """What one split of a set for finding levels shall hold.

    Attributes:
        split: ``train``, ``val`` or ``test``.
        series: Patients, one series of each; three of four hold L3.
        seed: Of the cohort; each split has one of its own.
        first: Number of the first patient, so that sets can be made in parts.
    """

    folder: Path
    split: str
    series: int
    seed: int = 0
    anatomy: PhantomAnatomy = "varied"
    first: int = 0


def write_level_set(
    options: LevelSetOptions,
    others: Sequence[Iterable[LevelSample]] = (),
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Write a split, which appears when it is whole.

    Args:
        options: Its patients.
        others: Series beside theirs, each in the order of its slices.
        progress: Told of every series.

    Returns:
        The number of slices.

    Raises:
        OutputError: The split is there already.
    """
    split, seed, anatomy = options.split, options.seed, options.anatomy
    numbers = range(options.first, options.first + options.series)
    rendered = ((f"{split}-{i:05d}", level_series(seed, i, anatomy)) for i in numbers)
    named = chain(rendered, ((f"other-{i:05d}", series) for i, series in enumerate(others)))
    columns, count = ("PatientID", "SeriesInstanceUID"), 0
    with SliceWriter(options.folder, split, TAUGHT_LEVELS, columns) as writer:
        for name, series in named:
            for sample in series:
                writer.append(sample.gray, sample.offsets_mm, dict.fromkeys(columns, name))
                count += 1
            progress(1)
    return count


def level_series(
    seed: int, index: int, anatomy: PhantomAnatomy = "varied"
) -> Iterator[LevelSample]:
    """Yield the slices of one patient's series, from feet to head."""
    patient = sample_patient(seed, index, anatomy)
    scan, torso = series_scan(patient), Torso(patient)
    if index % PHYSICS_EVERY == PHYSICS_EVERY - 1:
        yield from _physics_series(scan, torso)
        return
    for z_mm in scan.slice_z_mm.tolist():
        hu, _ = torso.render_slice(scan, z_mm)
        yield _sample(hu, {name: z_mm - torso.level_z_mm[name] for name in TAUGHT_LEVELS})


def series_scan(patient: PatientParameters) -> ScanParameters:
    """Return a coarse scan of a patient; of every fourth one without L3."""
    rng = np.random.default_rng([patient.seed, patient.index, 4711])
    shares = WITHOUT_L3 if patient.index % 4 == 3 else WITH_L3
    names: Sequence[Coverage] = tuple(shares)
    scan = sample_scan(patient, names[int(rng.choice(len(names), p=list(shares.values())))])
    length_mm = scan.z_end_mm - scan.z_start_mm
    step_mm = max(scan.slice_spacing_mm, THINNEST_MM, length_mm / MOST_SLICES)
    return replace(
        scan,
        matrix=FINDER_SIZE,
        pixel_spacing_mm=scan.pixel_spacing_mm * scan.matrix[0] / FINDER_SIZE[0],
        slice_spacing_mm=step_mm,
        slice_thickness_mm=max(scan.slice_thickness_mm, 0.7 * step_mm),
        noise_hu=scan.noise_hu * COARSE_NOISE,
    )


def _physics_series(scan: ScanParameters, torso: Torso) -> Iterator[LevelSample]:
    """Yield slices of a phantom of physics that stands in for a patient, far below the levels."""
    field_mm = scan.pixel_spacing_mm * FINDER_SIZE[0]
    noise = np.random.default_rng(scan.noise_seed)
    for z_mm in scan.slice_z_mm.tolist():
        rng = np.random.default_rng(scan.noise_seed)  # the same phantom in every slice
        hu = render_physics_phantom(rng, FINDER_SIZE, field_mm)
        hu = hu + noise.normal(0, scan.noise_hu, hu.shape).astype(np.int16)
        below_mm = z_mm - scan.z_end_mm - NOWHERE_MM
        top_mm = torso.level_z_mm[TAUGHT_LEVELS[0]]
        places_mm = {name: torso.level_z_mm[name] - top_mm for name in TAUGHT_LEVELS}
        yield _sample(hu, {name: below_mm - place_mm for name, place_mm in places_mm.items()})


def _sample(hu: NDArray[np.int16], offsets_mm: dict[str, float]) -> LevelSample:
    gray = np.ascontiguousarray(SOFT_TISSUE.to_gray(hu))
    return LevelSample(gray, {name: round(value, 2) for name, value in offsets_mm.items()})
