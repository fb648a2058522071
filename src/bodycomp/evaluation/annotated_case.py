"""One row of a cases table, read: the scan, and what people say of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bodycomp.anatomy import ABDOMINAL_TISSUES, Tissue
from bodycomp.annotation.levels import read_levels
from bodycomp.annotation.masks import MaskVolume, read_masks
from bodycomp.data.manifest import pixel_digest
from bodycomp.errors import CasesError, SeriesError
from bodycomp.evaluation.level_rows import LevelTruth
from bodycomp.evaluation.mask_files import OWN_LABELS
from bodycomp.evaluation.options import AnnotationFormat
from bodycomp.preparation.cases import Case
from bodycomp.reading.read_scan import read_scan
from bodycomp.scan import Scan

MASK_REACH_MM: Final = 5.0
"""A mask farther from a level than this is not taken for the mask of the level."""


@dataclass(frozen=True, eq=False)
class AnnotatedCase:
    """A scan and its truth; ``masks`` were labeled for ``tissues``, and None if there are none."""

    scan: Scan
    levels: LevelTruth
    masks: MaskVolume | None
    tissues: tuple[Tissue, ...]

    def digest(self) -> str:
        """Return a digest of the pixels, the masks and the levels."""
        digest = hashlib.sha256(pixel_digest(self.scan.volume.hu).encode())
        if self.masks is not None:
            digest.update(pixel_digest(self.masks.labels).encode())
        for level, z_mm in sorted({**self.levels.outside_z_mm, **self.levels.z_mm}.items()):
            digest.update(f"{level}={z_mm:.3f}".encode())
        return digest.hexdigest()

    def mask_slice(self, level: str) -> int | None:
        """Return the annotated slice nearest to a level, None if there is none within 5 mm."""
        if self.masks is None or level not in self.levels.z_mm:
            return None
        annotated = np.flatnonzero(self.masks.annotated)
        if not annotated.size:
            return None
        away_mm = np.abs(self.scan.volume.slice_z_mm[annotated] - self.levels.z_mm[level])
        nearest = int(np.argmin(away_mm))
        reach_mm = max(MASK_REACH_MM, self.scan.volume.slice_spacing_mm or 0.0)
        return int(annotated[nearest]) if away_mm[nearest] <= reach_mm else None


def read_case(case: Case, form: AnnotationFormat) -> AnnotatedCase:
    """Read a case; BodycompError if it cannot be, or has neither a mask nor a level."""
    if not case.masks and case.levels is None:
        raise CasesError("expected masks or levels to compare with, found neither")
    scan = read_scan(case.scan, series=case.series)
    truth = LevelTruth({})
    if case.levels is not None:
        marks = read_levels(case.levels, scan, replace(form.levels, case=case.patient))
        truth = LevelTruth(marks.z_mm, marks.outside_z_mm)
        scan = scan.with_notes(marks.notes)
    masks = None
    if case.masks:
        masks = read_masks(case.masks, scan, form.mapping or OWN_LABELS)
        scan = scan.with_notes(masks.notes)
        if form.mapping is None:
            _check_named(masks)
    mapped = set((form.mapping or OWN_LABELS).labels.values())
    tissues = tuple(
        tissue
        for tissue in ABDOMINAL_TISSUES
        if tissue.label in mapped and (not case.labeled or tissue.key in case.labeled)
    )
    return AnnotatedCase(scan, truth, masks, tissues)


def _check_named(masks: MaskVolume) -> None:
    """Check that no name is passed over, the number beside which is no more than an order.

    Raises:
        SeriesError: A label has a name that is no tissue's.
    """
    for structure in masks.structures:
        if structure.name and OWN_LABELS.by_name(structure) is None:
            raise SeriesError(
                f"expected what the labels of the masks mean, found the label {structure}",
                hint=f"Say it with --labels, for instance '{structure.name}=muscle'.",
            )


def case_facts(case: Case, scan: Scan, names: Sequence[str]) -> Mapping[str, str]:
    """Return name -> what the table, else the scan says; empty where neither does."""
    return {
        name: case.further.get(name, "") if name in case.further else scan.facts.get(name, "")
        for name in names
    }
