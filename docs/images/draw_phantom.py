"""Draw docs/images/phantom.png: run it again after the phantom has changed."""

from pathlib import Path

import numpy as np
from PIL import Image

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.phantom import Torso, sample_patient, sample_scan

LEVELS = ("T8", "T12", "L1", "L3", "L5", "S1")
PATIENTS = (5, 0, 11)
TILE = 300
OPACITY = 0.4


def tile(patient_index: int, level: str, *, overlay: bool) -> np.ndarray:
    """Return one slice as RGB, with its labels if asked."""
    patient = sample_patient(0, patient_index)
    torso = Torso(patient)
    hu, labels = torso.render_slice(sample_scan(patient), torso.level_z_mm[level])
    picture = np.repeat(SOFT_TISSUE.to_gray(hu)[..., None], 3, axis=2).astype(np.float32)
    if overlay:
        for tissue in ABDOMINAL_TISSUES:
            where = labels == tissue.label
            picture[where] = picture[where] * (1 - OPACITY) + np.array(tissue.color) * OPACITY
    return np.asarray(Image.fromarray(picture.astype(np.uint8)).resize((TILE, TILE)))


def main() -> None:
    """Write the sheet: a row per patient, the last one once more with its labels."""
    rows = [[tile(index, level, overlay=False) for level in LEVELS] for index in PATIENTS]
    rows.append([tile(PATIENTS[-1], level, overlay=True) for level in LEVELS])
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    path = Path(__file__).with_name("phantom.png")
    Image.fromarray(sheet).quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    main()
