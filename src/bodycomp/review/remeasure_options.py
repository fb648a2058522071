"""What is corrected by hand, outside a review page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bodycomp.errors import UsageError
from bodycomp.review.correction_options import CorrectionOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class RemeasureOptions:
    """What is corrected.

    Attributes:
        scans: The run, the scans and, where no mask is given, the models.
        series: Pseudonym of the series.
        by: Who corrected; it is written into files.
        reason: Why, in their words.
        mask: The corrected mask, in any format of ``annotation``; None if a level is moved alone.
        labels: What its labels mean, as ``LabelMapping.parse`` has it; empty for those that
            ``analyze`` writes.
        level: The level; empty for all that the mask changes, or the only one there is.
        slice_index, z_mm: Where the level lies, one of both; None if it stays.

    Raises:
        UsageError: Nothing is corrected, nobody corrects, or the place is given twice.
    """

    scans: CorrectionOptions
    series: str
    by: str
    reason: str = ""
    mask: Path | None = None
    labels: tuple[str, ...] = ()
    level: str = ""
    slice_index: int | None = None
    z_mm: float | None = None

    def __post_init__(self) -> None:
        if not self.by.strip():
            raise UsageError("expected who corrected, found nothing", hint="Give --by INITIALS.")
        if self.slice_index is not None and self.z_mm is not None:
            raise UsageError("expected one of --slice and --z-mm, found both")
        if self.mask is None and not self.is_moved:
            raise UsageError(
                "expected a corrected mask or a place of the level, found neither",
                hint="Give --mask FILE, or --level L3 with --slice N or --z-mm Z.",
            )
        if self.labels and self.mask is None:
            raise UsageError("expected a mask whose labels are said, found none")

    @property
    def is_moved(self) -> bool:
        """Whether a place of the level is given."""
        return self.slice_index is not None or self.z_mm is not None
