"""Scans that a published data set holds twice: one of them is left out, the other stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bodycomp.preparation.shards import Shard, ShardRecord
from bodycomp.preparation.source_record import SourceRecord

COUNTING: Final = ("", "train", "val", "test")
"""Splits by how much they count: what is in two of them stays in the last, as a test shall stay
one."""


def without_duplicates(
    record: SourceRecord, shards: Sequence[Shard]
) -> tuple[SourceRecord, list[Shard]]:
    """Leave out scans that are there already, and those with an image of another patient.

    In a table of one's own that is a fault to mend; nobody can mend a published data set.
    """
    of_scan: dict[str, str] = {}
    of_image: dict[str, tuple[str, str]] = {}
    reasons: dict[str, str] = {}
    for shard in sorted(shards, key=lambda each: -COUNTING.index(each.case.split)):
        case, found = shard.case, shard.record()
        twin = of_scan.setdefault(found.scan_digest, case.where)
        if twin != case.where:
            reasons[case.where] = f"its scan is that of {twin}"
            continue
        images = _images(found)
        owners = (of_image[each] for each in images if each in of_image)
        other = next((name for name, patient in owners if patient != case.patient), "")
        if other:
            reasons[case.where] = f"it has an image of {other}, which is another patient"
            continue
        of_image.update((each, (case.where, case.patient)) for each in images)
    cases = tuple(
        replace(case, left_out=reasons[case.name]) if case.name in reasons else case
        for case in record.cases
    )
    return replace(record, cases=cases), [s for s in shards if s.case.where not in reasons]


def _images(record: ShardRecord) -> list[str]:
    return [sample.image_digest for sample in record.samples if not sample.constant]
