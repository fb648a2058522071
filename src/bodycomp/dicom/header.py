"""What a written CT series says about patient, scanner and storage, as frozen values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from pydicom.uid import generate_uid

from bodycomp.errors import UsageError


class Storage(StrEnum):
    """Transfer syntaxes that can be written; every one is lossless."""

    EXPLICIT = "1.2.840.10008.1.2.1"
    IMPLICIT = "1.2.840.10008.1.2"
    DEFLATED = "1.2.840.10008.1.2.1.99"
    RLE = "1.2.840.10008.1.2.5"
    JPEG_LS = "1.2.840.10008.1.2.4.80"
    JPEG_2000 = "1.2.840.10008.1.2.4.90"


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """How HU become stored values: ``stored = round((hu - intercept_hu) / slope_hu)``.

    Values outside the stored range are clipped, as scanners do.

    Attributes:
        intercept_hu, slope_hu: DICOM rescale, slope positive.
        bits_stored: 8 to 16; 16 bits are always allocated.
        padding: Stored value that marks pixels outside the scanned circle. It is only declared
            here: the pixels have it where ``hu == padding * slope_hu + intercept_hu``.

    Raises:
        UsageError: A slope that is not positive or an impossible number of bits.
    """

    intercept_hu: float = -1024.0
    slope_hu: float = 1.0
    bits_stored: int = 16
    signed: bool = True
    padding: int | None = None
    storage: Storage = Storage.EXPLICIT

    def __post_init__(self) -> None:
        if not self.slope_hu > 0:
            raise UsageError(f"expected a positive rescale slope, found {self.slope_hu} HU")
        if not 8 <= self.bits_stored <= 16:
            raise UsageError(f"expected 8 to 16 bits stored, found {self.bits_stored}")
        if self.padding is not None and not self.lowest <= self.padding <= self.highest:
            raise UsageError(
                f"expected a padding value in {self.lowest}..{self.highest}, found {self.padding}"
            )

    @property
    def lowest(self) -> int:
        """Smallest stored value."""
        return -(1 << (self.bits_stored - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """Largest stored value."""
        return (1 << (self.bits_stored - 1 if self.signed else self.bits_stored)) - 1


def default_file_name(instance_number: int) -> str:
    """Return ``IM0001.dcm`` for instance 1.

    >>> default_file_name(12)
    'IM0012.dcm'
    """
    return f"IM{instance_number:04d}.dcm"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesHeader:
    """Attributes of one CT series, the same for all of its images.

    Series of one study share ``seed`` and differ in ``series_number``: study and frame of
    reference UIDs derive from the seed alone, series and instance UIDs from both. A UID that is
    given wins over the derived one.

    Attributes:
        seed: Any text; the same text gives the same UIDs.
        patient_age_years, patient_weight_kg, patient_height_m: Absent when None.
        date, time: DICOM ``YYYYMMDD`` and ``HHMMSS`` of study, series and image. Nothing is taken
            from a clock, so that equal input gives equal bytes.
        contrast_agent: Text of Contrast/Bolus Agent; None when no contrast was given.
        slice_thickness_mm: The median slice distance when None.
        first_instance: End of the body at which instance number 1 lies.
    """

    seed: str
    series_number: int = 1
    study_uid: str = ""
    series_uid: str = ""
    frame_of_reference_uid: str = ""

    patient_id: str = ""
    patient_name: str = ""
    patient_sex: Literal["", "F", "M", "O"] = ""
    patient_age_years: int | None = None
    patient_weight_kg: float | None = None
    patient_height_m: float | None = None

    date: str = "20200101"
    time: str = "120000"
    study_description: str = ""
    series_description: str = ""
    protocol_name: str = ""
    body_part: str = ""
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "AXIAL")
    patient_position: str = "HFS"
    acquisition_number: int = 1

    manufacturer: str = ""
    model: str = ""
    kernel: str | tuple[str, ...] = ""
    kvp: float | None = 120.0
    exposure_mas: int | None = None
    contrast_agent: str | None = None
    slice_thickness_mm: float | None = None

    pixels: PixelFormat = field(default_factory=PixelFormat)
    first_instance: Literal["head", "feet"] = "head"
    file_name: Callable[[int], str] = default_file_name

    def uid(self, kind: Literal["study", "frame", "series"]) -> str:
        """Return the UID of the study, the frame of reference or the series."""
        given = {
            "study": self.study_uid,
            "frame": self.frame_of_reference_uid,
            "series": self.series_uid,
        }[kind]
        number = (str(self.series_number),) if kind == "series" else ()
        return given or _uid(self.seed, kind, *number)

    def instance_uid(self, instance_number: int) -> str:
        """Return the SOP Instance UID of one image of the series."""
        return _uid(self.seed, "instance", self.uid("series"), str(instance_number))


def _uid(*sources: str) -> str:
    # Lengths keep ("a", "bc") apart from ("ab", "c"): generate_uid only joins its sources.
    return str(generate_uid(entropy_srcs=[f"{len(source)}:{source};" for source in sources]))
