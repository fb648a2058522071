"""One analysed series -> its folder of results.json, previews, masks and DICOM objects."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bodycomp.dicom.identity import Identity, KeptIdentity
from bodycomp.dicom.measured import MeasuredSeries
from bodycomp.errors import OutputError
from bodycomp.imaging.volume import Volume
from bodycomp.nifti import write_nifti_labels
from bodycomp.report.case_view import case_name, make_case_view, write_case_view
from bodycomp.report.reformat import coronal_and_sagittal
from bodycomp.report.result_json import write_result_json
from bodycomp.report.result_rows import SeriesKey
from bodycomp.results import SeriesResult
from bodycomp.scan import Scan
from bodycomp.study.dicom_objects import write_dicom_objects
from bodycomp.study.options import DicomObject

_LOG: Final = logging.getLogger(__name__)
RESULT_NAME: Final = "results.json"
LABELS_NAME: Final = "labels.nii.gz"


def preview_name(level: str) -> str:
    """Return the file name of a level's preview.

    >>> preview_name("L3")
    'preview-L3.png'
    """
    return f"preview-{level}.png"


@dataclass(frozen=True, slots=True)
class OutputChoice:
    """What to write beside measurements and masks.

    Attributes:
        dicom: DICOM objects.
        identity: Whom they name.
        previews: Write a picture per level, and its case for the report.
    """

    dicom: frozenset[DicomObject]
    identity: Identity
    previews: bool = True

    @property
    def identifiers(self) -> bool:
        """Whether tables say whom a series is of, as DICOM objects then do."""
        return isinstance(self.identity, KeptIdentity)


def write_series(
    folder: Path, key: SeriesKey, scan: Scan, result: SeriesResult, choice: OutputChoice
) -> Scan:
    """Write everything about one series into ``folder``.

    Returns:
        The scan, with notes on masks and objects that could not be written.
    """
    notes = _write_labels(folder / LABELS_NAME, scan.volume, result)
    if scan.slices:
        measured = MeasuredSeries(scan, result, choice.identity)
        notes += write_dicom_objects(folder, measured, choice.dicom)
    scan = scan.with_notes(notes)
    if choice.previews:
        _write_previews(folder, key, scan, result)
    write_result_json(folder / RESULT_NAME, key, scan, result)
    return scan


def _write_previews(folder: Path, key: SeriesKey, scan: Scan, result: SeriesResult) -> None:
    from bodycomp.report.preview import (  # noqa: PLC0415 - matplotlib takes half a second
        PreviewText,
        write_preview,
    )

    text = PreviewText(str(key), _details(scan, result))
    views = coronal_and_sagittal(scan.volume)
    for level in result.levels:
        name = level.choice.level
        write_preview(folder / preview_name(name), scan.volume, result, level, text, views)
        case = make_case_view(scan, result, level, key, views=views)
        write_case_view(folder / case_name(name), case)


def _write_labels(path: Path, volume: Volume, result: SeriesResult) -> tuple[str, ...]:
    """Write the masks of all levels as one label map on the source grid, if there are any.

    Returns:
        Why they could not be written; empty if they were.
    """
    masks = {index: mask for level in result.levels for index, mask in level.masks.items()}
    if not masks:
        return ()
    labels = np.zeros(volume.hu.shape, dtype=np.uint8)
    for index, mask in masks.items():
        labels[index] = mask
    try:
        write_nifti_labels(path, volume, labels)
    except OutputError as error:
        _LOG.warning("masks are not written: %s", error.message)
        return (f"no masks written: {error.message}",)
    return ()


def _details(scan: Scan, result: SeriesResult) -> str:
    """Return scanner and models in one line."""
    made, spacing = scan.acquisition, scan.volume.slice_spacing_mm
    parts = (
        " ".join(part for part in (made.manufacturer, made.scanner_model) if part),
        f"{made.kvp:g} kVp" if made.kvp else "",
        made.kernel,
        f"{len(scan.volume)} slices" + (f", {spacing:.4g} mm apart" if spacing else ""),
        "models " + " + ".join(digest[:8] for digest in result.models.values()),
    )
    return "  ·  ".join(part for part in parts if part)
