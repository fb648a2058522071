"""One tissue at a level of a case: its truth, and what the network and an analysis make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bodycomp.agreement.masks import MaskAgreement, compare_masks
from bodycomp.analysis.measurement import measure_tissues
from bodycomp.analysis.pipeline import Segmenter
from bodycomp.anatomy import NOT_ANNOTATED_LABEL
from bodycomp.evaluation.annotated_case import AnnotatedCase
from bodycomp.evaluation.level_rows import SeriesNames
from bodycomp.report.result_rows import Cell
from bodycomp.results import LevelResult, Measurement


@dataclass(frozen=True, slots=True)
class TissueRow:
    """A tissue that was annotated at a level, a row of ``end_to_end.csv``.

    The total error is the sum of the segmentation's error, at the true level, and of the slice's,
    which is what going from the true level to the found one changes.

    Attributes:
        case, patient, level, tissue: Whose it is.
        true: As annotated at the true level; None where a part of the slice was not.
        segmented: By the network on the same slice.
        measured: By the analysis where it found the level; None if it did not.
        agreement: Of the network's mask at the true level with the annotated one.
    """

    case: str
    patient: str
    level: str
    tissue: str
    true: Measurement | None = field(repr=False)
    segmented: Measurement = field(repr=False)
    measured: Measurement | None = field(repr=False)
    agreement: MaskAgreement = field(repr=False)

    @property
    def segmentation_error_cm2(self) -> float | None:
        """Segmented minus true area on the slice at the true level; None without the latter."""
        return None if self.true is None else self.segmented.area_cm2 - self.true.area_cm2

    @property
    def slice_error_cm2(self) -> float | None:
        """Area at the found level minus segmented area at the true one; None if not found."""
        return None if self.measured is None else self.measured.area_cm2 - self.segmented.area_cm2

    @property
    def total_error_cm2(self) -> float | None:
        """Area at the found level minus true area at the true level; None without one of them."""
        if self.measured is None or self.true is None:
            return None
        return self.measured.area_cm2 - self.true.area_cm2

    def cells(self) -> Mapping[str, Cell]:
        """Return a row of the table."""
        sides = {"true": self.true, "segmented": self.segmented, "measured": self.measured}
        return {
            "case": self.case,
            "patient": self.patient,
            "level": self.level,
            "tissue": self.tissue,
            **{f"{name}_area_cm2": None if m is None else m.area_cm2 for name, m in sides.items()},
            "segmentation_error_cm2": self.segmentation_error_cm2,
            "slice_error_cm2": self.slice_error_cm2,
            "total_error_cm2": self.total_error_cm2,
            **{f"{name}_mean_hu": None if m is None else m.mean_hu for name, m in sides.items()},
            "dice": self.agreement.dice.value,
            "hausdorff95_mm": self.agreement.hausdorff95_mm.value,
            "surface_distance_mm": self.agreement.surface_distance_mm.value,
        }


def tissue_rows(
    series: SeriesNames,
    case: AnnotatedCase,
    level: LevelResult,
    segmenter: Segmenter,
    masks: Mapping[int, NDArray[np.uint8]],
) -> list[TissueRow]:
    """Return the rows of one level; none where there is no mask of it.

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
    volume, truth = case.scan.volume, case.masks.labels[index]
    tissues = tuple(tissue for tissue in segmenter.tissues if tissue in case.tissues)
    hu = volume.hu[index]
    is_whole = not (truth == NOT_ANNOTATED_LABEL).any()
    true = measure_tissues(hu, truth, tissues, volume.pixel_area_mm2) if is_whole else {}
    segmented = measure_tissues(hu, masks[index], tissues, volume.pixel_area_mm2)
    agreements = compare_masks(masks[index], truth, tissues, volume.pixel_spacing_mm, hu)
    return [
        TissueRow(
            case=series.case,
            patient=series.patient,
            level=level.choice.level,
            tissue=tissue.key,
            true=true.get(tissue.key),
            segmented=segmented[tissue.key],
            measured=level.measurements.get(tissue.key),
            agreement=agreements[tissue.key],
        )
        for tissue in tissues
    ]
