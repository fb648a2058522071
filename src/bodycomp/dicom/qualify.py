"""Which images may be measured, each rule with its reason, and what makes a series rank last."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pydicom.uid import (
    JPEG2000,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from bodycomp.dicom.candidate import Refusal, RefusalKind, is_original
from bodycomp.dicom.file_header import FileHeader
from bodycomp.dicom.frames import ENHANCED_CT
from bodycomp.dicom.pixels import why_not_decodable
from bodycomp.imaging.volume import MAX_OBLIQUITY_DEGREES, implausible_pixels, obliquity_degrees

Defect = tuple[RefusalKind, str]

_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_LOCALIZER_WORDS: Final = frozenset({"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW"})
# Pictures of a scan whose values are no longer the HU of a slice.
_RENDERED_WORDS: Final = frozenset(
    {"SCREEN SAVE", "SCREENSAVE", "MIP", "MINIP", "MAXIP", "VRT", "SSD", "FUSED", "DOSE_INFO",
     "PROJECTION IMAGE", "VOLUME_RENDERING", "SNAPSHOT"}
)  # fmt: skip
# Values of other quantities, in the words of multi-energy CT (Supplement 188) and makers.
MATERIAL_WORDS: Final = frozenset(
    {"MAT_SPECIFIC", "MAT_FRACTIONAL", "MAT_VALUE_BASED", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY",
     "IODINE", "Z_EFF", "PERFUSION", "SUBTRACTION", "SUBTRACTED"}
)  # fmt: skip
_HU_TYPES: Final = frozenset({"", "HU", "HU_MOD", "US"})  # US says "unspecified"
_HU_UNITS: Final = frozenset({"", "HU"})
MAX_INTERCEPT_HU: Final = 32768.0
"""Beyond this no 16-bit value is a value of the body."""
MAX_STEP_HU: Final = 8.0
"""A coarser grey level moves a tissue's mean and its share within an HU range."""


def find_defect(header: FileHeader) -> Defect | None:
    """Return the first rule that one image breaks by itself, None if it may be measured.

    ImageType is only trusted against an image (localizer, rendering), never for it: re-exported
    reformats claim to be original axial slices. Geometry decides.
    """
    for rule in (_kind_of_object, _kind_of_picture, _geometry, _values):
        defect = rule(header)
        if defect is not None:
            return defect
    return None


def _kind_of_object(header: FileHeader) -> Defect | None:
    if header.modality != "CT":
        found = header.modality or "none"
        return RefusalKind.NOT_CT, f"expected modality CT, found {found}"
    if header.sop_class_uid.startswith(_SECONDARY_CAPTURE):
        return RefusalKind.SECONDARY, "expected CT images, found secondary captures"
    if header.frames > 1 or (header.sop_class_uid in ENHANCED_CT and header.frame_number is None):
        return (
            RefusalKind.MULTI_FRAME,
            "expected a geometry for every frame, found none; export single slices or enhanced CT",
        )
    return None


def _kind_of_picture(header: FileHeader) -> Defect | None:
    if header.samples_per_pixel != 1 or not header.photometric.startswith("MONOCHROME"):
        found = header.photometric or "no photometric interpretation"
        return RefusalKind.COLOR, f"expected monochrome images, found {found}"
    words = frozenset(header.image_type)
    if words & _LOCALIZER_WORDS:
        return RefusalKind.LOCALIZER, "a localizer (scout view), not cross-sections"
    if words & MATERIAL_WORDS:
        found = ", ".join(sorted(words & MATERIAL_WORDS))
        return RefusalKind.MATERIAL, f"expected values in HU, found ImageType {found}"
    if words & _RENDERED_WORDS:
        found = ", ".join(sorted(words & _RENDERED_WORDS))
        return RefusalKind.SECONDARY, f"expected reconstructed slices, found ImageType {found}"
    return None


def _geometry(header: FileHeader) -> Defect | None:
    needed = {
        "ImagePositionPatient": header.position_mm,
        "ImageOrientationPatient": header.orientation,
        "PixelSpacing": header.pixel_spacing_mm,
        "Rows": header.rows or None,
        "Columns": header.columns or None,
    }
    missing = [name for name, value in needed.items() if value is None]
    if missing or header.orientation is None:
        return RefusalKind.NO_GEOMETRY, f"missing or malformed {', '.join(missing)}"
    fault = implausible_pixels(header.pixel_spacing_mm or (), (header.rows, header.columns))
    if fault is not None:
        return RefusalKind.NO_GEOMETRY, fault
    degrees = obliquity_degrees(header.orientation)
    if degrees > MAX_OBLIQUITY_DEGREES:
        allowed = f"expected slices within {MAX_OBLIQUITY_DEGREES:.0f} degrees of axial"
        found = f"found {degrees:.0f} degrees: a coronal, sagittal or oblique reformat"
        return RefusalKind.REFORMAT, f"{allowed}, {found}"
    return None


def _values(header: FileHeader) -> Defect | None:
    if header.slope_hu is None or header.intercept_hu is None or header.slope_hu == 0:
        return (
            RefusalKind.NO_RESCALE,
            "expected RescaleSlope and RescaleIntercept, found none that can be used",
        )
    if header.units not in _HU_UNITS:
        return RefusalKind.NO_RESCALE, f"expected values in HU, found units {header.units}"
    if abs(header.intercept_hu) > MAX_INTERCEPT_HU:
        found = f"{header.intercept_hu:g}"
        return RefusalKind.NO_RESCALE, f"expected an intercept as of HU, found {found}"
    if header.rescale_type not in _HU_TYPES:
        return RefusalKind.NO_RESCALE, f"expected values in HU, found {header.rescale_type}"
    if abs(header.slope_hu) > MAX_STEP_HU:
        allowed = f"expected grey levels at most {MAX_STEP_HU:.0f} HU apart"
        found = f"found {abs(header.slope_hu):.1f} HU ({header.bits_stored}-bit export)"
        return RefusalKind.COARSE, f"{allowed}, {found}"
    why = why_not_decodable(header.transfer_syntax_uid, header.bits_stored)
    return None if why is None else (RefusalKind.UNDECODABLE, f"{why}; decompress it first")


_MAY_LOSE_DETAIL: Final = frozenset(
    {JPEG2000, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless}
)
# Image types of multi-energy CT (Supplement 188) and of makers.
_MONOENERGETIC_WORDS: Final = frozenset({"VMI", "MONO_E", "MONOENERGETIC", "MONO"})
_MODIFIED_WORDS: Final = frozenset({"MAT_REMOVED", "MAT_MODIFIED", "VNC", "VUE"})
_MONOENERGETIC: Final = re.compile(
    r"\d\s*kev\b|\bmono[\s_-]*(energetic|chromatic|e\b|\+|\d)", re.IGNORECASE
)
_MODIFIED: Final = re.compile(r"\bvnc\b|\bvirtual[\s_-]*(non|un)|\bvue\b", re.IGNORECASE)
_MAP: Final = re.compile(
    r"\biodine|\bjod\b|\bz[\s_-]?eff|electron[\s_-]?densit|\bperfusion\b|\bcb[fv]\b|\bmtt\b"
    r"|subtract|bone[\s_-]?remov|\buric|\bcalcium[\s_-]?(map|only)",
    re.IGNORECASE,
)  # fmt: skip


def ranking_penalties(header: FileHeader) -> tuple[str, ...]:
    """Return what makes a series rank last, from one of its images; nothing identifying.

    The words are hints: they never make a series usable, and where nothing better is there it is
    measured all the same, with these in its notes.
    """
    words = frozenset(header.image_type)
    text = header.region
    stated = header.rescale_type
    penalties = {
        "derived from other images": not is_original(header.image_type),
        "lossy compression": header.is_lossy or header.transfer_syntax_uid in _MAY_LOSE_DETAIL,
        "monoenergetic images of dual-energy CT, whose HU depend on the energy chosen": bool(
            words & _MONOENERGETIC_WORDS or _MONOENERGETIC.search(text)
        ),
        "virtual non-contrast or otherwise modified HU": bool(
            words & _MODIFIED_WORDS or stated == "HU_MOD" or _MODIFIED.search(text)
        ),
        "its description names a map rather than HU": bool(_MAP.search(text)),
    }
    return tuple(reason for reason, holds in penalties.items() if holds)


def refusal_of(headers: Sequence[FileHeader], defect: Defect) -> Refusal:
    """Return the refusal of images that share a defect."""
    first = headers[0]
    number = "?" if first.series_number is None else str(first.series_number)
    images = "1 image" if len(headers) == 1 else f"{len(headers)} images"
    kind, reason = defect
    return Refusal(
        what=f"series {number}, {images}",
        kind=kind,
        reason=reason,
        study_uid=first.study_uid,
        series_uid=first.series_uid,
        file_count=len(headers),
        series_number=first.series_number,
        description=first.description,
        patient_id=first.patient_id,
    )
