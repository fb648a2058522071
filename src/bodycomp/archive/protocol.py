"""What a pull needs of an archive, whatever it speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Final, Protocol, Self

from pydicom.dataset import Dataset

from bodycomp.archive.query import Answer, Level

Save = Callable[[bytes], None]
"""Takes one image as a file (PS3.10)."""

RETURNED: Final[Mapping[Level, tuple[str, ...]]] = {
    Level.STUDY: ("StudyInstanceUID", "PatientID"),
    Level.SERIES: ("SeriesInstanceUID", "NumberOfSeriesRelatedInstances"),
}
"""Keys that are asked for beside those of the query."""


class Archive(Protocol):
    """An open archive. Messages of its errors name no patient."""

    def __enter__(self) -> Self:
        """Open it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""

    def connect(self) -> None:
        """See whether it can be used.

        Raises:
            ArchiveUnreachableError: It cannot.
        """

    def find(self, level: Level, keys: Mapping[str, str]) -> Iterator[Answer]:
        """Yield what it has that matches; a key with an empty value is only asked for.

        Raises:
            ArchiveError: It refuses the query, or fails.
        """

    def fetch(self, study_uid: str, series_uid: str, save: Save) -> None:
        """Have every image of a series sent to ``save``, as it is stored.

        Raises:
            ArchiveError: It refuses, fails, or could not send all.
            Exception: What ``save`` raises.
        """


def answer_of(found: Dataset) -> Answer:
    """Return the values of an answer as text; keys without a value are left out."""
    return {
        element.keyword: texts
        for element in found
        if element.keyword and element.VR != "SQ" and element.value is not None
        for values in [[element.value] if element.VM < 2 else element.value]
        if (texts := tuple(str(each).strip() for each in values if str(each).strip()))
    }
