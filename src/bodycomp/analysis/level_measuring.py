"""One level's slices and masks -> its result: measurements and all that follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.derived import (
    compared_values,
    derive,
    evaluate_cut_offs,
    trabecular_quantity,
)
from bodycomp.analysis.level_slices import LevelSlices, why_no_trunk
from bodycomp.analysis.measurement import measure_tissues, slice_heights_mm, volume_ml
from bodycomp.analysis.quality_flags import (
    CONTRAST_AGENT,
    caution_flag,
    numbering_flag,
    quality_flags,
)
from bodycomp.analysis.skin_line import trunk_mask
from bodycomp.anatomy import BACKGROUND_LABEL, Tissue
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.imaging.volume import Volume
from bodycomp.reference.compare import compare_all
from bodycomp.reference.table import ReferenceTable, shipped_references
from bodycomp.results import LevelResult, LevelStatus, Measurement, SliceChoice
from bodycomp.scan import Scan


@dataclass(frozen=True)
class LevelMeasurer:
    """Measures levels of one scan, averaged over slices within ``range_mm``; 0 for one slice.

    Between two levels it measures their distance, without what is labeled outside the trunk.
    Levels that a person placed ``by_hand`` are measured wherever they lie. ``caution`` is what
    the models' cards ask to say with every result, ``references`` what values are compared
    with.
    """

    scan: Scan
    tissues: tuple[Tissue, ...]
    range_mm: float
    by_hand: bool = False
    caution: str = ""
    references: tuple[ReferenceTable, ...] = field(default_factory=shipped_references)

    @property
    def volume(self) -> Volume:
        """The scan's."""
        return self.scan.volume

    def slices_of(self, choice: SliceChoice) -> tuple[int, ...]:
        """Return the slices to measure for a level, ascending; none unless it was found."""
        if choice.status is not LevelStatus.FOUND or choice.z_mm is None:
            return ()
        if choice.slice_index is None:
            return ()
        away_mm = np.abs(self.volume.slice_z_mm - choice.z_mm)
        within = np.flatnonzero(away_mm <= self._range_mm(choice) / 2)
        return tuple(sorted({choice.slice_index, *within.tolist()}))

    def measure(self, choice: SliceChoice, masks: Mapping[int, NDArray[np.uint8]]) -> LevelResult:
        """Return what the masks of a level's slices give.

        No measurements, and an uncertain level, where they show no trunk.
        """
        indices = self.slices_of(choice)
        if not indices or choice.slice_index is None:
            return LevelResult(choice)
        own = {index: masks[index] for index in indices}
        if choice.height_mm is not None:
            own = {index: self._without_arms(index, mask) for index, mask in own.items()}
        hu, labels = self.volume.hu[list(indices)], np.stack(list(own.values()))
        slices = LevelSlices(
            choice.level,
            hu,
            labels,
            indices.index(choice.slice_index),
            self.volume.pixel_spacing_mm,
            self.tissues,
            OrientationTransform.from_orientation(self.volume.orientation),
        )
        reason = "" if self.by_hand else why_no_trunk(slices)
        if reason:
            return LevelResult(choice.doubted(reason))
        measured = measure_tissues(hu, labels, self.tissues, self.volume.pixel_area_mm2)
        measured = self._with_volumes(measured, labels, indices, choice)
        subject = self.scan.subject
        bone = trabecular_quantity(slices, self.volume, choice.slice_index)
        quantities = derive(slices, measured, subject, bone)
        flags = quality_flags(self.tissues, measured, quantities, self.scan.acquisition)
        return LevelResult(
            choice,
            indices,
            measured,
            own,
            quantities=quantities,
            cut_offs=evaluate_cut_offs(choice.level, measured, quantities, subject),
            flags=(
                *flags,
                *caution_flag(self.caution),
                *(() if self.by_hand else numbering_flag(choice)),
            ),
            references=compare_all(
                self.references,
                choice.level,
                compared_values(measured, quantities),
                subject,
                has_agent=any(flag.key == CONTRAST_AGENT.key for flag in flags),
            ),
        )

    def _range_mm(self, choice: SliceChoice) -> float:
        return self.range_mm if choice.height_mm is None else choice.height_mm

    def _without_arms(self, index: int, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        trunk = trunk_mask(self.volume.hu[index], mask, self.volume.pixel_spacing_mm)
        return np.where(trunk, mask, np.uint8(BACKGROUND_LABEL))

    def _with_volumes(
        self,
        measured: dict[str, Measurement],
        labels: NDArray[np.uint8],
        indices: tuple[int, ...],
        choice: SliceChoice,
    ) -> dict[str, Measurement]:
        """Return the measurements with volumes over the range, if there is one and it is seen."""
        range_mm = self._range_mm(choice)
        if range_mm <= 0 or choice.z_mm is None:
            return measured
        low_mm, high_mm = choice.z_mm - range_mm / 2, choice.z_mm + range_mm / 2
        heights_mm = slice_heights_mm(self.volume.slice_z_mm, indices, low_mm, high_mm)
        if heights_mm is None:
            return measured
        heights_mm = heights_mm * self.volume.depth_per_z  # areas times distances along the normal
        cm2 = self.volume.pixel_area_mm2 / 100
        return {
            tissue.key: replace(
                measured[tissue.key],
                volume_ml=volume_ml(tissue.of(labels).sum(axis=(1, 2)) * cm2, heights_mm),
            )
            for tissue in self.tissues
        }
