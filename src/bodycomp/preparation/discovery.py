"""Draft a cases table from a folder; what is not certain stays empty and says why."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bodycomp.annotation.dicom_layers import referenced_series
from bodycomp.errors import BodycompError, InputNotFoundError, OutputError, UsageError
from bodycomp.preparation.cases import COLUMNS, joined_paths
from bodycomp.preparation.search import (
    FoundAnnotation,
    FoundScan,
    distinctive_name,
    plain_name,
    search,
)
from bodycomp.progress import Progress
from bodycomp.reading.kinds import Kind
from bodycomp.tables import write_table


@dataclass(frozen=True, slots=True)
class Draft:
    """What a search found: rows by what they hold."""

    scans: int
    with_masks: int
    with_levels: int
    unpaired: int
    noted: int


def discover(folder: Path, table: Path, progress: Progress, *, overwrite: bool = False) -> Draft:
    """Search ``folder`` and write a cases table to look through.

    An annotation that belongs to no scan, or perhaps to several, has a row of its own without a
    scan: the table cannot be used before somebody decided.

    Raises:
        InputNotFoundError: There is no such folder, or no scan in it.
        OutputError: The table is there already and ``overwrite`` is off.
        UsageError: The table is not named ``.csv``.
    """
    if table.suffix.lower() != ".csv":
        raise UsageError(f"expected a cases table named .csv, found {table.name}")
    if table.exists() and not overwrite:
        raise OutputError(
            f"the table is there already: {table}", hint="Name another one, or use --overwrite."
        )
    if not folder.is_dir():
        raise InputNotFoundError(f"expected a folder of scans, found none at {folder}")
    root = folder.absolute()
    scans, annotations = search(root, lambda done, total: progress("search", done, total))
    if not scans:
        raise InputNotFoundError(
            f"expected CT scans in {folder}, found none",
            hint="Scans are folders of DICOM images, NIfTI or NRRD files in Hounsfield units.",
        )
    rows = _rows(root, scans, annotations, table.absolute().parent)
    write_table(table, COLUMNS, rows)
    return Draft(
        scans=len(scans),
        with_masks=sum(bool(row.get("scan") and row["masks"]) for row in rows),
        with_levels=sum(bool(row.get("scan") and row["levels"]) for row in rows),
        unpaired=sum("scan" not in row for row in rows),
        noted=sum(bool(row["note"]) for row in rows),
    )


def _rows(
    root: Path, scans: Sequence[FoundScan], annotations: Sequence[FoundAnnotation], start: Path
) -> list[dict[str, str]]:
    """Return a row per scan, and one per annotation without a scan; paths begin at ``start``."""
    of_scan: dict[int, dict[str, list[FoundAnnotation]]] = {
        id(scan): {"masks": [], "levels": []} for scan in scans
    }
    notes: dict[int, list[str]] = {id(scan): list(scan.notes) for scan in scans}
    unpaired: list[dict[str, str]] = []
    for item in annotations:
        pairing = pair(item, scans, root)
        path = _relative(item.path, start)
        for scan in pairing.scans:
            of_scan[id(scan)][item.role].append(item)
            said = [note for note in (*item.notes, pairing.note) if note]
            notes[id(scan)] += [f"{path}: {note}" for note in said]
        if not pairing.scans:
            note = f"not paired: {'; '.join((*item.notes, pairing.note))}"
            cell = joined_paths([path]) if item.role == "masks" else path
            unpaired.append({"note": note, item.role: cell})
    # Patient IDs that occur in several folders right below ``root`` may be those of several people.
    homes = {(scan.patient, scan.path.relative_to(root).parts[:1]) for scan in scans}
    folders = Counter(patient for patient, _ in homes if patient)
    codes = {id(scan): patient_code(scan, scans, root) for scan in scans}
    count = Counter(codes.values())
    rows = []
    for scan in sorted(scans, key=lambda s: (s.path, s.series)):
        found = of_scan[id(scan)]
        said = [*notes[id(scan)], *_remarks(found)]
        if count[codes[id(scan)]] > 1 and any(item.cases for item in found["levels"]):
            said.append("the patient has several scans: keep levels where they were marked")
        if folders[scan.patient] > 1:
            said.append("scans of several folders have this Patient ID: is it one patient?")
        rows.append(
            {
                "patient": codes[id(scan)],
                "scan": _relative(scan.path, start),
                "series": "" if scan.alone else scan.series,
                "masks": joined_paths(_relative(a.path, start) for a in found["masks"]),
                "levels": _relative(found["levels"][0].path, start)
                if len(found["levels"]) == 1
                else "",
                "note": "; ".join(said),
            }
        )
    return rows + unpaired


def _remarks(found: dict[str, list[FoundAnnotation]]) -> list[str]:
    masks, levels = found["masks"], found["levels"]
    if not (masks or levels):
        return ["no annotation was found"]
    remarks = []
    if len(masks) > 1:
        remarks.append(f"{len(masks)} annotations of tissues: keep those that belong together")
    if len(levels) > 1:
        names = ", ".join(item.path.name for item in levels)
        remarks.append(f"{len(levels)} files of levels, choose one: {names}")
    return remarks


def _relative(path: Path, start: Path) -> str:
    return Path(os.path.relpath(path, start)).as_posix()


@dataclass(frozen=True, slots=True)
class Pairing:
    """The scans that an annotation belongs to, several for tables alone, and what to look at."""

    scans: tuple[FoundScan, ...] = ()
    note: str = ""


def pair(annotation: FoundAnnotation, scans: Sequence[FoundScan], root: Path) -> Pairing:
    """Find the scan of an annotation among all scans of the folder that was searched."""
    if annotation.kind in (Kind.SEG, Kind.RTSTRUCT):
        return _by_reference(annotation, scans)
    if annotation.cases:
        named = tuple(scan for scan in scans if patient_code(scan, scans, root) in annotation.cases)
        note = "" if named else "names no patient of the scans that were found"
        return Pairing(named, note)
    if annotation.box is not None:
        return _by_grid(annotation, scans, root)
    return _by_name(annotation, scans, root, "cannot be distinguished by folder and name")


def patient_code(scan: FoundScan, scans: Sequence[FoundScan], root: Path) -> str:
    """Return the Patient ID, else a name that no other scan without one has."""
    if scan.patient:
        return scan.patient
    unnamed = [other for other in scans if not other.patient]
    stem = plain_name(scan.path)
    if stem and sum(plain_name(other.path) == stem for other in unnamed) == 1:
        return distinctive_name(scan.path).replace(" ", "-")
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
