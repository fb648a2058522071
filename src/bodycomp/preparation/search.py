"""What a folder holds: scans and annotations, found by their headers."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from bodycomp.annotation.level_table import cases_of_table
from bodycomp.dicom.candidate import CandidateSeries
from bodycomp.dicom.series import find_series
from bodycomp.errors import ImageError
from bodycomp.imaging.grid import Grid
from bodycomp.imaging.volume import MIN_SLICES, slice_normal
from bodycomp.nifti import read_nifti_labels
from bodycomp.nrrd import read_nrrd_labels
from bodycomp.progress import StepProgress
from bodycomp.reading.kinds import Kind, is_passed_over, kind_of, structure_name, volume_header
from bodycomp.reading.read_scan import read_scan
from bodycomp.tag import TAG_SUFFIX

Role = Literal["masks", "levels"]
GENERIC: Final = frozenset(
    (
        *("ct", "image", "img", "scan", "volume", "vol", "series", "dicom", "dcm", "nii", "0000"),
        *("mask", "masks", "seg", "segmentation", "label", "labels", "labelmap"),
        *("level", "levels", "vertebrae", "markups", "mrk"),
    )
)
"""Words of file names that do not distinguish cases; ``0000`` is nnU-Net's first channel."""
_WORD: Final = re.compile(r"[\s._-]+")
_PART: Final = re.compile(r"[^\s._-]+")
_OF_LEVELS: Final = re.compile(r"vertebra|spine|level", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Box:
    """Where voxels lie: corners of the box of their centres in LPS mm, and distances, sorted."""

    low_mm: NDArray[np.float64]
    high_mm: NDArray[np.float64]
    spacing_mm: NDArray[np.float64]

    @classmethod
    def of(cls, grid: Grid) -> Box:
        """Return the box of a grid."""
        ends = np.array(grid.shape) - 1
        corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
        corners[:, :3] *= ends
        points = (grid.affine @ corners.T)[:3]
        return cls(points.min(axis=1), points.max(axis=1), np.sort(grid.spacing_mm))

    def holds(self, other: Box) -> bool:
        """Return whether another grid may be this one or a part of it."""
        close = 0.02 * self.spacing_mm
        edge = float(self.spacing_mm.max())
        return bool(
            np.all(np.abs(self.spacing_mm - other.spacing_mm) <= close)
            and np.all(other.low_mm >= self.low_mm - edge)
            and np.all(other.high_mm <= self.high_mm + edge)
        )


@dataclass(frozen=True, eq=False)
class FoundScan:
    """One CT scan: the folder of its DICOM series, or the volume file.

    ``frame`` is the frame of reference UID; ``alone`` says that no other series lies in the folder.
    ``notes`` are what the user should look at, as those of annotations.
    """

    path: Path
    box: Box
    series: str = ""
    frame: str = ""
    patient: str = ""
    alone: bool = True
    notes: tuple[str, ...] = ()

    def names(self, root: Path) -> frozenset[str]:
        """Return the words by which annotations may call this scan."""
        parts = self.path.relative_to(root).parts
        found = {plain_name(Path(part)) for part in parts} | {plain_name(Path(self.patient))}
        return frozenset(found - {""})


@dataclass(frozen=True, eq=False)
class FoundAnnotation:
    """Tissues or levels of one scan, or a table of levels of several.

    ``box`` is that of label maps; ``cases`` are whom a table of levels names.
    """

    path: Path
    role: Role
    kind: Kind
    box: Box | None = None
    cases: frozenset[str] = field(default=frozenset(), repr=False)
    notes: tuple[str, ...] = ()


def plain_name(path: Path) -> str:
    """Return what is left of a name without suffixes and words that files of all cases have.

    >>> plain_name(Path("imagesTr/Case_007_0000.nii.gz")), plain_name(Path("case-007 mask.nrrd"))
    ('case 007', 'case 007')
    """
    words = _WORD.split(structure_name(path).casefold())
    return " ".join(word for word in words if word and word not in GENERIC)


def distinctive_name(path: Path) -> str:
    """Return a name as it is spelled, between its first and its last word that distinguishes cases.

    >>> distinctive_name(Path("imagesTr/Case_007_0000.nii.gz"))
    'Case_007'
    """
    name = structure_name(path)
    distinctive = [
        match.span() for match in _PART.finditer(name) if match.group().casefold() not in GENERIC
    ]
    return name[distinctive[0][0] : distinctive[-1][1]] if distinctive else ""


def search(folder: Path, progress: StepProgress) -> tuple[list[FoundScan], list[FoundAnnotation]]:
    """Find scans and annotations at any depth; hidden files and folders are left out."""
    found = find_series([folder], min_slices=1, progress=progress)
    # Timing runs and the like are stacks of few slices beside others of their study.
    stacks = {each.study_key for each in found.candidates if len(each) >= MIN_SLICES}
    scans = _dicom_scans(
        [s for s in found.candidates if len(s) >= MIN_SLICES or s.study_key not in stacks]
    )
    images = {path.resolve() for series in found.candidates for path in series.files}
    annotations: list[FoundAnnotation] = []
    map_folders: list[tuple[Path, list[FoundAnnotation], bool]] = []
    for parent, files in _folders(folder):
        others = [path for path in files if path.resolve() not in images]
        if others and all(path.suffix.lower() == ".png" for path in files):
            annotations.append(FoundAnnotation(parent, "masks", Kind.PNG_FOLDER))
            continue
        tags = [path for path in others if path.name.lower().endswith(TAG_SUFFIX)]
        if tags:
            annotations.append(FoundAnnotation(parent, "masks", Kind.TAG_FOLDER))
        rest = (path for path in others if path not in tags)
        items = [item for item in map(_look, rest) if item is not None]
        scans += [item for item in items if isinstance(item, FoundScan)]
        annotated = [item for item in items if isinstance(item, FoundAnnotation)]
        maps = [item for item in annotated if item.box is not None]
        annotations += [item for item in annotated if item.box is None]
        map_folders.append((parent, maps, len(maps) == len(files)))
    names = frozenset(name for scan in scans for name in scan.names(folder))
    for parent, maps, alone in map_folders:
        annotations += _mask_folder(parent, maps, names) if alone else maps
    return scans, annotations


def _folders(folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(root, name) for name in sorted(names))
        files = [path for path in paths if not is_passed_over(path)]
        if files:
            yield Path(root), files


def _dicom_scans(candidates: Sequence[CandidateSeries]) -> list[FoundScan]:
    homes = [Path(os.path.commonpath([str(f.parent) for f in c.files])) for c in candidates]
    stacks = Counter(c.series_uid for c in candidates)
    scans = []
    for series, home in zip(candidates, homes, strict=True):
        notes = list(series.notes)
        if stacks[series.series_uid] > 1:
            notes.append(
                f"series of {stacks[series.series_uid]} stacks: put one into its own folder"
            )
        shared = any(other != home and other.is_relative_to(home) for other in homes)
        scans.append(
            FoundScan(
                path=home,
                box=Box.of(_grid(series)),
                series=series.series_uid,
                frame=series.frame_of_reference_uid,
                patient=series.patient_id.strip(),
                alone=homes.count(home) == 1 and not shared,
                notes=tuple(notes),
            )
        )
    return scans


def _grid(series: CandidateSeries) -> Grid:
    first, last = (np.array(series.slices[place].position_mm) for place in (0, -1))
    affine = np.eye(4)
    affine[:3, 0] = np.array(series.orientation[:3]) * series.pixel_spacing_mm[1]
    affine[:3, 1] = np.array(series.orientation[3:]) * series.pixel_spacing_mm[0]
    thickness_mm = series.acquisition.slice_thickness_mm or 1.0
    one = slice_normal(series.orientation) * thickness_mm
    affine[:3, 2] = (last - first) / (len(series) - 1) if len(series) > 1 else one
    affine[:3, 3] = first
    rows, columns = series.shape
    return Grid((columns, rows, len(series)), affine)


def _look(path: Path) -> FoundScan | FoundAnnotation | None:
    """Return what a file is, None for what is neither a scan nor an annotation."""
    kind = kind_of(path)
    if kind in (Kind.NIFTI, Kind.NRRD):
        return _look_at_volume(path, kind)
    if kind in (Kind.SEG, Kind.RTSTRUCT):
        return FoundAnnotation(path, "masks", kind)
    if kind in (Kind.MARKUPS, Kind.CENTROIDS):
        return FoundAnnotation(path, "levels", kind)
    cases = cases_of_table(path) if kind is Kind.LEVEL_TABLE else None
    return None if cases is None else FoundAnnotation(path, "levels", kind, cases=cases)


def _look_at_volume(path: Path, kind: Kind) -> FoundScan | FoundAnnotation:
    """Return a scan if the values are Hounsfield units, else a label map."""
    try:
        grid = volume_header(path)
    except ImageError as error:
        return FoundAnnotation(path, "masks", kind, notes=(f"cannot be read: {error.message}",))
    box = Box.of(grid) if grid is not None else None
    if box is not None and not path.name.lower().endswith(".seg.nrrd"):
        try:
            read_scan(path, min_slices=1)
        except ImageError as error:  # no Hounsfield units: a label map, or a scan to correct
            if not _holds_labels(path, kind):
                note = f"cannot be read: {error.message}"
                return FoundAnnotation(path, "masks", kind, notes=(note,))
        else:
            return FoundScan(path, box)
    role: Role = "levels" if _OF_LEVELS.search(path.name) else "masks"
    return FoundAnnotation(path, role, kind, box)


def _holds_labels(path: Path, kind: Kind) -> bool:
    try:
        (read_nifti_labels if kind is Kind.NIFTI else read_nrrd_labels)(path)
    except ImageError:
        return False
    return True


def _mask_folder(
    folder: Path, maps: Sequence[FoundAnnotation], scan_names: frozenset[str]
) -> list[FoundAnnotation]:
    """Take a folder of label maps that lie in one place for a folder of a mask per structure.

    Not so where files are called like scans: then each belongs to one of them.
    """
    boxes = [item.box for item in maps if item.box is not None]
    same = len(boxes) > 1 and all(boxes[0].holds(b) and b.holds(boxes[0]) for b in boxes)
    if not same or any(plain_name(item.path) in scan_names for item in maps):
        return list(maps)
    vertebrae = all(item.role == "levels" for item in maps)
    note = f"taken for one mask per structure; else name the files ({len(maps)})"
    first = replace(maps[0], path=folder, kind=Kind.MASK_FOLDER)
    return [replace(first, role="levels" if vertebrae else "masks", notes=(note,))]
