"""Results made by hand, to draw and to list."""

import numpy as np

from bodycomp.anatomy import ABDOMINAL_TISSUES, MUSCLE
from bodycomp.imaging.volume import Volume
from bodycomp.results import LevelResult, LevelStatus, Measurement, SliceChoice


def cylinder(orientation=(1, 0, 0, 0, 1, 0), z=None):
    """Return a cylinder of soft tissue with a bony core on uneven slices."""
    z = np.array([0.0, 4, 8, 12, 20, 24, 28, 32]) if z is None else z
    away = np.hypot(*np.mgrid[-32:32, -32:32])
    image = np.where(away < 24, 40, -1000)
    image[away < 5] = 600
    hu = np.repeat(image[None], len(z), axis=0).astype(np.int16)
    return Volume(hu, (4.0, 4.0), z, orientation)


def found_at(volume, index):
    offset = (volume.slice_z_mm - volume.slice_z_mm[index]).astype(np.float32)
    choice = SliceChoice(
        "L3", LevelStatus.FOUND, "", index, float(volume.slice_z_mm[index]), offset, offset, 1
    )
    mask = np.zeros(volume.slice_shape, np.uint8)
    mask[20:44, 20:44] = MUSCLE.label
    measured = {t.key: Measurement(0.0, None, None, None, None, None) for t in ABDOMINAL_TISSUES}
    measured["muscle"] = Measurement(92.2, 40.0, 40.0, 0.0, 0.0, 0.3)
    return LevelResult(choice, (index,), measured, {index: mask})


def not_found(volume):
    offset = np.full(len(volume), 50, np.float32)
    reason = "the level lies below the lowest slice"
    return LevelResult(SliceChoice("T5", LevelStatus.ABSENT, reason, None, None, offset, offset, 0))
