"""Changes between scans of a person -> DICOM structured report by template TID 1500.

What TID 1500 has for this: the same thing has one tracking UID in all scans, groups have a time
point (TID 1502), and what is made of several groups stands in Derived Imaging Measurements (TID
1420), inferred by reference from the measurements it was made of. DICOM has no codes for a
change, its rate, a smallest detectable change or its chance, which are of our own scheme; whether a
change is beyond what is detectable is the Level of Significance of TID 310.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    Comprehensive3DSR,
    ContainerContentItem,
    FindingSite,
    LongitudinalTemporalOffsetFromEvent,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    NumContentItem,
    RelationshipTypeValues,
    TextContentItem,
    TimePointContext,
    TrackingIdentifier,
)
from highdicom.sr import CodedConcept as SrConcept
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from bodycomp import __version__
from bodycomp.anatomy import OWN_SCHEME, CodedConcept, Tissue
from bodycomp.dicom.derived.coded_values import (
    column_code,
    level_site,
)
from bodycomp.dicom.derived.measured import code
from bodycomp.dicom.derived.sr_write import ascii_text, document_of
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.errors import SeriesError

_CHANGE: Final = CodedConcept("CHANGE", OWN_SCHEME, "Change from the earlier to the later scan")
_RATE: Final = CodedConcept("CHANGE-RATE", OWN_SCHEME, "Change per month")
_LIMIT: Final = CodedConcept("SDC95", OWN_SCHEME, "Smallest detectable change (95 %)")
_CHANCE: Final = CodedConcept("CHANGE-CHANCE", OWN_SCHEME, "Chance that the change has its sign")
_PERCENT: Final = CodedConcept("%", "UCUM", "%")
_CONTAINS: Final = RelationshipTypeValues.CONTAINS
_Key = tuple[int, str, str]
_MONTH: Final = CodedConcept("mo", "UCUM", "month")


@dataclass(frozen=True, eq=False)
class ReportedScan:
    """One scan of a person: its reports, months since the first one, level -> column -> value."""

    reports: tuple[Path, ...]
    months: float
    values: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class ReportedChange:
    """A change of a column at a level from one scan to another, by their places.

    Attributes:
        per_month, limit, chance_percent: None where there is none.
        is_beyond: Whether it is larger than the limit and the scans were alike; None if open.
    """

    level: str
    column: str
    earlier: int
    later: int
    difference: float
    per_month: float | None
    limit: float | None
    chance_percent: float | None
    is_beyond: bool | None


@quiet_pydicom()
def comparison_of(
    patient: str,
    scans: Sequence[ReportedScan],
    changes: Sequence[ReportedChange],
    comments: Mapping[tuple[int, str], Sequence[str]],
) -> Comprehensive3DSR:
    """Return the report of a person's changes, in the study of the last scan.

    Args:
        patient: Pseudonym, from which tracking UIDs are made.
        scans: In order of time.
        changes: Between them.
        comments: Place of a scan and level -> what is to be known of its comparison with others.

    Raises:
        SeriesError: A scan has no report, or reports name different people.
    """
    evidence = _evidence(scans)
    groups: list[MeasurementsAndQualitativeEvaluations] = []
    columns: list[list[_Key]] = []
    for place, scan in enumerate(scans):
        for level, values in scan.values.items():
            for tissue, own in _by_tissue(values).items():
                said = comments.get((place, level), ()) if tissue is None else ()
                groups.append(_group(patient, (place, scan.months), level, tissue, own, said))
                columns.append([(place, level, name) for name in own])
    document = document_of(groups, evidence, "comparison")
    places = _places(document, columns)
    derived = _plain(
        ContainerContentItem(
            codes.DCM.DerivedImagingMeasurements, relationship_type=_CONTAINS.value
        ),
        [item for change in changes for item in _derived(change, places)],
    )
    document.ContentSequence = DicomSequence([*document.ContentSequence, derived])
    return document


def _evidence(scans: Sequence[ReportedScan]) -> list[Dataset]:
    """Return the reports of all scans, those of the last one first: the new one joins its study."""
    if not all(scan.reports for scan in scans):
        raise SeriesError("expected the structured report of every scan, found none of some")
    found: list[Dataset] = [
        pydicom.dcmread(path, stop_before_pixels=True)
        for scan in reversed(scans)
        for path in scan.reports
    ]
    if len({str(each.get("PatientID")) for each in found}) > 1:
        raise SeriesError("expected reports of one patient, found several PatientIDs")
    return found


def _by_tissue(values: Mapping[str, float]) -> dict[Tissue | None, dict[str, float]]:
    """Return values by the tissue that they are of; None, for what has none, comes last."""
    sorted_out: dict[Tissue | None, dict[str, float]] = {}
    for column, value in values.items():
        sorted_out.setdefault(column_code(column)[0], {})[column] = value
    return {**sorted_out, None: sorted_out.pop(None, {})}


def _group(
    patient: str,
    time: tuple[int, float],
    level: str,
    tissue: Tissue | None,
    values: Mapping[str, float],
    comments: Sequence[str],
) -> MeasurementsAndQualitativeEvaluations:
    """Return what was measured of a tissue at a level in one scan (place and months)."""
    place, months = time
    title = f"{tissue.title if tissue else 'Body composition'} at {level}"
    uid = generate_uid(entropy_srcs=[patient, level, tissue.key if tissue else "level"])
    made = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=str(uid), identifier=title),
        time_point_context=TimePointContext(
            f"scan {place + 1}",
            time_point_order=place + 1,
            temporal_offset_from_event=LongitudinalTemporalOffsetFromEvent(
                round(months, 2), code(_MONTH), codes.DCM.Baseline
            ),
        ),
        finding_type=code(tissue.concept) if tissue else None,
        finding_sites=[FindingSite(code(level_site(level)))],
        algorithm_id=AlgorithmIdentification("bodycomp", __version__),
        measurements=[_measured(column, value) for column, value in values.items()] or None,
    )
    made[0].ContentSequence.extend(
        TextContentItem(codes.DCM.Comment, ascii_text(text), _CONTAINS) for text in comments
    )
    return made


def _measured(column: str, value: float) -> Measurement:
    _, name, unit = column_code(column)
    return Measurement(
        name=SrConcept.from_code(code(name)),
        value=value,
        unit=SrConcept.from_code(code(unit)),
        derivation=codes.SCT.Mean if name.meaning == "Attenuation Coefficient" else None,
    )


def _places(document: Dataset, columns: Sequence[Sequence[_Key]]) -> dict[_Key, list[int]]:
    """Return where each measurement stands in the tree, as Referenced Content Item Identifier."""
    places: dict[_Key, list[int]] = {}
    for at, part in enumerate(document.ContentSequence, start=1):
        if part.ConceptNameCodeSequence[0].CodeValue != codes.DCM.ImagingMeasurements.value:
            continue
        for group_at, (group, keys) in enumerate(
            zip(part.ContentSequence, columns, strict=True), 1
        ):
            numbers = [
                n
                for n, item in enumerate(group.ContentSequence, start=1)
                if item.ValueType == "NUM" and item.RelationshipType == "CONTAINS"
            ]
            places |= {key: [1, at, group_at, n] for key, n in zip(keys, numbers, strict=True)}
    return places


def _derived(change: ReportedChange, places: Mapping[_Key, list[int]]) -> list[Dataset]:
    """Return the items of one change, each inferred from both of its measurements."""
    unit = column_code(change.column)[2]
    monthly = CodedConcept(f"{unit.value}/mo", "UCUM", f"{unit.value}/mo")
    both = [places[place, change.level, change.column] for place in (change.later, change.earlier)]
    values = (
        (_CHANGE, change.difference, unit),
        (_RATE, change.per_month, monthly),
        (_LIMIT, change.limit, unit),
        (_CHANCE, change.chance_percent, _PERCENT),
    )
    return [
        _plain(
            NumContentItem(code(name), value, code(kind), None, _CONTAINS),
            [*map(_reference, both), *([_significance(change)] if name is _CHANGE else [])],
        )
        for name, value, kind in values
        if value is not None
    ]


def _significance(change: ReportedChange) -> Dataset:
    word = codes.SCT.SignificanceUndetermined
    if change.is_beyond is not None:
        word = codes.SCT.Significant if change.is_beyond else codes.SCT.NotSignificant
    return CodeContentItem(
        codes.DCM.LevelOfSignificance, word, RelationshipTypeValues.HAS_PROPERTIES
    )


def _reference(place: Sequence[int]) -> Dataset:
    item = Dataset()
    item.RelationshipType = "INFERRED FROM"
    item.ReferencedContentItemIdentifier = [*place]
    return item


def _plain(item: Dataset, children: Sequence[Dataset]) -> Dataset:
    """Return an item as a plain dataset: highdicom's take no children by reference."""
    plain = Dataset()
    plain.update(dict(item.items()))
    plain.ContentSequence = DicomSequence(children)
    return plain
