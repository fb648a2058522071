"""The output folder of a run: cleared of what a killed run left, made, and gone again if empty."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bodycomp.errors import OutputError
from bodycomp.storage import locked_folder, refuse_existing, remove_leftovers
from bodycomp.study.inputs import UNPACKED_FOLDERS
from bodycomp.study.journal import JOURNAL_NAME, refuse_running
from bodycomp.study.options import (
    PARQUET_NAME,
    REFERENCES_FOLDER,
    REFUSED_NAME,
    REPORT_NAME,
    RESULTS_NAME,
    STUDY_PREFIX,
    AnalyzeOptions,
)
from bodycomp.study.run_manifest import MANIFEST_NAME
from bodycomp.study.series_table import SERIES_NAME

HISTORY_NAME: Final = "reviews.jsonl"
REVIEWED_NAME: Final = "reviewed.csv"
REDCAP_NAME: Final = "redcap.csv"
REDCAP_DICTIONARY_NAME: Final = "redcap-dictionary.csv"
FURTHER_PAGES: Final = f"{Path(REPORT_NAME).stem}-[0-9][0-9][0-9]*.html"
CORRECTED_NAME: Final = "corrected"
"""What people said, the results with it, and the folder of corrected levels in that of a series;
the room ``review`` writes them, a run keeps them and its page shows them."""

_FILES: Final = (
    *(RESULTS_NAME, REFUSED_NAME, SERIES_NAME, REVIEWED_NAME, PARQUET_NAME, REPORT_NAME),
    *(JOURNAL_NAME, MANIFEST_NAME, REDCAP_NAME, REDCAP_DICTIONARY_NAME),
)


def clear_up(options: AnalyzeOptions) -> bool:
    """Remove what a killed run had unpacked or was writing in a held folder; leave all else alone.

    Returns whether there is a run to resume.

    Raises:
        OutputError: Another run is writing to the folder, or it has content that the options do
            not allow.
    """
    out = options.out_dir
    refuse_running(out / JOURNAL_NAME)
    for folder in out.glob(UNPACKED_FOLDERS):
        shutil.rmtree(folder)
    if (out / MANIFEST_NAME).is_file() and not (options.overwrite or options.resume):
        raise OutputError(
            f"the output folder is not empty, it holds an earlier run: {out}",
            hint="Name another folder, continue that run with --resume or replace it with "
            "--overwrite.",
        )
    refuse_existing(out, overwrite=options.overwrite or options.resume)
    if options.overwrite and (out / HISTORY_NAME).exists():
        raise OutputError(
            f"people reviewed the results in {out} ({HISTORY_NAME}), which --overwrite would lose",
            hint="Name another folder, or move that file away.",
        )
    if (out / MANIFEST_NAME).is_file():  # else it is no run's
        remove_leftovers(out)
    return options.resume and out.is_dir() and any(out.iterdir())


@contextmanager
def held_folder(out: Path) -> Iterator[None]:
    """Make the folder and keep other runs out of it; remove it in the end if it stayed empty.

    It must be held before anything in it is cleared: the journal, which is locked too, is only
    opened when the inputs were searched and zip files unpacked.

    Raises:
        OutputError: Another run holds it, or it is a file.
    """
    refuse_existing(out, overwrite=True)
    was_there = out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with locked_folder(out):
            yield
    finally:
        if not was_there and out.is_dir() and not any(out.iterdir()):
            out.rmdir()


@contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """Yield a hidden folder in the output folder for what workers have finished, and remove it."""
    folder = out / f".workers.{uuid.uuid4().hex[:8]}.part"  # as what ``remove_leftovers`` removes
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_earlier_results(out: Path) -> None:
    """Remove what an earlier run left in the output folder, and nothing else."""
    for name in _FILES:
        (out / name).unlink(missing_ok=True)
    for page in out.glob(FURTHER_PAGES):
        page.unlink()
    for folder in (*out.glob(f"{STUDY_PREFIX}*"), *out.glob(REFERENCES_FOLDER)):
        shutil.rmtree(folder)
