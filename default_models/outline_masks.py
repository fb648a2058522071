"""Slices of people, outlined by hand, as label masks: polygons say where, Hounsfield units what.

``default_models/outlines/`` holds the polygons and says who drew them, on which scans and how they
may be used; the scans themselves are no part of the project. The rules that turn both into a mask
(1 muscle, 2 subcutaneous fat, 3 visceral fat, 0 the rest):

- Muscle lies between ``wall_outer``, the outside of all muscles of the trunk, and ``cavity``, the
  inside of the wall along psoas, quadratus and vertebra, where a median of 3 x 3 pixels is in
  muscle's range; ``not_muscle`` takes out bone, cartilage, discs, spinal canal and linea alba.
- Subcutaneous fat lies outside ``wall_outer`` and 2 pixels below the skin's surface.
- Visceral fat lies within ``cavity``, but not in the bowel: 2 pixels about its gas and
  ``not_visceral``, its contents, are left out.
- A line is right to 2 pixels: fat of the wall that close to labelled fat beyond it joins that.
  Deeper fat, between muscles, has no label.

Ranges of Hounsfield units are those of ``bodycomp.anatomy``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from bodycomp.anatomy import MUSCLE, SUBCUTANEOUS_FAT, VISCERAL_FAT
from bodycomp.errors import ImageError, TrainingSetError
from bodycomp.imaging.volume import Volume
from bodycomp.reading.read_scan import read_scan

OUTLINES: Final = Path(__file__).parent / "outlines"

TRAINING_SCANS: Final = ("jpeg2000", "thorax_upper_abdomen")
"""People whose slices may train a default model."""
TEST_SCANS: Final = ("torso_ct",)
"""People whose slices only judge one."""

Polygon = tuple[tuple[float, float], ...]
"""(column, row) of its corners; a pixel's center has whole numbers."""
Pixels = NDArray[np.bool_]

_GAS_HU: Final = -300.0
"""Also what separates the body from air: halfway between air and soft tissue is -500, fat ends at
-190, and what a pixel's edge shares with air lies between."""
_EDGE_PIXELS: Final = 2
"""Width of skin, of a bowel wall with its partial volume, and precision of a line."""
_LOWEST_MUSCLE_PIXEL_HU: Final = -45.0
"""Noise may take one pixel of muscle this low; its surroundings are in muscle's range."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What was drawn on one slice.

    Attributes:
        scan: Folder of the scan.
        slice_index: From the feet, from 0.
        z_mm: Position of the slice, by which the scan is checked.
        level: Vertebra that the slice passes, the two beside the disc (``L3/L4``), or ``about T12``
            where ribs cannot be counted.
        wall_outer, cavity: Outer and inner border of the trunk's muscles.
        not_muscle, not_visceral: What lies within the wall and is no muscle, and bowel contents.
    """

    scan: str
    slice_index: int
    z_mm: float
    level: str
    wall_outer: Polygon
    cavity: Polygon
    not_muscle: tuple[Polygon, ...] = ()
    not_visceral: tuple[Polygon, ...] = ()


def read_outline(path: Path) -> Outline:
    """Read one outline, ``SCAN/INDEX.json``.

    Raises:
        TrainingSetError: It lacks something, or a polygon has fewer than three corners.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Outline(
            path.parent.name,
            int(path.stem),
            float(content["z_mm"]),
            str(content["level"]),
            _polygon(content["wall_outer"]),
            _polygon(content["cavity"]),
            tuple(map(_polygon, content["not_muscle"])),
            tuple(map(_polygon, content["not_visceral"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingSetError(
            f"{path.parent.name}/{path.name}: expected an outline with z_mm, level, wall_outer, "
            f"cavity, not_muscle and not_visceral, found {error!r}"
        ) from error


def outlines_of(scans: Sequence[str], folder: Path = OUTLINES) -> list[Outline]:
    """Read the outlines of some scans, each from feet to head."""
    return [read_outline(path) for scan in scans for path in sorted((folder / scan).glob("*.json"))]


def outlined_slices(
    folder: Path, scans: Sequence[str]
) -> Iterator[tuple[Outline, Volume, NDArray[np.uint8]]]:
    """Yield each outline of some scans with its slice, a volume of one, and its mask.

    Args:
        folder: Where the scans are, each a folder of its name.
        scans: Such as ``TRAINING_SCANS``.

    Raises:
        SeriesError: A scan cannot be read.
        ImageError: A scan is not the one that was outlined.
    """
    for scan in scans:
        volume = read_scan(folder / scan).volume
        for outline in outlines_of([scan]):
            index = outline.slice_index
            z_mm = volume.slice_z_mm[index : index + 1]
            if z_mm.size == 0 or abs(z_mm[0] - outline.z_mm) > 0.1:
                raise ImageError(
                    f"{scan}: expected slice {index} at {outline.z_mm} mm, "
                    f"found {z_mm.tolist() or 'no such slice'}"
                )
            x_mm, y_mm, _ = volume.first_pixel_mm
            only = Volume(
                volume.hu[index : index + 1],
                volume.pixel_spacing_mm,
                z_mm,
                volume.orientation,
                (x_mm, y_mm, float(z_mm[0])),
            )
            yield outline, only, label_mask(only.hu[0], outline)


def label_mask(hu: NDArray[Any], outline: Outline) -> NDArray[np.uint8]:
    """Label the pixels of an outlined slice by the rules above.

    Args:
        hu: (row, column) Hounsfield units.
        outline: Drawn on this slice.

    Returns:
        (row, column) labels of ``bodycomp.anatomy.ABDOMINAL_TISSUES``.
    """
    hu = np.asarray(hu, np.float32)
    body = _body(hu)
    cavity = _inside(hu.shape, outline.cavity)
    outer = _inside(hu.shape, outline.wall_outer)
    wall = outer & ~cavity
    excluded = _inside(hu.shape, *outline.not_muscle)
    gas = ndimage.binary_dilation(body & (hu < _GAS_HU), iterations=_EDGE_PIXELS)
    bowel = gas | _inside(hu.shape, *outline.not_visceral)
    lowest, highest = SUBCUTANEOUS_FAT.hu_range
    fat = (hu >= lowest) & (hu <= highest)

    labels = np.zeros(hu.shape, np.uint8)
    below_skin = ndimage.binary_erosion(body, iterations=_EDGE_PIXELS)
    labels[below_skin & ~outer & fat] = SUBCUTANEOUS_FAT.label
    labels[cavity & fat & ~bowel] = VISCERAL_FAT.label
    labels[ndimage.binary_opening(wall & ~excluded & _muscle_like(hu))] = MUSCLE.label
    for tissue in (SUBCUTANEOUS_FAT, VISCERAL_FAT):
        has_it = labels == tissue.label
        free = body & wall & fat & ~bowel & ~excluded & (labels == 0)
        reached = ndimage.binary_dilation(has_it, iterations=_EDGE_PIXELS, mask=has_it | free)
        labels[reached & free] = tissue.label
    return labels


def _muscle_like(hu: NDArray[np.float32]) -> Pixels:
    """Return where a pixel and its surroundings have the density of muscle."""
    lowest, highest = MUSCLE.hu_range
    median = ndimage.median_filter(hu, 3)
    found: Pixels = (median >= lowest) & (median <= highest) & (hu >= _LOWEST_MUSCLE_PIXEL_HU)
    return found


def _body(hu: NDArray[np.float32]) -> Pixels:
    """Return the largest piece that is not air, without holes: table and arms are others."""
    pieces, count = ndimage.label(ndimage.binary_opening(hu > _GAS_HU, iterations=_EDGE_PIXELS))
    if count == 0:
        raise ImageError("expected a slice through a body, found air alone")
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    filled: Pixels = ndimage.binary_fill_holes(pieces == largest)
    return filled


def _inside(shape: tuple[int, ...], *polygons: Polygon) -> Pixels:
    """Return the pixels that polygons cover, their lines included."""
    image = Image.new("L", (shape[1], shape[0]))
    for polygon in polygons:
        ImageDraw.Draw(image).polygon(polygon, fill=1, outline=1)
    return np.asarray(image).astype(bool)


def _polygon(corners: Sequence[Sequence[float]]) -> Polygon:
    polygon = tuple((float(column), float(row)) for column, row in corners)
    if len(polygon) < 3:
        raise ValueError(f"a polygon with {len(polygon)} corners")
    return polygon
