"""Which images belong to one series by what they say: what is missing is not different.

De-identification and transfers leave identifiers out of some images of a series. Such an image
joins those that share a stated UID with it and contradict it in nothing, if there is one such
series alone. Values that are stated and differ are never joined.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bodycomp.dicom.file_header import FileHeader

IDENTITY: Final = {
    "PatientID": "patient_id",
    "StudyInstanceUID": "study_uid",
    "SeriesInstanceUID": "series_uid",
    "FrameOfReferenceUID": "frame_of_reference_uid",
}
"""Attributes that all images of a series share -> their names in ``FileHeader``."""

_SERIES: Final = 2
_UIDS: Final = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What images say of their series; empty where they say nothing.

    Attributes:
        folder: Where they lie, if no SeriesInstanceUID is stated: then nothing but the folder
            keeps two patients apart.
    """

    stated: tuple[str, ...]
    words: tuple[str, ...]
    folder: str

    @property
    def pattern(self) -> tuple[bool, ...]:
        """Which values are stated."""
        return tuple(map(bool, (*self.stated, *self.words)))

    def joins(self, other: _Claim) -> bool:
        """Whether both may be one series: a UID in common and no contradiction."""
        common = any(self.stated[n] and self.stated[n] == other.stated[n] for n in _UIDS)
        if not common or _differ(self.stated, other.stated):
            return False
        if self.stated[_SERIES] and other.stated[_SERIES]:
            return True
        apart = self.folder and other.folder and self.folder != other.folder
        return not apart and not _differ(self.words, other.words)


def by_series(headers: Iterable[FileHeader]) -> list[list[FileHeader]]:
    """Return the headers of each series, series and headers in the order in which they come."""
    members: dict[_Claim, list[FileHeader]] = defaultdict(list)
    for same in _alike(headers):
        members[_claim(same)] += same
    joined = _components(list(members))
    return [[header for claim in claims for header in members[claim]] for claims in joined]


def _alike(headers: Iterable[FileHeader]) -> list[list[FileHeader]]:
    groups: dict[tuple[object, ...], list[FileHeader]] = defaultdict(list)
    for header in headers:
        key: tuple[object, ...] = tuple(getattr(header, name) for name in IDENTITY.values())
        if not header.series_uid:
            key = (*key, header.folder, header.series_number, header.description)
        groups[key].append(header)
    return list(groups.values())


def _claim(headers: Sequence[FileHeader]) -> _Claim:
    first = headers[0]
    words = [
        {"" if h.series_number is None else str(h.series_number) for h in headers},
        {h.description for h in headers},
    ]
    return _Claim(
        stated=tuple(getattr(first, name) for name in IDENTITY.values()),
        words=tuple(found.pop() if len(found) == 1 else "" for found in words),
        folder="" if first.series_uid else first.folder,
    )


def _differ(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    return any(a and b and a != b for a, b in zip(ours, theirs, strict=True))


def _contradict(claims: Sequence[_Claim]) -> bool:
    """Whether any value of ``IDENTITY`` is stated in two ways."""
    columns = zip(*(claim.stated for claim in claims), strict=True)
    return any(len(set(values) - {""}) > 1 for values in columns)


def _components(claims: list[_Claim]) -> list[list[_Claim]]:
    """Return claims that are one series together; a claim that fits two series stays alone."""
    neighbors = {
        claim: [] if _contradict([claim, *near]) else near
        for claim, near in _neighbors(claims).items()
    }
    result: list[list[_Claim]] = []
    seen: set[_Claim] = set()
    for claim in claims:
        if claim in seen:
            continue
        component = [claim]
        seen.add(claim)
        for member in component:  # grows on the way
            # A claim that fits two series has no neighbours, but is one of theirs.
            fresh = [n for n in neighbors[member] if n not in seen and member in neighbors[n]]
            component += fresh
            seen.update(fresh)
        result += [[member] for member in component] if _contradict(component) else [component]
    return result


def _neighbors(claims: list[_Claim]) -> dict[_Claim, list[_Claim]]:
    """Return claims that may be one series with each; only different patterns ever are."""
    by_uid: dict[tuple[int, str], dict[tuple[bool, ...], list[_Claim]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for claim in claims:
        for place in _UIDS:
            if claim.stated[place]:
                by_uid[place, claim.stated[place]][claim.pattern].append(claim)
    found: dict[_Claim, list[_Claim]] = {}
    for claim in claims:
        near: dict[_Claim, None] = {}
        for place in _UIDS:
            for pattern, others in by_uid.get((place, claim.stated[place]), {}).items():
                if pattern != claim.pattern:
                    near.update(dict.fromkeys(o for o in others if claim.joins(o)))
        found[claim] = list(near)
    return found
