"""What an analysis found, as frozen values without any file format.

What could not be measured is None, with a reason beside it. Zero means zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import Tissue
from bodycomp.reference.compare import ReferenceOutcome
from bodycomp.reference.table import ReferenceTable
from bodycomp.subject import Acquisition, Subject


class LevelStatus(StrEnum):
    """Whether a level was found in a series."""

    FOUND = "found"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, eq=False)
class SliceChoice:
    """Where a level lies in a series.

    Attributes:
        level: Name of the level.
        status: Found, absent from the series, or not certain enough to measure.
        reason: Why it was not found; empty when found.
        slice_index: Index of the chosen slice in the volume, feet to head; None unless found.
        z_mm: Position of the level between slices, patient frame; None unless found.
        offset_mm: (slice,) estimated offset of every slice above the level, mm, as the network
            scored it (clipped where the score saturates).
        smoothed_offset_mm: (slice,) the same after smoothing along z.
        crossings: Number of ascending zero crossings of the smoothed curve.
        confidence: Probability, 0..1, that the level lies within 10 mm of ``z_mm``; None unless
            found.
        confidence_basis: What it rests on: held-out series of the model, or the looks of the
            curve alone; empty unless found.
        numbering_doubt: How much, 0..1, the scores speak for the next vertebra above or below; None
            unless found.
        slope_ratio: How steeply the scores rise against what the model was trained to: 1 as
            expected, 0.5 half as steep; None unless found.
        scored: (slice,) which slices the network scored; between them the offsets are
            interpolated. None if it scored all.
        members_z_mm: Where each member of an ensemble places the level, None of one that does not
            find it; empty unless found, and of a single network.
        height_mm: Of what lies between two levels, their distance, with ``z_mm`` in its middle, 0
            if it is not known; None of a single level.
    """

    level: str
    status: LevelStatus
    reason: str
    slice_index: int | None
    z_mm: float | None
    offset_mm: NDArray[np.float32]
    smoothed_offset_mm: NDArray[np.float32]
    crossings: int
    confidence: float | None = None
    confidence_basis: str = ""
    slope_ratio: float | None = None
    numbering_doubt: float | None = None
    scored: NDArray[np.bool_] | None = None
    members_z_mm: tuple[float | None, ...] = ()
    height_mm: float | None = None

    @property
    def members_spread_mm(self) -> float | None:
        """Distance between the lowest and the highest place by a member; None without two."""
        known = [z_mm for z_mm in self.members_z_mm if z_mm is not None]
        return max(known) - min(known) if len(known) > 1 else None

    def doubted(self, reason: str) -> SliceChoice:
        """Return a level that was found as one that is not certain."""
        return replace(
            self,
            status=LevelStatus.UNCERTAIN,
            reason=reason,
            slice_index=None,
            z_mm=None,
            confidence=None,
            confidence_basis="",
            slope_ratio=None,
            numbering_doubt=None,
            members_z_mm=(),
        )


@dataclass(frozen=True, slots=True)
class Measurement:
    """One tissue on one slice, or averaged over the slices of a range.

    HU statistics are None when the tissue has no pixel; ``area_cm2`` is then 0.

    Attributes:
        area_cm2: Area of the tissue.
        mean_hu, median_hu, sd_hu, iqr_hu: Statistics of its pixels' Hounsfield units; the standard
            deviation is that of the population, the IQR the 75th minus the 25th percentile.
        border_fraction: Share of the tissue's pixels that touch the edge of the field of view,
            in 0..1; None when the tissue has no pixel.
        hu_range_area_cm2: Area of those of its pixels whose HU lie in the tissue's ``hu_range``.
        hu_range_mean_hu: Mean of these pixels; None if there are none.
        volume_ml: Volume over a range of heights; None for one slice, or where the scan does not
            cover the range.
        area_low_cm2, area_high_cm2: Interval within which the network repeats the area when the
            slice is moved; None if it was not asked for.
        members_low_cm2, members_high_cm2: Smallest and largest area by a single member of an
            ensemble; None of a single network.
        area_pi90_low_cm2, area_pi90_high_cm2: Interval that holds the true area in 90 % of cases
            like those that the model's card names; None without them in the card.
    """

    area_cm2: float
    mean_hu: float | None
    median_hu: float | None
    sd_hu: float | None
    iqr_hu: float | None
    border_fraction: float | None
    hu_range_area_cm2: float | None = None
    hu_range_mean_hu: float | None = None
    volume_ml: float | None = None
    area_low_cm2: float | None = None
    area_high_cm2: float | None = None
    members_low_cm2: float | None = None
    members_high_cm2: float | None = None
    area_pi90_low_cm2: float | None = None
    area_pi90_high_cm2: float | None = None


@dataclass(frozen=True, slots=True)
class Quantity:
    """A derived value of ``bodycomp.quantities`` in its name's unit, or why there is none."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CutOffOutcome:
    """Whether a published cut-off is met, None if unknown; by which limit, or why unknown."""

    met: bool | None
    limit: float | None = None
    reason: str = ""


MODEL_CAUTION_KEY: Final = "model_caution"
"""Key of the flag with what the models' cards ask to say with every result."""


@dataclass(frozen=True, slots=True)
class QualityFlag:
    """Something about the image or the masks that makes measurements less sure.

    Attributes:
        key: Short name, as in docs/measurements.md.
        message: What was seen, with its number and unit.
        value, limit: What raised it, and from where on it is raised; None where it is a text.
        affects: Columns, or beginnings of columns, of the measurements that it touches.
    """

    key: str
    message: str
    value: float | None
    limit: float | None
    affects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person changed of a level, and what it was before.

    Attributes:
        what: ``level`` if the slice was moved, ``mask`` if the segmentation was made anew, or both.
        by: Who did it, as they call themselves.
        at: When, ISO 8601 with the offset from UTC.
        reason: Why, in the person's words; may be empty.
        slice_index_before: The slice that the networks chose; None if they found none.
        z_mm_before: Where the networks found the level; None if they did not.
        areas_before_cm2: Tissue key -> area that the networks measured; empty without any.
        mask_digest_before: Of the file of the networks' masks, 12 digits of its SHA-256; empty if
            there is none. Of a level that was moved first it is that of the masks made then.
        mask_digest: Of the file that was given, likewise; empty unless the mask was corrected.
        dice: Tissue key -> Dice coefficient between the networks' mask and the one measured now.
    """

    what: tuple[str, ...]
    by: str
    at: str
    reason: str = ""
    slice_index_before: int | None = None
    z_mm_before: float | None = None
    areas_before_cm2: Mapping[str, float] = field(default_factory=dict)
    mask_digest_before: str = ""
    mask_digest: str = ""
    dice: Mapping[str, Quantity] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class LevelResult:
    """One level of one series: where it is and what was measured there.

    Attributes:
        slice_indices: Slices that were measured, in ascending order; empty unless found.
        measurements: Tissue key -> measurement, averaged over the slices; empty unless found.
        masks: Slice index -> uint8 label mask on the source pixel grid.
        quantities, cut_offs: Key -> every one that the model's tissues allow.
        references: Values beside published values and a group's own; none unless found.
        correction: What a person changed; None if it is the networks' alone.
    """

    choice: SliceChoice
    slice_indices: tuple[int, ...] = ()
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    masks: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    cut_offs: Mapping[str, CutOffOutcome] = field(default_factory=dict)
    flags: tuple[QualityFlag, ...] = ()
    references: tuple[ReferenceOutcome, ...] = ()
    correction: Correction | None = None

    @property
    def areas_cm2(self) -> dict[str, float]:
        """Tissue key -> area; empty unless the level was found."""
        return {key: found.area_cm2 for key, found in self.measurements.items()}

    @property
    def mean_hu(self) -> dict[str, float | None]:
        """Tissue key -> mean of its HU, None without a pixel; empty unless the level was found."""
        return {key: found.mean_hu for key, found in self.measurements.items()}

    def __repr__(self) -> str:
        choice = self.choice
        if choice.slice_index is None:
            return f"{choice.level}: {choice.status.value}, {choice.reason}"
        areas = ", ".join(f"{key} {area:.1f} cm2" for key, area in self.areas_cm2.items())
        flags = "".join(f", {flag.key}" for flag in self.flags)
        return f"{choice.level}: slice {choice.slice_index}, {areas}{flags}"


@dataclass(frozen=True, eq=False, repr=False)
class SeriesResult:
    """Everything that one pair of models found in one series.

    Attributes:
        tissues: Tissues that the segmentation model labels, by ascending label.
        levels: One result per level that the slice-selection model knows, in its order.
        models: Role ("segmentation", "slice_selection") -> short digest of the weights used.
        subject: Whose height, weight, sex and age the indices, cut-offs and comparisons with
            references were made with.
        references: What values were compared with.
    """

    tissues: tuple[Tissue, ...]
    levels: tuple[LevelResult, ...]
    models: Mapping[str, str]
    subject: Subject = field(default_factory=Subject)
    acquisition: Acquisition = field(default_factory=Acquisition)
    references: tuple[ReferenceTable, ...] = ()

    def __getitem__(self, level: str) -> LevelResult:
        """Return the result of a level.

        Raises:
            KeyError: It was not looked for.
        """
        for result in self.levels:
            if result.choice.level == level:
                return result
        raise KeyError(f"{level!r} was not looked for; found {', '.join(self.level_names)}")

    @property
    def masks(self) -> dict[int, NDArray[np.uint8]]:
        """Slice index -> labels of each slice that was measured, by the first level that has it."""
        return {n: mask for level in reversed(self.levels) for n, mask in level.masks.items()}

    @property
    def level_names(self) -> tuple[str, ...]:
        """Levels that were looked for."""
        return tuple(result.choice.level for result in self.levels)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.levels))


def zero_crossings_mm(
    values: NDArray[np.float64], z_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return where a curve rises through zero, interpolated between slices.

    >>> zero_crossings_mm(np.array([-1.0, 1.0, -1.0, -3.0, 1.0]), np.arange(5) * 4.0)
    array([ 2., 15.])
    """
    below = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    share = -values[below] / (values[below + 1] - values[below])
    crossings: NDArray[np.float64] = z_mm[below] + share * np.diff(z_mm)[below]
    return crossings
