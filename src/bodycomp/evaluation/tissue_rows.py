"""One tissue at one level of a case: drawn, outlined at the true level, measured at the found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.masks import MaskAgreement, compare_masks
from bodycomp.analysis.measurement import measure_tissues
from bodycomp.analysis.pipeline import Segmenter
from bodycomp.anatomy import NOT_ANNOTATED_LABEL, Tissue
from bodycomp.evaluation.annotated_case import AnnotatedCase
from bodycomp.evaluation.level_rows import SeriesNames
from bodycomp.results import LevelResult, Measurement


@dataclass(frozen=True, slots=True)
class TissueRow:
    """A tissue that was drawn at a level.

    The total error is the sum of the outline's part, at the true level, and of the slice's part,
    which is what going from the true level to the found one changes.

    Attributes:
        case, patient, level, tissue: Whose it is.
        true: As drawn at the true level; None where a part of the slice was not annotated.
        outlined: By the network on the same slice.
        measured: By the analysis where it found the level; None if it did not.
        outline: How well the network's outline at the true level agrees with the drawn one.
    """

    case: str
    patient: str
    level: str
    tissue: str
    true: Measurement | None = field(repr=False)
    outlined: Measurement = field(repr=False)
    measured: Measurement | None = field(repr=False)
    outline: MaskAgreement = field(repr=False)

    @property
    def outline_error_cm2(self) -> float | None:
        """Outlined minus true area on the slice at the true level; None without the latter."""
        return None if self.true is None else self.outlined.area_cm2 - self.true.area_cm2

    @property
    def slice_error_cm2(self) -> float | None:
        """Area at the found level minus outlined area at the true one; None if not found."""
        return None if self.measured is None else self.measured.area_cm2 - self.outlined.area_cm2

    @property
    def total_error_cm2(self) -> float | None:
        """Area at the found level minus true area at the true level; None without one of them."""
        if self.measured is None or self.true is None:
            return None
        return self.measured.area_cm2 - self.true.area_cm2


def tissue_rows(
    series: SeriesNames,
    case: AnnotatedCase,
    level: LevelResult,
    segmenter: Segmenter,
    masks: Mapping[int, NDArray[np.uint8]],
) -> list[TissueRow]:
    """Return the rows of one level; none where no mask was drawn at it.

    Args:
        series: Names for the output.
        case: Scan and truth.
        level: What the analysis found.
        segmenter: The network.
        masks: Slice index -> labels by the network, at least of the slice at the true level.
    """
    index = case.mask_slice(level.choice.level)
    if case.masks is None or index is None:
        return []
    volume, drawn = case.scan.volume, case.masks.labels[index]
    tissues = compared_tissues(segmenter, case)
    hu = volume.hu[index]
    is_whole = not (drawn == NOT_ANNOTATED_LABEL).any()
    true = measure_tissues(hu, drawn, tissues, volume.pixel_area_mm2) if is_whole else {}
    outlined = measure_tissues(hu, masks[index], tissues, volume.pixel_area_mm2)
    outlines = compare_masks(masks[index], drawn, tissues, volume.pixel_spacing_mm, hu)
    return [
        TissueRow(
            case=series.case,
            patient=series.patient,
            level=level.choice.level,
            tissue=tissue.key,
            true=true.get(tissue.key),
            outlined=outlined[tissue.key],
            measured=level.measurements.get(tissue.key),
            outline=outlines[tissue.key],
        )
        for tissue in tissues
    ]


def compared_tissues(segmenter: Segmenter, case: AnnotatedCase) -> tuple[Tissue, ...]:
    """Return the tissues that the network labels and that could have been drawn."""
    return tuple(tissue for tissue in segmenter.tissues if tissue in case.tissues)
