"""One analysed series -> its folder of results.json, previews, masks and DICOM objects."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bodycomp.dicom.derived.identity import Identity, KeptIdentity
from bodycomp.digests import SHORT, file_digest
from bodycomp.errors import OutputError, SeriesError
from bodycomp.imaging.volume import Volume
from bodycomp.nifti import write_nifti_labels
from bodycomp.report.case_view import CaseView, case_name, make_case_view, write_case_view
from bodycomp.report.overlay import blended
from bodycomp.report.preview import PreviewText, write_preview
from bodycomp.report.result_json import write_result_json
from bodycomp.report.result_rows import SeriesKey
from bodycomp.report.study_pdf import report_pdf
from bodycomp.report.volume_views import Reformat, coronal_and_sagittal
from bodycomp.results import SeriesResult
from bodycomp.scan import Scan
from bodycomp.storage import atomic_file
from bodycomp.study.options import DicomObject
from bodycomp.tag import TAG_SUFFIX, tag_of_slice, write_tag

if TYPE_CHECKING:
    from bodycomp.dicom.derived.measured import MeasuredSeries
    from bodycomp.fhir.study_bundle import StudyBundle

_LOG: Final = logging.getLogger(__name__)
RESULT_NAME: Final = "results.json"
LABELS_NAME: Final = "labels.nii.gz"
SEG_NAME: Final = "segmentation.dcm"
LABELMAP_NAME: Final = "labelmap.dcm"
SR_NAME: Final = "measurements.dcm"
DOCUMENT_NAME: Final = "report.dcm"
PDF_NAME: Final = "report.pdf"
TAG_FOLDER: Final = "tag"
FHIR_NAME: Final = "fhir.json"
_SOURCES: Final = (SEG_NAME, LABELMAP_NAME, SR_NAME)
"""Objects that FHIR names as where its numbers are from."""


@dataclass(frozen=True, slots=True)
class OutputChoice:
    """What to write beside measurements and masks; with previews the cases of the report, too.

    ``cards`` are those of the models, by their roles.
    """

    dicom: frozenset[DicomObject]
    identity: Identity
    previews: bool = True
    fhir: bool = False
    pdf: bool = False
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def identifiers(self) -> bool:
        """Whether tables say whom a series is of, as DICOM objects then do."""
        return isinstance(self.identity, KeptIdentity)


def write_series(
    folder: Path,
    key: SeriesKey,
    scan: Scan,
    result: SeriesResult,
    choice: OutputChoice,
    bundle: StudyBundle | None = None,
) -> Scan:
    """Write everything about one series into ``folder``, and add it to its study's bundle.

    Returns the scan with notes on masks, objects and resources that could not be written.
    """
    notes = _write_labels(folder / LABELS_NAME, scan.volume, result)
    if scan.slices and (choice.dicom or choice.fhir):
        from bodycomp.dicom.derived.measured import MeasuredSeries  # noqa: PLC0415 - highdicom takes a quarter of a second

        measured = MeasuredSeries(scan, result, choice.identity)
        notes += write_dicom_objects(folder, measured, choice.dicom)
        if bundle is not None:
            notes += _made(lambda: bundle.add(measured, folder, _SOURCES), "FHIR is missing")
    elif bundle is not None:
        notes += ("FHIR is missing: expected a scan from DICOM, which names patient and study",)
    scan = scan.with_notes(notes)
    pages = _Pages(key, scan, result)
    if choice.previews:
        _write_previews(folder, pages)
    if choice.pdf or DicomObject.PDF in choice.dicom:
        scan = scan.with_notes(_write_pdf(folder, pages, choice))
    write_result_json(folder / RESULT_NAME, key, scan, result)
    return scan


@dataclass(frozen=True)
class _Pages:
    """What is drawn of a series; views and cases are made once, and only if they are needed."""

    key: SeriesKey
    scan: Scan
    result: SeriesResult

    @cached_property
    def views(self) -> tuple[Reformat, Reformat]:
        return coronal_and_sagittal(self.scan.volume)

    @cached_property
    def cases(self) -> tuple[CaseView, ...]:
        return tuple(
            make_case_view(self.scan, self.result, level, self.key, views=self.views)
            for level in self.result.levels
        )


def _write_previews(folder: Path, pages: _Pages) -> None:
    scan, result = pages.scan, pages.result
    text = PreviewText(str(pages.key), _details(scan, result))
    path = folder / LABELS_NAME
    labels = file_digest(path, SHORT) if path.is_file() else ""
    for level, case in zip(result.levels, pages.cases, strict=True):
        case["labels"] = labels
        name = level.choice.level
        path = folder / f"preview-{name}.png"
        write_preview(path, scan.volume, result, level, text, pages.views)
        write_case_view(folder / case_name(name), case)


def _write_pdf(folder: Path, pages: _Pages, choice: OutputChoice) -> tuple[str, ...]:
    """Write the report as PDF, as a document for archives, or both; as ``write_dicom_objects``."""
    content = report_pdf(pages.cases, choice.cards)
    if choice.pdf:
        with atomic_file(folder / PDF_NAME) as temporary:
            temporary.write_bytes(content)
    if DicomObject.PDF not in choice.dicom or not pages.scan.slices:
        return ()
    from bodycomp.dicom.derived.encapsulated_pdf import encapsulated_pdf  # noqa: PLC0415 - highdicom
    from bodycomp.dicom.derived.measured import MeasuredSeries, save_object  # noqa: PLC0415

    measured = MeasuredSeries(pages.scan, pages.result, choice.identity)
    if not measured.slice_indices:
        return ()
    place = folder / DOCUMENT_NAME
    return _made(
        lambda: save_object(encapsulated_pdf(measured, content), place),
        "the report as DICOM is missing",
    )


def _write_labels(path: Path, volume: Volume, result: SeriesResult) -> tuple[str, ...]:
    """Write the masks of all levels as one label map; return why it could not be written."""
    masks = result.masks
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
    made, spacing = scan.acquisition, scan.volume.slice_spacing_mm
    parts = (
        " ".join(part for part in (made.manufacturer, made.scanner_model) if part),
        f"{made.kvp:g} kVp" if made.kvp else "",
        made.kernel,
        f"{len(scan.volume)} slices" + (f", {spacing:.4g} mm apart" if spacing else ""),
        "models " + " + ".join(digest[:8] for digest in result.models.values())
        if result.models
        else "",
    )
    return "  ·  ".join(part for part in parts if part)


def write_dicom_objects(
    folder: Path, measured: MeasuredSeries, kinds: frozenset[DicomObject]
) -> tuple[str, ...]:
    """Write the objects that were asked for; a report brings the segmentation that it names.

    A series in which no level was found has none of them. Returns notes on objects that could
    not be made, without anything identifying.

    Raises:
        OSError: A file cannot be written.
    """
    if not (kinds and measured.slice_indices):
        return ()
    if DicomObject.TAG in kinds:
        _write_tags(folder / TAG_FOLDER, measured)

    from bodycomp.dicom.derived.measured import save_object  # noqa: PLC0415 - as above

    def save() -> None:
        for name, make in _recipes(measured, kinds):
            save_object(make(), folder / name)

    return _made(save, "DICOM objects are missing")


def _made(make: Callable[[], None], missing: str) -> tuple[str, ...]:
    """Make something of a series' headers; return a note if they do not allow it.

    Raises:
        OSError: A file cannot be written.
    """
    try:
        make()
    except SeriesError as error:
        note = f"{missing}: {error.message}"
    except (OSError, MemoryError):
        raise
    except Exception as error:  # headers that a library cannot take; they raise many types
        _LOG.debug("unexpected fault", exc_info=True)
        note = f"{missing}: {type(error).__name__}; see --debug"
    else:
        return ()
    _LOG.warning("%s", note)
    return (note,)


def _write_tags(folder: Path, measured: MeasuredSeries) -> None:
    """Write a TAG file of every slice that was measured.

    They are called after the slices' files, as Slice-O-Matic expects it, if those may be told.
    """
    scan = measured.scan
    files = [file.path.name for file in scan.slices]
    is_named = isinstance(measured.identity, KeptIdentity) and len(set(files)) == len(files)
    folder.mkdir()
    for index, mask in measured.result.masks.items():
        name = files[index] if is_named else f"slice-{index:06d}"
        tag = tag_of_slice(scan.volume, index, mask, scan.acquisition.slice_thickness_mm)
        write_tag(folder / f"{name}{TAG_SUFFIX}", tag)


def _recipes(
    measured: MeasuredSeries, kinds: frozenset[DicomObject]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield file names and what makes their content; the report comes after its segmentation."""
    from bodycomp.dicom.derived.secondary_capture import overlay_of  # noqa: PLC0415 - as above
    from bodycomp.dicom.derived.seg_write import segmentation_of  # noqa: PLC0415
    from bodycomp.dicom.derived.sr_write import report_of  # noqa: PLC0415

    if DicomObject.OVERLAY in kinds:
        for level in measured.result.levels:
            if level.choice.slice_index is not None:
                index = level.choice.slice_index
                tissues = measured.result.tissues
                picture = blended(measured.volume.hu[index], level.masks[index], tissues)
                name = f"overlay-{level.choice.level}.dcm"
                yield name, partial(overlay_of, measured, index, picture)
    seg = None
    if measured.segments and kinds & {DicomObject.SEG, DicomObject.SR}:
        seg = segmentation_of(measured, "seg")
        yield SEG_NAME, lambda: seg
    if DicomObject.SR in kinds:
        yield SR_NAME, partial(report_of, measured, seg)
    if DicomObject.LABELMAP in kinds and measured.segments:
        yield LABELMAP_NAME, partial(segmentation_of, measured, "labelmap")
