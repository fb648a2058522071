"""TAG files of Slice-O-Matic beside the DICOM slices that they were drawn on, at any depth.

    A01.dcm A01.tag           or A01.dcm.tag, or A01.tag beside a file A01 without suffix

Each slice is a case. Files may be named after patients: nothing of their names is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bodycomp.annotation.labels import LabelMapping
from bodycomp.dicom.file_header import read_headers
from bodycomp.errors import CasesError, InputNotFoundError
from bodycomp.preparation.options import MaskTask
from bodycomp.preparation.source_record import DataSource, SourceCase
from bodycomp.preparation.sources.found import FoundCase, FoundSet, labeled_by, patients_of_cases
from bodycomp.preparation.sources.options import TagOptions
from bodycomp.preparation.sources.tree import SourceFile, SourceTree
from bodycomp.tag import TAG_SUFFIX

ALBERTA: Final = ("1=muscle", "2=ignore", "5=visceral_fat", "7=subcutaneous_fat")
"""The Alberta protocol, which most users of Slice-O-Matic follow; 2 is intermuscular fat."""

_DICOM_SUFFIX: Final = ".dcm"


def find_tag(tree: SourceTree, options: TagOptions, work: Path) -> FoundSet:
    """Return a case for each TAG file.

    Raises:
        InputNotFoundError: There is no TAG file.
        CasesError: The table of patients does not fit the files.
    """
    tags = [file for file in tree.files if file.key.endswith(TAG_SUFFIX)]
    if not tags:
        raise InputNotFoundError(
            f"expected TAG files such as A01.tag beside A01.dcm in {tree.root}, found none"
        )
    said = LabelMapping.parse(options.labels).labels
    mapping = LabelMapping({**LabelMapping.parse(ALBERTA).labels, **said})
    patients = patients_of_cases(options.patients)
    unknown = set(patients) - {_name(tag) for tag in tags}
    if unknown:
        raise CasesError(
            f"patients: expected cases among the TAG files, found {len(unknown)} others",
            hint="Cases are called as the slices' files are, without .dcm and .tag.",
        )
    folders, cases = tree.folders(), []
    for number, tag in enumerate(tags, start=1):
        image = _image(tag, folders[tag.path.parent])
        (path,) = tree.local([image], work) if image else (None,)
        patient = patients.get(_name(tag)) or _patient_id(path) or _name(tag)
        known = SourceCase(f"case {number}", patient)
        case = FoundCase(known, "", image, (tag,), (), labeled_by(mapping))
        cases.append(case if image else case.without("no DICOM slice of its name lies beside it"))
    source = DataSource(
        name="TAG files of Slice-O-Matic",
        notes=(f"Labels: {' '.join((*ALBERTA, *options.labels))}.",),
        is_public=False,
    )
    return FoundSet(source, tuple(cases), MaskTask(mapping))


def _name(tag: SourceFile) -> str:
    """Return what a case is called in the table of patients."""
    name = tag.path.name[: -len(TAG_SUFFIX)]
    has_suffix = name.casefold().endswith(_DICOM_SUFFIX)
    return name[: -len(_DICOM_SUFFIX)] if has_suffix else name


def _image(tag: SourceFile, beside: Mapping[str, SourceFile]) -> SourceFile | None:
    name = tag.key[: -len(TAG_SUFFIX)]
    return beside.get(name) or beside.get(name + _DICOM_SUFFIX)


def _patient_id(path: Path | None) -> str:
    headers = read_headers(path) if path else ()
    return headers[0].patient_id.strip() if headers else ""
