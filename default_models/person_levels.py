"""Levels of people, read off reformats: series that help to train the default level finder.

An engineer of the project counted from the last rib (T12) on sagittal and coronal reformats; the
middle of a vertebra's body is right to about 4 mm, that of L3 here, below the scan, to about 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from bodycomp.cohort.level_set import FINDER_SIZE
from bodycomp.data.samples import LevelSample
from bodycomp.imaging.resize import resize_image
from bodycomp.imaging.square_field import AIR_HU, SquareField
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.reading.read_scan import read_scan

TRAINING_LEVELS_MM: Final[Mapping[str, Mapping[str, float]]] = {
    "thorax_upper_abdomen": {
        "T5": -69.0,
        "T8": -142.0,
        "T10": -197.0,
        "T12": -258.8,
        "L1": -291.5,
        "L2": -330.0,
        "L3": -366.0,
    }
}
"""Scan -> level -> z in mm of the patient. Those of ``torso_ct`` judge: outlines/torso_ct."""


def person_series(folder: Path | None) -> list[list[LevelSample]]:
    """Return the series of people that may train, in the pixels that the network sees."""
    if folder is None:
        return []
    return [_series(folder / scan, levels) for scan, levels in TRAINING_LEVELS_MM.items()]


def _series(path: Path, levels_mm: Mapping[str, float]) -> list[LevelSample]:
    volume = read_scan(path).volume
    field = SquareField.of_volume(volume)
    samples = []
    for index, z_mm in enumerate(volume.slice_z_mm.tolist()):
        hu = np.maximum(field.apply(volume.hu[index]), np.float32(AIR_HU))
        gray = np.ascontiguousarray(SOFT_TISSUE.to_gray(resize_image(hu, FINDER_SIZE)))
        offsets = {level: round(z_mm - place_mm, 2) for level, place_mm in levels_mm.items()}
        samples.append(LevelSample(gray, offsets))
    return samples
