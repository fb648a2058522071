"""A training set for finding levels: few slices each of very many varied patients.

A synthetic patient knows all its levels, so that every slice has the offset of each, also of those
that a scan of this part of the body would not hold: a head is far above L3, a foot far below.
Slices are rendered in the size that the network sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import PhantomAnatomy
from bodycomp.data.samples import LevelSample
from bodycomp.data.writers import SliceWriter
from bodycomp.imaging.preprocessing import SLICE_SELECTION_SIZE
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.phantom import PatientParameters, ScanParameters, Torso, sample_patient, sample_scan
from bodycomp.phantom.coverage import WITH_L3, WITHOUT_L3, Coverage
from bodycomp.phantom.physics import render_physics_phantom

FINDER_LEVELS: Final = ("T5", "T8", "T10", "T12", "L1", "L2", "L3", "L4", "L5")
"""Levels of the default finder."""

PHYSICS_SHARE: Final = 0.3
"""Slices of physics phantoms per patient, on average."""

NOWHERE_MM: Final = 1600.0
"""How far below all levels what is no patient is said to lie: farther than feet."""

THINNEST_MM: Final = 4.5
"""Whole series are written with slices at least this far apart."""


@dataclass(frozen=True, slots=True)
class LevelSetOptions:
    """What a set for finding levels shall hold.

    Attributes:
        patients: Patients whose slices train.
        series: Whole series that validate; three of four hold L3.
        seed: Of the cohort; validation has its own patients.
        first: Number of the first training patient, so that sets can be made in parts.
    """

    folder: Path
    patients: int
    series: int = 0
    seed: int = 0
    first: int = 0


def write_level_set(
    options: LevelSetOptions, *, progress: Callable[[int], None] = lambda _: None
) -> int:
    """Write the splits that have patients; each appears when it is whole.

    Returns:
        The number of slices.

    Raises:
        OutputError: A split is there already.
    """
    columns, count = ("PatientID", "SeriesInstanceUID"), 0
    if options.patients:
        with SliceWriter(options.folder, "train", FINDER_LEVELS, columns) as writer:
            for index in range(options.first, options.first + options.patients):
                names = {"PatientID": f"varied-{index:05d}", "SeriesInstanceUID": ""}
                for sample in training_slices(options.seed, index):
                    writer.append(sample.gray, sample.offsets_mm, names)
                    count += 1
                progress(1)
    if options.series:
        with SliceWriter(options.folder, "val", FINDER_LEVELS, columns) as writer:
            for index in range(options.series):
                name = f"val-{index:04d}"
                names = {"PatientID": name, "SeriesInstanceUID": name}
                for sample in validation_series(options.seed, index):
                    writer.append(sample.gray, sample.offsets_mm, names)
                    count += 1
                progress(1)
    return count


def training_slices(seed: int, index: int, anatomy: PhantomAnatomy = "varied") -> list[LevelSample]:
    """Return some dozen slices of one patient: densest from T11 to S1, some from head to feet."""
    rng = np.random.default_rng([seed, index, 1301])
    patient = sample_patient(seed, index, anatomy)
    torso = Torso(patient)
    level, scale = torso.level_z_mm, patient.height_scale
    samples = []
    main = coarse(sample_scan(patient))

    def scan_of(coverage: Coverage) -> ScanParameters:
        """One kernel for all scans of a patient: its noise is made once."""
        scan = coarse(sample_scan(patient, coverage))
        return replace(scan, noise_seed=main.noise_seed, sharpness=main.sharpness)

    whole = scan_of("whole-body")
    for low, high, number in (
        (level["S1"] - 30, level["T11"], 7),
        (level["T11"], level["T3"], 3),
        (whole.z_start_mm, level["S1"], 1),
    ):
        scan = main if rng.random() < 0.7 else whole
        samples += [_sample(torso, scan, z) for z in rng.uniform(low, high, number).tolist()]
    ends: tuple[tuple[Coverage, float, float], ...] = (
        ("head", level["T1"], level["T1"] + 290 * scale),
        ("legs", level["S1"] - 1050 * scale, level["S1"] - 120 * scale),
    )
    for coverage, low, high in ends:
        scan = whole if rng.random() < 0.5 else scan_of(coverage)
        samples.append(_sample(torso, scan, float(rng.uniform(low, high))))
    if rng.random() < PHYSICS_SHARE:
        samples.append(_physics_sample(rng, level))
    return samples


def validation_series(seed: int, index: int) -> list[LevelSample]:
    """Return a whole series of a varied patient that trains nothing."""
    patient = sample_patient(seed + 1_000_003, index, "varied")
    scan, torso = series_scan(patient, index), Torso(patient)
    return [_sample(torso, scan, float(z_mm)) for z_mm in scan.slice_z_mm]


def series_scan(patient: PatientParameters, index: int) -> ScanParameters:
    """Return a coarse scan of a patient; of every fourth one without L3."""
    rng = np.random.default_rng([patient.seed, index, 1302])
    shares = WITHOUT_L3 if index % 4 == 3 else WITH_L3
    names: Sequence[Coverage] = tuple(shares)
    coverage = names[int(rng.choice(len(names), p=list(shares.values())))]
    scan = coarse(sample_scan(patient, coverage))
    return replace(scan, slice_spacing_mm=max(scan.slice_spacing_mm, THINNEST_MM))


def coarse(scan: ScanParameters) -> ScanParameters:
    """Return the scan with the pixels of the network's input; averaging takes half of the noise."""
    shrink = scan.matrix[0] / SLICE_SELECTION_SIZE[0]
    return replace(
        scan,
        matrix=SLICE_SELECTION_SIZE,
        pixel_spacing_mm=scan.pixel_spacing_mm * shrink,
        noise_hu=scan.noise_hu * (0.45 + 0.25 * (1 - scan.sharpness)),
    )


def _sample(torso: Torso, scan: ScanParameters, z_mm: float) -> LevelSample:
    hu, _ = torso.render_slice(scan, z_mm)
    offsets = {name: round(z_mm - torso.level_z_mm[name], 2) for name in FINDER_LEVELS}
    return LevelSample(_gray(hu), offsets)


def _physics_sample(rng: np.random.Generator, level_z_mm: Mapping[str, float]) -> LevelSample:
    hu = render_physics_phantom(rng, SLICE_SELECTION_SIZE, float(rng.uniform(240, 500)))
    z_mm = level_z_mm["L5"] - NOWHERE_MM
    offsets = {name: round(z_mm - level_z_mm[name], 2) for name in FINDER_LEVELS}
    return LevelSample(_gray(hu), offsets)


def _gray(hu: NDArray[np.int16]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(SOFT_TISSUE.to_gray(hu))
