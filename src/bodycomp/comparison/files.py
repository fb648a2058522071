"""What comparisons are written as: one table of all changes, and one document of everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bodycomp import __version__
from bodycomp.comparison.change import Change, LevelComparison, PairComparison
from bodycomp.comparison.person import PersonComparison
from bodycomp.json_file import to_plain, write_json
from bodycomp.tables import Cell, write_table

TABLE_NAME: Final = "comparison.csv"
DOCUMENT_NAME: Final = "comparison.json"
COMPARISON_SCHEMA: Final = "bodycomp.comparison"
COMPARISON_SCHEMA_VERSION: Final = 1
COLUMNS: Final = (
    *("patient", "level", "quantity", "earlier_study", "earlier_series", "later_study"),
    *("later_series", "days", "earlier", "later", "difference", "per_month"),
    *("smallest_detectable_change", "detectable_source", "low", "high", "beyond_detectable"),
    *("probability", "explained_by", "reason", "scans_differ_in", "scans_may_differ_in"),
)


def write_files(out: Path, people: Sequence[PersonComparison], notes: Sequence[str]) -> None:
    """Write the table and the document of all people."""
    rows = [row for person in people for row in comparison_rows(person)]
    write_table(out / TABLE_NAME, COLUMNS, rows)
    document = {
        "schema": COMPARISON_SCHEMA,
        "schema_version": COMPARISON_SCHEMA_VERSION,
        "software": {"name": "bodycomp", "version": __version__},
        "notes": list(notes),
        "people": [_person(person) for person in people],
    }
    write_json(out / DOCUMENT_NAME, document)


def comparison_rows(person: PersonComparison) -> Iterator[dict[str, Cell]]:
    """Yield one row for each pair of scans, level and quantity."""
    for level in person.levels:
        for pair in level.pairs:
            for change in pair.changes:
                yield _row(person, level, pair, change)


def _row(
    person: PersonComparison, level: LevelComparison, pair: PairComparison, change: Change
) -> dict[str, Cell]:
    earlier, later = person.scans[pair.earlier], person.scans[pair.later]
    first = change.detectable[0] if change.detectable else None
    unlike = {
        certain: "; ".join(each.key for each in pair.differences if each.is_certain is certain)
        for certain in (True, False)
    }
    return {
        "patient": person.patient,
        "level": level.level,
        "quantity": change.quantity,
        "earlier_study": earlier.study,
        "earlier_series": earlier.series,
        "later_study": later.study,
        "later_series": later.series,
        "days": pair.days,
        **{n: getattr(change, n) for n in ("earlier", "later", "difference", "per_month")},
        "smallest_detectable_change": first.limit if first else None,
        "detectable_source": first.source if first else "",
        **{n: getattr(change, n) for n in ("low", "high", "probability", "reason")},
        "beyond_detectable": {None: None, True: "yes", False: "no"}[change.is_beyond],
        "explained_by": "; ".join(change.explained_by),
        "scans_differ_in": unlike[True],
        "scans_may_differ_in": unlike[False],
    }


def _person(person: PersonComparison) -> Mapping[str, Any]:
    first = person.scans[0].day or 0.0
    return {
        "patient": person.patient,
        "refused": person.refused,
        "scans": [
            {"study": scan.study, "series": scan.series, "days": (scan.day or 0.0) - first}
            for scan in person.scans
        ],
        "levels": to_plain(person.levels),
    }
