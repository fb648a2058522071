"""Which file of masks belongs to which truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.annotation.kinds import Kind, kind_of, structure_name
from bodycomp.errors import InputNotFoundError, UsageError

_LISTED: Final = 5
_FILES: Final = frozenset({Kind.NIFTI, Kind.NRRD, Kind.SEG, Kind.RTSTRUCT})


@dataclass(frozen=True, slots=True)
class MaskPair:
    """Masks that were found, their truth, and the scan if one was given.

    Attributes:
        name: Of the case: the truth's file name without its suffix.
        predicted, truth: Files.
        scan: Volume file or folder of DICOM images, or None.
    """

    name: str
    predicted: Path
    truth: Path
    scan: Path | None = None


def pair_masks(predicted: Path, truth: Path, scan: Path | None = None) -> tuple[MaskPair, ...]:
    """Return two files as one pair, or the files of two folders paired by name.

    Suffixes do not count: ``case7.nii.gz`` belongs to ``case7.nrrd``. In a folder of scans a case's
    scan is the file or folder of its name.

    Raises:
        InputNotFoundError: Nothing is there.
        UsageError: A file and a folder; a file without a partner; two files of one name.
    """
    for path in (predicted, truth, *([scan] if scan else [])):
        if not path.exists():
            raise InputNotFoundError(f"expected a file or folder, found nothing at {path}")
    if predicted.is_dir() != truth.is_dir():
        raise UsageError(
            f"expected two files or two folders, found {predicted.name} and {truth.name}",
            hint="Give the masks of one scan as one label map.",
        )
    if truth.is_file():
        return (MaskPair(structure_name(truth), predicted, truth, scan),)
    found, true = _by_name(predicted), _by_name(truth)
    _check_partners(found, true, predicted, truth)
    scans = _by_name(scan, folders=True) if scan else {}
    if scan:
        _check_scans(true, scans, scan)
    return tuple(MaskPair(name, found[name], true[name], scans.get(name)) for name in sorted(true))


def _by_name(folder: Path, *, folders: bool = False) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not (folders if path.is_dir() else _is_read(path)):
            continue
        name = path.name if path.is_dir() else structure_name(path)
        if name in paths:
            raise UsageError(
                f"{folder}: expected one file for each case, found {paths[name].name} and "
                f"{path.name}",
                hint="Remove one of them.",
            )
        paths[name] = path
    return paths


def _is_read(path: Path) -> bool:
    """Whether a file holds masks or a scan; others, such as notes, stand by."""
    return path.suffix == ".npy" or kind_of(path) in _FILES


def _check_partners(
    found: Mapping[str, Path], true: Mapping[str, Path], predicted: Path, truth: Path
) -> None:
    if not true:
        raise InputNotFoundError(f"expected files with masks in {truth}, found none")
    alone = [
        f"{side[name].name} only in {folder}"
        for side, folder in ((found, predicted), (true, truth))
        for name in side
        if name not in found or name not in true
    ]
    if alone:
        raise UsageError(
            f"expected files of the same names in both folders, found {_some(alone)}",
            hint="Names are compared without .nii, .nii.gz, .nrrd, .seg.nrrd, .npy or .dcm.",
        )


def _check_scans(true: Mapping[str, Path], scans: Mapping[str, Path], folder: Path) -> None:
    missing = [name for name in true if name not in scans]
    if missing:
        raise InputNotFoundError(
            f"expected a scan in {folder} for each truth, found none for {_some(missing)}",
            hint="A scan has the name of its case, as a volume file or a folder of DICOM images.",
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
