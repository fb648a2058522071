"""How one series is acquired: coverage, sampling, field of view, noise and sharpness."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bodycomp.phantom.coverage import Coverage, sample_field, sample_range, sample_sampling
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.skeleton.levels import SpineCurve
from bodycomp.phantom.trunk import Trunk


@dataclass(frozen=True)
class ScanParameters:
    """Acquisition and reconstruction of one axial series.

    Attributes:
        matrix: Rows and columns.
        pixel_spacing_mm: Side of the square pixels.
        field_centre_mm: Gantry position (x to the left, y to the back) of the image's middle.
        body_offset_mm: Gantry position of the patient's own axis; not zero means off centre.
        z_start_mm: Lowest slice; ``z_end_mm`` is the highest position that may be covered.
        noise_hu: Standard deviation of the noise in the middle of an average body.
        sharpness: 0 is a smooth body kernel, 1 a sharp one; sets edge width and noise grain.
        padding_hu: Value of pixels outside the round field of view.
        noise_seed: Seed of the noise alone.
    """

    matrix: tuple[int, int]
    pixel_spacing_mm: float
    slice_spacing_mm: float
    slice_thickness_mm: float
    field_centre_mm: tuple[float, float]
    body_offset_mm: tuple[float, float]
    z_start_mm: float
    z_end_mm: float
    kvp: int
    noise_hu: float
    sharpness: float
    padding_hu: int
    noise_seed: int

    @property
    def slice_z_mm(self) -> NDArray[np.float64]:
        """Slice positions from feet to head in mm."""
        count = int(np.floor((self.z_end_mm - self.z_start_mm) / self.slice_spacing_mm + 1e-6)) + 1
        return np.asarray(self.z_start_mm + self.slice_spacing_mm * np.arange(max(count, 1)))

    @property
    def first_pixel_mm(self) -> tuple[float, float, float]:
        """Gantry (LPS) position of the centre of pixel (0, 0) of the lowest slice."""
        rows, columns = self.matrix
        return (
            self.field_centre_mm[0] - (columns - 1) / 2 * self.pixel_spacing_mm,
            self.field_centre_mm[1] - (rows - 1) / 2 * self.pixel_spacing_mm,
            self.z_start_mm,
        )


def sample_scan(patient: PatientParameters, coverage: Coverage | None = None) -> ScanParameters:
    """Draw the main series of ``patient``.

    Args:
        patient: Who is scanned.
        coverage: What of the body; None for one of those that hold L3: of standard patients lower
            chest or higher to the pelvis, of others anything from the abdomen to the whole body.
    """
    if coverage is not None or patient.anatomy != "standard":
        return sample_varied_scan(patient, coverage)
    rng = np.random.default_rng([patient.seed, patient.index, 77])
    curve = SpineCurve(patient)
    middle = Trunk(patient, curve).section(15.0)
    body_mm = 2.0 * float(middle.skin.max())
    truncated = rng.random() < 0.12
    field_mm = body_mm * float(rng.uniform(0.88, 0.97) if truncated else rng.uniform(1.06, 1.28))
    spacing = float(np.clip(field_mm / 512, 0.65, 0.98))
    spacing = round(spacing, 6) if rng.random() < 0.6 else round(spacing * 64) / 64
    thickness = float(rng.choice([1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0], p=_THICKNESS_SHARE))
    step = thickness * float(rng.choice([1.0, 0.8, 1.0, 1.25])) if thickness > 2 else thickness
    center = rng.normal(0.0, [8.0, 10.0])
    top_u = float(rng.choice([9.5, 8.5, 5.5, 3.5, 10.5], p=[0.4, 0.25, 0.1, 0.1, 0.15]))
    bottom_u = float(rng.choice([18.3, 20.5, 22.5, 24.0, 17.3], p=[0.2, 0.25, 0.3, 0.2, 0.05]))
    return ScanParameters(
        matrix=(512, 512),
        pixel_spacing_mm=spacing,
        slice_spacing_mm=step,
        slice_thickness_mm=thickness,
        field_centre_mm=(0.0, 0.0),
        body_offset_mm=(float(center[0]), float(-middle.y + center[1])),
        z_start_mm=round(curve.z_at(bottom_u + float(rng.uniform(-0.3, 0.3))), 2),
        z_end_mm=round(curve.z_at(top_u + float(rng.uniform(-0.4, 0.4))), 2),
        kvp=int(rng.choice([80, 100, 120, 140], p=[0.03, 0.25, 0.62, 0.10])),
        noise_hu=float(
            np.clip(rng.lognormal(np.log(11.0), 0.35) * (2.5 / thickness) ** 0.3, 5, 30)
        ),
        sharpness=float(rng.uniform(0.0, 0.8)),
        padding_hu=int(rng.choice([-1024, -2000, -3024, -1000], p=[0.5, 0.15, 0.2, 0.15])),
        noise_seed=int(rng.integers(2**31)),
    )


def sample_varied_scan(
    patient: PatientParameters, coverage: Coverage | None = None
) -> ScanParameters:
    """Draw a series as other hospitals make it: any coverage, field and slice distance."""
    rng = np.random.default_rng([patient.seed, patient.index, 78, patient.anatomy_seed])
    curve, trunk = _trunk_of(patient)
    reach = sample_range(rng, curve, patient.height_scale, coverage)
    step, thickness = sample_sampling(rng, patient.anatomy, reach.top_mm - reach.bottom_mm)
    field_mm, y = sample_field(rng, reach.coverage, trunk)
    center = rng.normal(0.0, [9.0, 12.0])
    if rng.random() < 0.1:  # off center: the field cuts one side, an arm comes into view
        center[0] += float(rng.choice([-1.0, 1.0])) * float(rng.uniform(20.0, 90.0))
    loud = 1.0 if patient.anatomy == "varied" else 1.3
    return ScanParameters(
        matrix=(512, 512),
        pixel_spacing_mm=round(field_mm / 512, 6),
        slice_spacing_mm=step,
        slice_thickness_mm=thickness,
        field_centre_mm=(0.0, 0.0),
        body_offset_mm=(float(center[0]), float(center[1] - y)),
        z_start_mm=round(reach.bottom_mm, 2),
        z_end_mm=round(reach.top_mm, 2),
        kvp=int(rng.choice([80, 100, 120, 140], p=[0.05, 0.25, 0.55, 0.15])),
        noise_hu=float(
            np.clip(rng.lognormal(np.log(12.0 * loud), 0.5) * (2.5 / thickness) ** 0.3, 3, 45)
        ),
        sharpness=float(rng.uniform(0.0, 1.0)),
        padding_hu=int(rng.choice([-1024, -2000, -3024, -1000], p=[0.5, 0.15, 0.2, 0.15])),
        noise_seed=int(rng.integers(2**31)),
    )


@lru_cache(maxsize=2)
def _trunk_of(patient: PatientParameters) -> tuple[SpineCurve, Trunk]:
    """Return the patient's spine and trunk (pure; several scans of one patient ask for them)."""
    curve = SpineCurve(patient)
    return curve, Trunk(patient, curve)


_THICKNESS_SHARE = (0.03, 0.05, 0.07, 0.20, 0.20, 0.10, 0.35)
