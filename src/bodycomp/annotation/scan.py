"""A scan as annotations see it: its volume, and where each slice came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bodycomp.imaging.volume import Volume
from bodycomp.subject import Acquisition, Subject


@dataclass(frozen=True, eq=False)
class Scan:
    """One CT volume and the identity of its slices; identifying fields are left out of ``repr``.

    Attributes:
        volume: The pixels on their source grid, feet to head.
        source: ``DICOM``, ``NIfTI`` or ``NRRD``.
        files: The file of every slice, feet to head; the same file for all slices of a volume file.
        sop_instance_uids: Of every slice, feet to head; empty strings unless DICOM.
        instance_numbers: Of every slice, None unless DICOM states one.
        study_uid, series_uid, frame_of_reference_uid, patient_id: From the header; empty unless
            DICOM.
        subject, acquisition: Who was scanned and how, as far as the header says.
        notes: What the reader lost or repaired; nothing identifying.
    """

    volume: Volume = field(repr=False)
    source: str
    files: tuple[Path, ...] = field(repr=False)
    sop_instance_uids: tuple[str, ...] = field(repr=False)
    instance_numbers: tuple[int | None, ...] = ()
    study_uid: str = field(default="", repr=False)
    series_uid: str = field(default="", repr=False)
    frame_of_reference_uid: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    subject: Subject = field(default_factory=Subject)
    acquisition: Acquisition = field(default_factory=Acquisition)
    notes: tuple[str, ...] = ()

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
