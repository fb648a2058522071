"""Draw a DICOM segmentation over its source, with nothing of bodycomp.

Reads with pydicom, highdicom and SimpleITK alone, so that the picture shows what another program
makes of the files. docs/images/seg-over-source.png is made by

    bodycomp phantom PHANTOM --patients 1
    bodycomp analyze PHANTOM/dicom --models MODELS --out RESULTS --dicom seg --keep-identifiers
    python docs/images/draw_seg_over_source.py PHANTOM/dicom RESULTS docs/images/seg-over-source.png

The identifiers are kept because segments point to the source by its UIDs.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813 -- its usual name
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

WINDOW_HU = (-160, 240)
OPACITY = 0.45
MARGIN_PX = 12


@dataclass(frozen=True)
class Segment:
    """One segment on one source image.

    Attributes:
        label: The segment's own name.
        code: Scheme and value of the segmented property type, with its meaning.
        color: sRGB, 0..1, from the recommended CIELab colour.
        mask: (row, column), where it is on the source's pixels.
    """

    label: str
    code: str
    color: tuple[float, float, float]
    mask: NDArray[np.bool_]


def sources_below(folder: Path) -> dict[str, Path]:
    """Return SOP Instance UID -> file of every DICOM image below a folder."""
    found = {}
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        try:
            header = pydicom.dcmread(path, specific_tags=["SOPInstanceUID"])
        except InvalidDicomError:
            continue
        found[str(header.SOPInstanceUID)] = path
    return found


def read_overlays(seg_file: Path, source_folder: Path) -> list[tuple[Path, list[Segment]]]:
    """Return each source image that a segmentation names, with its segments on that image."""
    seg = highdicom.seg.segread(seg_file)
    files = sources_below(source_folder)
    named = [str(uids[2]) for uids in seg.get_source_image_uids()]
    numbers = list(seg.segment_numbers)
    overlays = []
    for uid in named:
        pixels = seg.get_pixels_by_source_instance([uid], segment_numbers=numbers)[0]
        segments = []
        for column, number in enumerate(numbers):
            description = seg.get_segment_description(number)
            kind = description.segmented_property_type
            segments.append(
                Segment(
                    description.segment_label,
                    f"{kind.scheme_designator} {kind.value} {kind.meaning}",
                    rgb_of(description.RecommendedDisplayCIELabValue),
                    pixels[:, :, column] > 0,
                )
            )
        overlays.append((files[uid], [item for item in segments if item.mask.any()]))
    return overlays


def rgb_of(stored: list[int]) -> tuple[float, float, float]:
    """Return a CIELab colour as DICOM stores it (PS3.3 C.10.7.1.1) as sRGB."""
    light, a, b = stored
    color = highdicom.color.CIELabColor(
        light * 100 / 65535, a * 255 / 65535 - 128, b * 255 / 65535 - 128
    )
    red, green, blue = (value / 255 for value in color.to_rgb())
    return red, green, blue


def hu_of(source: Path) -> NDArray[np.float64]:
    """Return the Hounsfield units of one image, as SimpleITK reads it."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(source)))[0].astype(np.float64)


def draw(source: Path, segments: list[Segment], target: Path) -> None:
    """Draw the source alone, and with the segments over it."""
    hu = hu_of(source)
    low, high = WINDOW_HU
    gray = np.clip((hu - low) / (high - low), 0, 1)
    picture = np.repeat(gray[..., None], 3, axis=2)
    for item in segments:
        picture[item.mask] = picture[item.mask] * (1 - OPACITY) + np.array(item.color) * OPACITY
    body = np.argwhere(hu > -300)
    top, left = np.maximum(body.min(axis=0) - MARGIN_PX, 0)
    bottom, right = body.max(axis=0) + MARGIN_PX
    figure = Figure(figsize=(9.6, 4.3), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, image, title in zip(
        axes,
        (np.repeat(gray[..., None], 3, axis=2), picture),
        ("source", "source and SEG"),
        strict=True,
    ):
        axis.imshow(image[top:bottom, left:right], interpolation="nearest")
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
    handles = [Patch(color=item.color, label=f"{item.label}: {item.code}") for item in segments]
    figure.legend(handles=handles, loc="outside lower center", ncols=1, fontsize=8, frameon=False)
    figure.savefig(target, dpi=80, pil_kwargs={"optimize": True})


def main(arguments: list[str]) -> None:
    """Draw the first source image of the first segmentation below a folder."""
    source_folder, results, target = (Path(argument) for argument in arguments)
    seg_file = min(results.rglob("segmentation.dcm"))
    source, segments = read_overlays(seg_file, source_folder)[0]
    draw(source, segments, target)


if __name__ == "__main__":
    main(sys.argv[1:])
