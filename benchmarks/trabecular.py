"""How far trabecular attenuation is from the truth of phantoms.

    python -m benchmarks.trabecular [--patients 60] [--anatomy standard] [--off-mm 4]

L1 to L4 of every patient are rendered about a height that is up to ``--off-mm`` off the level. The
marrow of phantoms has an attenuation and a texture of 22 HU, so that the bone of a region differs
from that of the body. The table has errors against the bone that was drawn inside the region, which
noise, cortex, endplates and whatever else is taken for bone make, and against the attenuation of
the patient's marrow, to which the texture adds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bodycomp.analysis.skin_line import trunk_mask
from bodycomp.analysis.trabecular import AROUND_MM, LEVELS, regions_about
from bodycomp.anatomy import MUSCLE, PHANTOM_ANATOMIES, VISCERAL_FAT, PhantomAnatomy
from bodycomp.imaging.volume import Volume
from bodycomp.phantom import Torso, sample_patient, sample_scan

PIXELS = 320
TEXTURE_HU = 22.0
"""Of spongy bone, as ``phantom/skeleton/spine.py`` draws it."""


@dataclass(frozen=True)
class Found:
    """Attenuation of a vertebra, None if no region was found, and what was drawn."""

    level: str
    hu: float | None
    region_hu: float
    marrow_hu: float


def vertebrae(
    patient: int, anatomy: PhantomAnatomy, off_mm: float, levels: Sequence[str] = LEVELS
) -> Iterator[Found]:
    """Yield what is found at the levels of a patient."""
    rng = np.random.default_rng(patient)
    torso = Torso(sample_patient(11, patient, anatomy))
    scan = sample_scan(torso.patient)
    pixel_mm = scan.pixel_spacing_mm * scan.matrix[0] / PIXELS
    scan = replace(scan, matrix=(PIXELS, PIXELS), pixel_spacing_mm=pixel_mm)
    marrow_hu = torso._materials.marrow  # noqa: SLF001 - the truth
    for level in levels:
        z_mm = torso.level_z_mm[level] + float(rng.uniform(-off_mm, off_mm))
        step_mm = max(scan.slice_spacing_mm, 2.0)
        reach = int(AROUND_MM / step_mm)
        heights = z_mm + np.arange(-reach, reach + 1, dtype=np.float64) * step_mm
        slices = [torso.render_slice(scan, float(height)) for height in heights]
        volume = Volume(np.stack([hu for hu, _ in slices]), (pixel_mm, pixel_mm), heights)
        hu, labels = slices[reach]
        labels = np.where(labels <= VISCERAL_FAT.label, labels, 0).astype(np.uint8)
        muscle_hu = float(np.median(hu[labels == MUSCLE.label]))
        regions = regions_about(volume, z_mm, trunk_mask(hu, labels, (pixel_mm,) * 2), muscle_hu)
        if not regions:
            yield Found(level, None, marrow_hu, marrow_hu)
            continue
        grain = []
        for region in regions:
            height = float(heights[region.slice_index])
            section = torso._trunk.section(torso._curve.level_at(height))  # noqa: SLF001
            canvas = torso._canvas(scan, section, height)  # noqa: SLF001
            grain.append(float(canvas.grain[region.mask].mean()))
        found_hu = float(np.mean([region.mean_hu for region in regions]))
        yield Found(level, found_hu, marrow_hu + TEXTURE_HU * float(np.mean(grain)), marrow_hu)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--anatomy", choices=PHANTOM_ANATOMIES, default="standard")
    parser.add_argument("--off-mm", type=float, default=4.0)
    options = parser.parse_args(arguments)
    found = [
        each
        for patient in range(options.patients)
        for each in vertebrae(patient, options.anatomy, options.off_mm)
    ]
    seen = [each for each in found if each.hu is not None]
    print(f"{len(seen)} of {len(found)} vertebrae measured")
    for name in ("region_hu", "marrow_hu"):
        errors = np.array([(each.hu or 0.0) - getattr(each, name) for each in seen])
        print(
            f"against {name:9}: {np.mean(np.abs(errors) <= 5):.1%} within 5 HU, mean "
            f"{errors.mean():+.2f}, 95 % of errors below {np.percentile(np.abs(errors), 95):.1f} HU"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
