"""Which scan an annotation belongs to: by what it states, by where it lies, by folders and names.

What leaves several scans, or none, is not decided here: the user is told why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bodycomp.annotation.reference import referenced_series
from bodycomp.errors import BodycompError
from bodycomp.preparation.found import FoundAnnotation, FoundScan, plain_name, telling_name
from bodycomp.reading.kinds import Kind


@dataclass(frozen=True, slots=True)
class Pairing:
    """The scans that an annotation belongs to, several for tables alone, and what to look at."""

    scans: tuple[FoundScan, ...] = ()
    note: str = ""


def pair(annotation: FoundAnnotation, scans: Sequence[FoundScan], root: Path) -> Pairing:
    """Find the scan of an annotation.

    Args:
        annotation: What was found.
        scans: All scans of the folder.
        root: The folder that was searched.
    """
    if annotation.kind in (Kind.SEG, Kind.RTSTRUCT):
        return _by_reference(annotation, scans)
    if annotation.cases:
        named = tuple(scan for scan in scans if patient_code(scan, scans, root) in annotation.cases)
        note = "" if named else "names no patient of the scans that were found"
        return Pairing(named, note)
    if annotation.box is not None:
        return _by_grid(annotation, scans, root)
    return _by_name(annotation, scans, root, "cannot be told apart by folder and name")


def patient_code(scan: FoundScan, scans: Sequence[FoundScan], root: Path) -> str:
    """Return the Patient ID, else a name that no other scan without one has."""
    if scan.patient:
        return scan.patient
    unnamed = [other for other in scans if not other.patient]
    stem = plain_name(scan.path)
    if stem and sum(plain_name(other.path) == stem for other in unnamed) == 1:
        return telling_name(scan.path).replace(" ", "-")
    home = scan.path.parent if scan.path.is_file() else scan.path
    return "-".join(home.relative_to(root).parts) or home.name


def _by_reference(annotation: FoundAnnotation, scans: Sequence[FoundScan]) -> Pairing:
    try:
        reference = referenced_series(annotation.path)
    except BodycompError as error:
        return Pairing(note=f"cannot be read: {error.message}")
    if reference is None:
        return Pairing(note="names no series")
    if reference.series_uid:
        named = tuple(scan for scan in scans if scan.series == reference.series_uid)
        found = f"is there {len(named)} times" if named else "is not there"
        return Pairing(named) if len(named) == 1 else Pairing(note=f"names a series that {found}")
    frame = reference.frame_of_reference_uid
    framed = tuple(scan for scan in scans if frame and scan.frame == frame)
    if len(framed) == 1:
        return Pairing(framed, "paired by frame of reference, as it names no series")
    return Pairing(note=f"names no series; {len(framed)} scans have its frame of reference")


def _by_grid(annotation: FoundAnnotation, scans: Sequence[FoundScan], root: Path) -> Pairing:
    box = annotation.box
    fitting = [scan for scan in scans if box is not None and scan.box.holds(box)]
    if not fitting:
        return Pairing(note="lies on the grid of no scan that was found")
    if len(fitting) > 1:
        return _by_name(annotation, fitting, root, f"lies on the grid of {len(fitting)} scans")
    other = _named(annotation, scans, root)
    if other and fitting[0] not in other:
        return Pairing(note="by its grid it belongs to another scan than by its name")
    return Pairing((fitting[0],))


def _by_name(
    annotation: FoundAnnotation, scans: Sequence[FoundScan], root: Path, otherwise: str
) -> Pairing:
    """Decide by name, and by folder where names leave several or none."""
    named = _named(annotation, scans, root)
    left = _nearest(annotation, named or scans, root)
    if len(left) == 1:
        return Pairing((left[0],))
    return Pairing(note=otherwise)


def _named(annotation: FoundAnnotation, scans: Sequence[FoundScan], root: Path) -> list[FoundScan]:
    name = plain_name(annotation.path)
    return [scan for scan in scans if name and name in scan.names(root)]


def _nearest(
    annotation: FoundAnnotation, scans: Sequence[FoundScan], root: Path
) -> list[FoundScan]:
    """Return the scans of the first folder above the annotation that holds any of them."""
    for folder in annotation.path.parents:
        inside = [scan for scan in scans if scan.path.is_relative_to(folder)]
        if inside or folder == root:
            return inside
    return []
