"""What every painter needs to know about the slice at hand."""

from __future__ import annotations

from dataclasses import dataclass

from bodycomp.phantom.canvas import Canvas
from bodycomp.phantom.levels import SpineCurve
from bodycomp.phantom.materials import Materials
from bodycomp.phantom.patient import PatientParameters
from bodycomp.phantom.trunk import TrunkSection
from bodycomp.phantom.wall import TrunkGrid


@dataclass(frozen=True, eq=False)
class SliceFrame:
    """One slice: where it cuts the patient and what it is painted on.

    Attributes:
        z_mm: Middle of the slice.
        u: Level coordinate there.
        thickness_mm: Slice thickness; shapes that end along z fade over it.
        pitch_mm: Height of one vertebra with its disc here.
        ramp: Length, in vertebrae, over which a structure that ends along z fades.
        muscle: Size of this patient's muscles relative to the average.
    """

    canvas: Canvas
    grid: TrunkGrid
    section: TrunkSection
    patient: PatientParameters
    curve: SpineCurve
    materials: Materials
    z_mm: float
    u: float
    thickness_mm: float
    pitch_mm: float
    ramp: float
    muscle: float

    @property
    def scale(self) -> float:
        """Lengths of bones and organs relative to a person of 1700 mm."""
        return self.patient.height_scale
