"""One analysed series -> SEG, SR and overlay files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from bodycomp.dicom.measured import MeasuredSeries, save_object
from bodycomp.dicom.secondary_capture import overlay_of
from bodycomp.dicom.seg_write import segmentation_of
from bodycomp.dicom.sr_write import report_of
from bodycomp.errors import SeriesError
from bodycomp.report.overlay import blended
from bodycomp.study.options import DicomObject

_LOG: Final = logging.getLogger(__name__)
SEG_NAME: Final = "segmentation.dcm"
LABELMAP_NAME: Final = "labelmap.dcm"
SR_NAME: Final = "measurements.dcm"


def overlay_name(level: str) -> str:
    """Return the file name of a level's overlay.

    >>> overlay_name("L3")
    'overlay-L3.dcm'
    """
    return f"overlay-{level}.dcm"


def write_dicom_objects(
    folder: Path, measured: MeasuredSeries, kinds: frozenset[DicomObject]
) -> tuple[str, ...]:
    """Write the objects that were asked for; a report brings the segmentation that it names.

    A series in which no level was found has none of them.

    Returns:
        Notes on objects that could not be made of this series; nothing identifying.

    Raises:
        OSError: A file cannot be written.
    """
    if not (kinds and measured.slice_indices):
        return ()
    notes = []
    try:
        for name, make in _recipes(measured, kinds):
            save_object(make(), folder / name)
    except SeriesError as error:
        notes.append(f"DICOM objects are missing: {error.message}")
    except (OSError, MemoryError):
        raise
    except Exception as error:  # headers that highdicom cannot take; it raises many types
        _LOG.debug("unexpected fault", exc_info=True)
        notes.append(f"DICOM objects are missing: {type(error).__name__}; see --debug")
    for note in notes:
        _LOG.warning("%s", note)
    return tuple(notes)


def _recipes(
    measured: MeasuredSeries, kinds: frozenset[DicomObject]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield file names and what makes their content; the report comes after its segmentation."""
    if DicomObject.OVERLAY in kinds:
        for level in measured.result.levels:
            if level.choice.slice_index is not None:
                index = level.choice.slice_index
                tissues = measured.result.tissues
                picture = blended(measured.volume.hu[index], level.masks[index], tissues)
                yield (
                    overlay_name(level.choice.level),
                    partial(overlay_of, measured, index, picture),
                )
    seg = None
    if measured.segments and kinds & {DicomObject.SEG, DicomObject.SR}:
        seg = segmentation_of(measured, "seg")
        yield SEG_NAME, lambda: seg
    if DicomObject.SR in kinds:
        yield SR_NAME, partial(report_of, measured, seg)
    if DicomObject.LABELMAP in kinds and measured.segments:
        yield LABELMAP_NAME, partial(segmentation_of, measured, "labelmap")
