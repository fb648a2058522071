"""Images as they arrive -> the folder of their series, under names that identify nobody."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from bodycomp.dicom.derived.identity import PseudonymKey
from bodycomp.errors import ArchiveError


class Landing:
    """Takes the images of one series; one that comes twice is there once.

    Attributes:
        names: Files that were written.
    """

    def __init__(self, folder: Path, key: PseudonymKey, study_uid: str, series_uid: str) -> None:
        self.names: set[str] = set()
        self._folder = folder
        self._key = key
        self._wanted = (study_uid, series_uid)

    def __call__(self, content: bytes) -> None:
        """Write one image as it came.

        Raises:
            ArchiveError: It is no image of this series.
        """
        try:
            tags = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
            header = dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=tags)
            study, series, image = (str(header[tag].value) for tag in tags)
        except (InvalidDicomError, KeyError, ValueError, EOFError) as error:
            raise ArchiveError("the archive sent something that is no DICOM image") from error
        if (study, series) != self._wanted:
            raise ArchiveError("the archive sent an image of another series than was asked for")
        name = f"{self._key.code('image', image)}.dcm"
        (self._folder / name).write_bytes(content)
        self.names.add(name)

    def check_complete(self, expected: int) -> None:
        """Check that all images are there; 0 if it is not known how many there are.

        Raises:
            ArchiveError: There are fewer than the archive says that it has, or none.
        """
        if len(self.names) < max(expected, 1):
            raise ArchiveError(
                f"the archive sent {len(self.names)} of {expected or 'an unknown number of'} images"
            )
