"""Masks of slices against their truth: rows of one tissue each, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bodycomp.agreement.masks import MaskAgreement
from bodycomp.agreement.statistics import MEAN, MEDIAN, Statistic
from bodycomp.evaluation.estimates import BootstrapOptions
from bodycomp.evaluation.metrics import Better, Metric, compare, summarise
from bodycomp.evaluation.slice_records import SliceRecord
from bodycomp.preparation.splits import pseudonyms
from bodycomp.results import Quantity


@dataclass(frozen=True, slots=True)
class OutlineRow:
    """One tissue on one slice.

    Attributes:
        case: The slice.
        source: Split, or number or name of the mask file.
        index: Sample of the split, or slice of the volume.
        patient: None where nobody says.
        tissue: Key, or ``all`` for the union of all tissues.
        agreement: Of both masks.
    """

    case: str
    source: str
    index: int
    patient: str | None
    tissue: str
    agreement: MaskAgreement


def outline_rows(
    records: Iterable[SliceRecord], done: Callable[[int], None], *, identifiers: bool
) -> list[OutlineRow]:
    """Return the rows of all records; patients and files are numbered unless asked for.

    Args:
        records: Compared while they are asked for.
        done: Called with 1 after every slice.
        identifiers: Keep the names of patients and of mask files.
    """
    kept = []
    for record in records:
        kept.append(record)
        done(1)
    patients = pseudonyms({r.patient for r in kept if r.patient is not None}, seed=0)
    sources = {
        source: patients.get(source, source) for source in dict.fromkeys(r.source for r in kept)
    }
    return [
        OutlineRow(
            case=f"{source}/{record.index}",
            source=source,
            index=record.index,
            patient=patient,
            tissue=tissue,
            agreement=agreement,
        )
        for record in kept
        for source in (record.source if identifiers else sources[record.source],)
        for patient in (record.patient if identifiers else patients.get(record.patient or ""),)
        for tissue, agreement in record.agreement.items()
    ]


Value = Callable[[OutlineRow], Quantity]


def _metric(
    key: str, unit: str, quantity: Value, better: Better, *, absolute: bool = False
) -> Metric[OutlineRow]:
    statistic: Statistic = MEDIAN if key.startswith("median") else MEAN

    def values(row: OutlineRow) -> tuple[float] | None:
        value = quantity(row).value
        return None if value is None else (abs(value) if absolute else value,)

    return Metric(key, unit, statistic, values, better)


_HU: Final = "[hnsf'U]"

METRICS: Final[tuple[Metric[OutlineRow], ...]] = (
    _metric("mean_dice", "1", lambda r: r.agreement.dice, Better.LARGER),
    _metric("median_dice", "1", lambda r: r.agreement.dice, Better.LARGER),
    _metric("mean_jaccard", "1", lambda r: r.agreement.jaccard, Better.LARGER),
    _metric("mean_hausdorff95_mm", "mm", lambda r: r.agreement.hausdorff95_mm, Better.SMALLER),
    _metric(
        "mean_surface_distance_mm",
        "mm",
        lambda r: r.agreement.surface_distance_mm,
        Better.SMALLER,
    ),
    _metric("mean_area_error_cm2", "cm2", lambda r: r.agreement.area_error_cm2, Better.NEITHER),
    _metric(
        "mean_absolute_area_error_cm2",
        "cm2",
        lambda r: r.agreement.area_error_cm2,
        Better.SMALLER,
        absolute=True,
    ),
    _metric(
        "mean_relative_area_error", "1", lambda r: r.agreement.relative_area_error, Better.NEITHER
    ),
    _metric(
        "mean_absolute_relative_area_error",
        "1",
        lambda r: r.agreement.relative_area_error,
        Better.SMALLER,
        absolute=True,
    ),
    _metric("mean_hu_error", _HU, lambda r: r.agreement.mean_hu_error, Better.NEITHER),
    _metric(
        "mean_absolute_hu_error",
        _HU,
        lambda r: r.agreement.mean_hu_error,
        Better.SMALLER,
        absolute=True,
    ),
)


def segmentation_section(rows: Sequence[OutlineRow], options: BootstrapOptions) -> dict[str, Any]:
    """Return counts, and tissue -> metrics and why slices are missing from them."""
    tissues: dict[str, Any] = {}
    for tissue, own in _by_tissue(rows).items():
        tissues[tissue] = {
            "metrics": summarise(METRICS, own, options),
            "undefined": undefined(own),
        }
    known = {row.patient for row in rows if row.patient is not None}
    return {
        "counts": {"slices": len({row.case for row in rows}), "patients": len(known) or None},
        "tissues": tissues,
    }


def undefined(rows: Sequence[OutlineRow]) -> dict[str, dict[str, int]]:
    """Return quantity -> reason -> slices on which it is undefined for that reason."""
    told: dict[str, dict[str, int]] = {}
    for row in rows:
        for name in QUANTITIES:
            found: Quantity = getattr(row.agreement, name)
            if found.value is None:
                reasons = told.setdefault(name, {})
                reasons[found.reason] = reasons.get(found.reason, 0) + 1
    return told


QUANTITIES: Final = MaskAgreement.__slots__
"""Names of the quantities of a ``MaskAgreement``, in its order."""


def compare_outlines(
    pairs: Sequence[tuple[OutlineRow, OutlineRow]], options: BootstrapOptions
) -> Mapping[str, Any]:
    """Return tissue -> metric -> paired difference of two models."""
    return {
        tissue: compare(METRICS, [pair for pair in pairs if pair[0].tissue == tissue], options)
        for tissue in dict.fromkeys(first.tissue for first, _ in pairs)
    }


def _by_tissue(rows: Sequence[OutlineRow]) -> dict[str, list[OutlineRow]]:
    sorted_rows: dict[str, list[OutlineRow]] = {}
    for row in rows:
        sorted_rows.setdefault(row.tissue, []).append(row)
    return sorted_rows
