"""Written objects as DICOM files."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.storage import atomic_file


def save_object(dataset: Dataset, path: Path) -> None:
    """Write an object with the header of part 10; the file appears whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    with quiet_pydicom(), atomic_file(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
