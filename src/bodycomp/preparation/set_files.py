"""The files about a set, in it and beside it, and where a set may be made."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from bodycomp import __version__
from bodycomp.data.layout import SPLITS
from bodycomp.errors import OutputError
from bodycomp.json_file import write_json
from bodycomp.preparation.assemble import Counts
from bodycomp.preparation.cases import Case
from bodycomp.preparation.level_checks import LevelWarning
from bodycomp.preparation.options import MaskTask, PrepareOptions
from bodycomp.preparation.refusals import RefusedCase, write_refused
from bodycomp.preparation.shards import Shard
from bodycomp.preparation.source_record import PREPARED_NAME, SourceRecord
from bodycomp.storage import atomic_file

KEY_COLUMNS: Final = ("pseudonym", "patient", "series_instance_uid", "scan", "masks", "levels")
OWNER_ONLY: Final = 0o600


def check_apart(options: PrepareOptions, cases: Iterable[Case]) -> None:
    """Check that the set is neither above nor inside what it is made from.

    Raises:
        OutputError: Writing the set would remove an input, or add files to a scan's folder.
    """
    out = options.out.resolve()
    for where, path in _inputs(options, cases):
        source = path.resolve()
        if source.is_relative_to(out) or out.is_relative_to(source):
            raise OutputError(
                f"expected the set apart from what it is made from, found {options.out} and "
                f"{where} in one another",
                hint="Name a folder that holds nothing else, beside the scans.",
            )


def _inputs(options: PrepareOptions, cases: Iterable[Case]) -> Iterator[tuple[str, Path]]:
    yield "the data set" if options.cases.is_dir() else "the cases table", options.cases
    for case in cases:
        yield f"the scan of {case.where}", case.scan
        for path in case.masks:
            yield f"the masks of {case.where}", path
        if case.levels is not None:
            yield f"the levels of {case.where}", case.levels


def write_reports(
    folder: Path,
    options: PrepareOptions,
    counts: Counts,
    refused: Sequence[RefusedCase],
    warnings: Sequence[LevelWarning],
    record: SourceRecord | None = None,
) -> None:
    """Write ``prepared.json``, and ``refused.csv`` if any case was left out; both name nobody."""
    prepared = {
        "bodycomp": __version__,
        **({"source": record.summary([case.where for case in refused])} if record else {}),
        "set": "segmentation" if isinstance(options.task, MaskTask) else "slice-selection",
        "task": asdict(options.task),
        "split": asdict(options.split),
        "patients": {split: len(counts.patients.get(split, ())) for split in SPLITS},
        "slices": {split: counts.slices[split] for split in SPLITS},
        "refused_cases": len(refused),
        "warnings": [asdict(warning) for warning in warnings],
        "notes": dict(sorted(counts.notes.items())),
    }
    write_json(folder / PREPARED_NAME, prepared)
    if refused:
        write_refused(folder, refused)


def key_text(shards: Iterable[Shard], pseudonyms: Mapping[str, str]) -> str:
    """Return the key as CSV: the way from pseudonyms back to patients, never kept in the set."""
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(KEY_COLUMNS)
    for shard in shards:
        case, uid = shard.case, shard.record().series_instance_uid
        masks = ";".join(str(path) for path in case.masks)
        cells = (case.patient, uid, case.scan, masks, case.levels or "")
        rows.writerow((pseudonyms[case.patient], *cells))
    return stream.getvalue()


def check_key(path: Path, text: str, *, overwrite: bool) -> None:
    """Check that no other key is lost, which may be the only way back from a set.

    Raises:
        OutputError: Another key is there and ``overwrite`` is off.
    """
    if path.exists() and not overwrite and path.read_text(encoding="utf-8") != text:
        raise OutputError(
            f"the key of another set is there already: {path}",
            hint="Move it to that set, name another folder, or replace both with --overwrite.",
        )


def write_key(path: Path, text: str) -> None:
    """Write the key so that its owner alone can read it."""
    with atomic_file(path) as temporary:
        temporary.touch(mode=OWNER_ONLY)
        temporary.write_text(text, encoding="utf-8")
