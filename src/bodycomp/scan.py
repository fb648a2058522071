"""A CT scan, whatever it was read from: its volume, who was scanned and how, and what names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from bodycomp.errors import ImageError
from bodycomp.imaging.volume import Volume
from bodycomp.subject import Acquisition, Subject, subject_from


@dataclass(frozen=True, slots=True)
class SliceFile:
    """One slice of a DICOM series: where it is on disk and in the patient, and its rescale.

    Attributes:
        frame_number: Its place in a multi-frame file, from 1; None in a file of one image.
        filled: Attributes that the file lacks and others of its series state, with their values.
    """

    path: Path = field(repr=False)
    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    instance_number: int | None
    position_mm: tuple[float, float, float]
    slope_hu: float
    intercept_hu: float
    frame_number: int | None = None
    filled: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, eq=False)
class Scan:
    """One CT volume and all that is known of it; identifying fields are left out of ``repr``.

    Attributes:
        volume: HU on the source pixel grid, slices from feet to head.
        source: ``DICOM``, ``NIfTI``, ``NRRD``, or what else the volume was made from.
        path: The file of a volume that is not DICOM.
        slices: (slice,) the DICOM file of every slice; empty for other formats.
        subject, acquisition: Who was scanned and how, as far as the files say.
        study_uid, series_uid, frame_of_reference_uid, patient_id, study_date: From the header;
            empty unless DICOM.
        study_key, series_key: Short digests that tell studies and series apart, and name nobody;
            empty unless DICOM.
        notes: What the reader lost or repaired; nothing identifying.
        keeps: What must live as long as the files are needed, such as an unpacked archive.

    Raises:
        ImageError: There are other than one file per slice.
    """

    volume: Volume = field(repr=False)
    source: str = ""
    path: Path = field(default=Path(), repr=False)
    slices: tuple[SliceFile, ...] = field(default=(), repr=False)
    subject: Subject = field(default_factory=Subject, repr=False)
    acquisition: Acquisition = field(default_factory=Acquisition)
    study_uid: str = field(default="", repr=False)
    series_uid: str = field(default="", repr=False)
    frame_of_reference_uid: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    study_date: str = field(default="", repr=False)
    study_key: str = field(default="", repr=False)
    series_key: str = field(default="", repr=False)
    notes: tuple[str, ...] = ()
    keeps: object = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.slices and len(self.slices) != len(self.volume):
            raise ImageError(
                f"expected a file for each of {len(self.volume)} slices, found {len(self.slices)}"
            )

    def __str__(self) -> str:
        volume, made = self.volume, self.acquisition
        rows, columns = volume.slice_shape
        apart = volume.slice_spacing_mm
        parts = (
            self.source,
            f"{len(volume)} slices of {rows} x {columns}",
            f"{apart:.4g} mm apart" if apart else "",
            f"pixels of {volume.pixel_spacing_mm[0]:.4g} mm",
            f"{made.kvp:g} kVp" if made.kvp else "",
            made.kernel,
        )
        return ", ".join(part for part in parts if part)

    def with_subject(
        self,
        *,
        height_m: float | None = None,
        weight_kg: float | None = None,
        sex: str = "",
        age_years: float | None = None,
    ) -> Self:
        """Return the same scan of a person whose files do not say so; indices need a height.

        Reference values need sex and age. What is left out stays as the files have it; what cannot
        be right is left out.
        """
        known = self.subject
        subject = subject_from(
            known.height_m if height_m is None else height_m,
            known.weight_kg if weight_kg is None else weight_kg,
            sex or known.sex,
            known.age_years if age_years is None else age_years,
        )
        return replace(self, subject=subject)

    def with_notes(self, notes: Sequence[str]) -> Self:
        """Return the same scan with further notes."""
        return replace(self, notes=(*self.notes, *notes))

    @property
    def files(self) -> tuple[Path, ...]:
        """The file of every slice; the same one for all slices of a volume file."""
        return tuple(item.path for item in self.slices) or (self.path,) * len(self.volume)

    @property
    def sop_instance_uids(self) -> tuple[str, ...]:
        """Of every slice; empty unless DICOM."""
        return tuple(item.sop_instance_uid for item in self.slices) or ("",) * len(self.volume)

    @property
    def instance_numbers(self) -> tuple[int | None, ...]:
        """Of every slice, None unless DICOM states one."""
        return tuple(item.instance_number for item in self.slices) or (None,) * len(self.volume)

    @property
    def facts(self) -> Mapping[str, str]:
        """What cases may be stratified by, in words; those facts that the header states."""
        made = self.acquisition
        facts = {
            "sex": self.subject.sex,
            "manufacturer": made.manufacturer,
            "scanner": made.scanner_model,
            "kernel": made.kernel,
            "kvp": _in_words(made.kvp),
            "slice_thickness_mm": _in_words(made.slice_thickness_mm),
            # An agent's name would split what belongs together.
            "contrast": "yes" if made.names_contrast else "",
        }
        return {name: value for name, value in facts.items() if value}


def _in_words(number: float | None) -> str:
    return "" if number is None else f"{number:g}"
