"""How one patient's trunk wall and back differ from those of the standard patient.

Standard patients are neutral in every field. Varied ones draw each field from a wide range; those
of the held-out hospital draw from the gaps that varied ones leave in the same ranges (no value is
common to both) and have other outlines of wall and muscles.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from bodycomp.phantom.draw import Pair
from bodycomp.phantom.shapes import ANGLES, DEGREES, THETA, Floats, knots

ONES: Final = np.ones(ANGLES, dtype=np.float32)
ONES.setflags(write=False)


def by_side(pair: Pair) -> Floats:
    """Return a table over the angle that holds one value on each side of the body."""
    return np.where(THETA < 0, np.float32(pair[0]), np.float32(pair[1]))


_ALONG_U: Final = (8.0, 11.5, 14.0, 16.0, 18.5, 21.0)


@dataclass(frozen=True, eq=False)
class OutlineVariety:
    """The abdominal cavity, which wall and skin follow.

    Attributes:
        aspect: Factor of width against depth.
        power: Added to the exponent of the oval: negative is rhombic, positive box-like.
        wave: Factor of the radius over the angle.
        rear_mm: Added to the depth of the cavity's back beside the spine.
        gutter: Added to the slope at which the back deepens towards the flank.
        along: Factors of width and depth from T8 to the hip: barrel chest, waist, broad pelvis.
    """

    aspect: float = 1.0
    power: float = 0.0
    wave: Floats = field(default_factory=lambda: ONES)
    rear_mm: float = 0.0
    gutter: float = 0.0
    along: tuple[float, ...] = ()

    def width_at(self, u: float) -> float:
        """Return the factor of width and depth at ``u``."""
        return knots(u, _ALONG_U, self.along) if self.along else 1.0


@dataclass(frozen=True, eq=False)
class FlankVariety:
    """Transversus, internal and external oblique, from inside.

    Attributes:
        stop_deg: Where each muscle goes over into its aponeurosis behind, away from the front.
        taper_deg: Angle over which it thins there.
        power: Exponent of that thinning; above 1 the muscle runs out in a long thin tongue.
        start_mm: Distance between rectus and flank muscles along the wall.
        start_ramp_mm: Way along the wall over which they grow to full thickness.
        size: Factor of each muscle's thickness.
        upper: Factor of all three at L1 and above, beside the liver.
        gap: Factor of the fat in front of and behind the internal oblique.
        gap_wave: Factor of that fat over the angle.
        wave: Factor of the wall's thickness over the angle.
        latissimus: Factor of latissimus dorsi.
        gluteal: Factor of the gluteal muscles.
        fat: Share of the muscle that fat has replaced.
        hu: Attenuation of wall and rectus beyond that of the patient's muscle.
    """

    stop_deg: tuple[Pair, Pair, Pair] = ((140.0, 140.0), (140.0, 140.0), (140.0, 140.0))
    taper_deg: float = 24.0
    power: float = 1.0
    start_mm: float = 11.0
    start_ramp_mm: float = 24.0
    size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    upper: float = 1.0
    gap: Pair = (1.0, 1.0)
    gap_wave: Floats = field(default_factory=lambda: ONES)
    wave: Floats = field(default_factory=lambda: ONES)
    latissimus: float = 1.0
    gluteal: float = 1.0
    fat: float = 0.0
    hu: float = 0.0


@dataclass(frozen=True, eq=False)
class RectusVariety:
    """Rectus abdominis and linea alba.

    Attributes:
        width: Factor of the distance from the midline to the lateral border.
        thickness: Factor on each side.
        linea_mm: Added to half the width of the linea alba.
        diastasis_mm: Likewise, around the navel.
        lens: 0 for a plate of even thickness, 1 for a lens.
        bands_u: Levels of the tendinous intersections.
        fat: Share of the muscle that fat has replaced.
    """

    width: float = 1.0
    thickness: Pair = (1.0, 1.0)
    linea_mm: float = 0.0
    diastasis_mm: float = 0.0
    lens: float = 0.0
    bands_u: tuple[float, ...] = ()
    fat: float = 0.0

    def linea_at(self, u: float) -> float:
        """Return what is added to half the width of the linea alba at ``u``, in mm."""
        return self.linea_mm + self.diastasis_mm * float(np.exp(-(((u - 15.6) / 1.3) ** 2)))

    def thickness_at(self, u: float) -> Floats:
        """Return the factor of the thickness at ``u`` over the angle."""
        dip = sum(float(np.exp(-(((u - band) / 0.13) ** 2))) for band in self.bands_u)
        return by_side(self.thickness) * np.float32(1.0 - 0.7 * min(dip, 1.0))


@dataclass(frozen=True, eq=False)
class MuscleShape:
    """One muscle beside the spine, relative to the standard one.

    Attributes:
        dx: Shift to the side in mm at 1700 mm height.
        dy: Shift to the back.
        width: Factor of the half width.
        front: Factor of the depth before the middle.
        back: Factor of the depth behind the middle.
        angle_deg: Turn; positive takes the lateral edge to the back.
        power: Exponent of the oval; 2 is an ellipse, more is box-like.
        medial_power: The same on the side of the spine.
        wave: Factor of the radius over the angle.
        fat: Share of the muscle that fat has replaced.
    """

    dx: float
    dy: float
    width: float
    front: float
    back: float
    angle_deg: float
    power: float
    medial_power: float
    wave: Floats
    fat: float

    def turned(self, by_deg: float) -> MuscleShape:
        """Return the muscle with its lateral edge turned further to the back."""
        return replace(self, angle_deg=self.angle_deg + by_deg)

    @property
    def area(self) -> float:
        """Area relative to the standard muscle."""
        return self.width * (self.front + self.back) / 2


@dataclass(frozen=True)
class Cleft:
    """Fat between two muscles of the back.

    Attributes:
        at: Place between midline (0) and lateral edge (1).
        front_mm: Half width at the front.
        back_mm: Half width at the back, where the cleft opens to a triangle.
        slant: Shift to the side per mm towards the back.
        bend: Shift to the side per mm squared.
    """

    at: float
    front_mm: float
    back_mm: float
    slant: float
    bend: float


@dataclass(frozen=True, eq=False)
class SpinalMuscles:
    """Erector spinae, quadratus lumborum and psoas, right and left.

    Attributes:
        clefts: From the midline: multifidus | longissimus | iliocostalis.
        multifidus_fat: Share of the multifidus that fat has replaced, on each side.
        subfascial_mm: Fat between erector spinae and thoracolumbar fascia.
        psoas_hold: How far the psoas stands off the vertebral body, in half widths.
        fat_streaks: True if fat replaces muscle in streaks, False if in patches.
        fat_edge: How sharply.
        erector_hu: Attenuation beyond that of the patient's muscle; ``psoas_hu`` likewise.
    """

    erector: tuple[MuscleShape, MuscleShape]
    quadratus: tuple[MuscleShape, MuscleShape]
    psoas: tuple[MuscleShape, MuscleShape]
    clefts: tuple[Cleft, ...]
    multifidus_fat: Pair
    subfascial_mm: float
    psoas_hold: float
    fat_streaks: bool
    fat_edge: float
    erector_hu: float
    psoas_hu: float

    @property
    def area(self) -> float:
        """Area of all of them at L3 relative to the standard patient's."""
        shares = ((self.erector, 0.66), (self.psoas, 0.23), (self.quadratus, 0.11))
        return sum(0.5 * share * (a.area + b.area) for (a, b), share in shares)


@dataclass(frozen=True)
class Crease:
    """A furrow of the skin: fold, scar or pressure mark.

    Attributes:
        u: Level; ``half_u`` is its extent along the spine.
        theta: Angle in radians; ``half_theta`` is its extent around the body.
        depth: Share of the fat there; negative is a bulge.
        scar: True if a fibrous streak runs from it to the fascia.
    """

    u: float
    half_u: float
    theta: float
    half_theta: float
    depth: float
    scar: bool = False

    def reaches(self, u: float) -> bool:
        """True if it is seen at ``u``."""
        return abs(u - self.u) < 2.0 * self.half_u

    def profile_at(self, u: float) -> Floats:
        """Return how much of it is seen at ``u`` over the angle, 0..1."""
        along = (u - self.u) / self.half_u
        around = np.abs((THETA - self.theta + np.pi) % (2 * np.pi) - np.pi) / self.half_theta
        profile = np.exp(-along * along - np.minimum(around, 9.0) ** 1.6)
        return np.asarray(profile, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class SkinVariety:
    """Subcutaneous fat and skin.

    Attributes:
        thickness: Factor of the skin's thickness.
        hull: How much the skin spans hollows between muscles, 0..1; 1 hides them.
        span: Width of the hollows it spans, in bins of the angle.
        fat: Factor of the fat over the angle at T11, L3 and S1.
        press: Share of the fat behind that the body's weight presses flat where it is lowest.
        flat: The same at every level.
        rest_slope: Slope of the surface the back lies on, towards its sides.
        navel: Factors of the navel's width and depth.
        scarpa: Place of the membranous layer in the fat (0 at the fascia, 1 at the skin) and how
            dense it is.
        navel_stalk: True if a fibrous cord runs from the navel to the linea alba.
        sheath_mm: Half thickness of fascia and aponeuroses; ``linea_mm`` of the linea alba.
    """

    thickness: float = 1.0
    hull: float = 0.82
    span: int = 150
    fat: tuple[Floats, Floats, Floats] = (ONES, ONES, ONES)
    press: float = 0.3
    flat: float = 0.0
    rest_slope: float = 0.0
    navel: Pair = (1.0, 1.0)
    scarpa: Pair = (0.45, 0.35)
    navel_stalk: bool = False
    sheath_mm: float = 0.5
    linea_mm: float = 0.5
    creases: tuple[Crease, ...] = ()

    def fat_at(self, u: float) -> Floats:
        """Return the factor of the fat's thickness at ``u`` over the angle."""
        if self.fat[0] is ONES:
            return ONES
        low = np.float32(knots(u, (11, 15, 18), (0.0, 1.0, 2.0)))
        upper, middle, lower = self.fat
        if low <= 1:
            return upper + low * (middle - upper)
        return middle + (low - np.float32(1.0)) * (lower - middle)

    def streaks_at(self, u: float, navel_u: float) -> Floats | None:
        """Return how fibrous the fat is over the angle, at scars and the navel's cord; or None."""
        streaks = [
            crease.profile_at(u) for crease in self.creases if crease.scar and crease.reaches(u)
        ]
        if self.navel_stalk and abs(u - navel_u) < 0.4:
            cord = np.exp(-(((u - navel_u) / 0.16) ** 2) - (THETA / 0.035) ** 2)
            streaks.append(cord.astype(np.float32))
        return np.maximum.reduce(streaks) if streaks else None

    def sheath_at(self) -> Floats | np.float32:
        """Return the half thickness of the fascia over the angle, in mm."""
        if self.linea_mm == self.sheath_mm:
            return np.float32(self.sheath_mm)
        front = np.exp(-((DEGREES / 14.0) ** 4))
        return np.asarray(
            self.sheath_mm + (self.linea_mm - self.sheath_mm) * front, dtype=np.float32
        )


@dataclass(frozen=True, eq=False)
class WallVariety:
    """All of it; ``spinal`` is None for the standard patient."""

    outline: OutlineVariety
    flank: FlankVariety
    rectus: RectusVariety
    skin: SkinVariety
    spinal: SpinalMuscles | None

    @property
    def spinal_area(self) -> float:
        """Area of the muscles beside the spine relative to the standard patient's."""
        return 1.0 if self.spinal is None else self.spinal.area
