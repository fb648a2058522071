"""The data card of a set that was made of a published data set, and the table of its cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bodycomp.data.layout import SPLITS
from bodycomp.errors import NotAnnotatedError
from bodycomp.level_names import head_to_feet
from bodycomp.preparation.refusals import RefusedCase
from bodycomp.preparation.source_record import (
    CARD_NAME,
    NOT_STATED,
    DataSource,
    SourceCase,
    SourceRecord,
)
from bodycomp.preparation.splits import AssignedCase
from bodycomp.storage import atomic_file
from bodycomp.tables import markdown_table, write_table

TABLE_NAME: Final = "source-cases.csv"
COLUMNS: Final = (
    "case", "patient", "collection", "license", "source_split", "split", "samples", "levels",
    "left_out",
)  # fmt: skip


def without_annotation(
    record: SourceRecord, refused: Sequence[RefusedCase]
) -> tuple[SourceRecord, tuple[RefusedCase, ...]]:
    """Take scans in which nothing is annotated for those that the data set does not serve with.

    Published sets have some, such as a head among scans for the lumbar spine; that is no fault that
    somebody could mend.
    """
    silent = {case.where: case for case in refused if case.kind == NotAnnotatedError.__name__}
    reason = "nothing is annotated in it that this set holds"
    cases = (
        replace(case, left_out=reason) if case.name in silent else case for case in record.cases
    )
    rest = tuple(case for case in refused if case.where not in silent)
    return replace(record, cases=tuple(cases)), rest


def write_data_card(
    folder: Path,
    record: SourceRecord,
    assigned: Sequence[AssignedCase],
    refused: Iterable[RefusedCase],
) -> None:
    """Write ``data-card.md`` and ``source-cases.csv`` into a set.

    Codes of patients and cases are those of the data set if they are published, else pseudonyms.
    """
    members = {case.shard.case.where: case for case in assigned}
    faulty = {case.where: " ".join(case.reason.split()) for case in refused}
    rows = [_row(case, members.get(case.name), faulty, record.source) for case in record.cases]
    write_table(folder / TABLE_NAME, COLUMNS, rows)
    with atomic_file(folder / CARD_NAME) as temporary:
        temporary.write_text(_card(record.source, rows), encoding="utf-8")


Row = Mapping[str, str]


def _row(
    case: SourceCase,
    member: AssignedCase | None,
    faulty: Mapping[str, str],
    source: DataSource,
) -> Row:
    samples = [s for _, s in member.shard.record().of_split(member.split)] if member else []
    levels = head_to_feet({name for sample in samples for name in sample.offsets_mm})
    code = case.patient if source.is_public else ""
    return {
        "case": case.name,
        "patient": member.patient if member else code,
        "collection": case.collection,
        "license": case.license or NOT_STATED,
        "source_split": case.split,
        "split": member.split if member else "",
        "samples": str(len(samples)),
        "levels": " ".join(levels),
        "left_out": "" if member else case.left_out or f"refused: {faulty.get(case.name, '')}",
    }


def _card(source: DataSource, rows: Sequence[Row]) -> str:
    """Return the card as Markdown."""
    facts = {
        "version": source.version,
        "DOI": f"[{source.doi}](https://doi.org/{source.doi})" if source.doi else "",
        "license": source.license or NOT_STATED,
        "page": source.page,
        "cite": source.citation,
    }
    members = [row for row in rows if not row["left_out"]]
    lines = [
        f"# Data card: {source.name}",
        "",
        f"Made of {source.name} by `bodycomp prepare`; `{TABLE_NAME}` has a row for each case.",
        "",
        *markdown_table(("", ""), ((name, value) for name, value in facts.items() if value)),
        "",
        *(f"- {note}" for note in source.notes),
        "",
        "## What is in it",
        "",
        *markdown_table(
            ("split", "of the source", "cases", "patients", "samples"), _splits(members)
        ),
        "",
        "## Licenses of the images",
        "",
        *markdown_table(
            ("license", "collection", "cases"),
            _counted((row["license"], row["collection"]) for row in members),
        ),
        "",
        "## What was left out, and why",
        "",
        *markdown_table(
            ("reason", "cases"),
            _counted((row["left_out"],) for row in rows if row["left_out"]) or [("nothing", "0")],
        ),
    ]
    return "\n".join(lines) + "\n"


def _splits(members: Sequence[Row]) -> list[tuple[str, ...]]:
    keys = {(row["split"], row["source_split"]) for row in members}
    found: list[tuple[str, ...]] = []
    for split, of_source in sorted(keys, key=lambda key: (SPLITS.index(key[0]), key[1])):
        rows = [r for r in members if (r["split"], r["source_split"]) == (split, of_source)]
        patients = len({row["patient"] for row in rows})
        samples = sum(int(row["samples"]) for row in rows)
        found.append((split, of_source, str(len(rows)), str(patients), str(samples)))
    return found


def _counted(keys: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [(*key, str(count)) for key, count in sorted(Counter(keys).items())]
