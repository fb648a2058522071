"""What correcting needs beside the correction: the scans, the models, and what to write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bodycomp.study.options import DicomObject


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionOptions:
    """Where the run and its scans are.

    Attributes:
        out_dir: Folder that ``analyze`` left.
        inputs: Files and folders that were measured, or more; empty if nothing is measured anew.
        models_dir: Folder with the models of the run; None if no slice is segmented anew.
        pseudonym_key: File with the key of the run; the one beside ``out_dir`` if None.
        device: "auto", "cpu", "cuda" or "cuda:1".
        dicom: DICOM objects to write; those of the run if None.
        previews: Write a picture per corrected level; as the run did if None.
    """

    out_dir: Path
    inputs: tuple[Path, ...] = ()
    models_dir: Path | None = None
    pseudonym_key: Path | None = None
    device: str = "auto"
    dicom: frozenset[DicomObject] | None = None
    previews: bool | None = None
