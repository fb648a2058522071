"""Runs -> a folder with the changes of every person who was scanned twice."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.comparison.files import DOCUMENT_NAME, write_files
from bodycomp.comparison.options import CompareOptions
from bodycomp.comparison.person import PersonComparison, compare_person
from bodycomp.comparison.repeatability import read_repeatability, shipped_repeatability
from bodycomp.comparison.report import write_report
from bodycomp.comparison.scans import find_people
from bodycomp.comparison.view import write_person_page
from bodycomp.errors import InputNotFoundError, SeriesError
from bodycomp.progress import Progress, no_progress
from bodycomp.storage import atomic_folder, refuse_other

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everybody who was compared, what was left out, and where it was written."""

    people: tuple[PersonComparison, ...]
    notes: tuple[str, ...]
    out: Path


def compare(options: CompareOptions, progress: Progress = no_progress) -> Comparison:
    """Compare the scans of each person and write tables, pages and reports.

    Raises:
        InputNotFoundError: A run, a table or a person is not there, or nobody was scanned twice.
        OutputError: The folder is there, or a case cannot be read.
        UsageError: The runs have different keys, or a table cannot be used.
    """
    own = options.repeatability
    known = (*([read_repeatability(own)] if own else []), *shipped_repeatability())
    found = find_people(options)
    notes = list(found.notes)
    if not found.people:
        raise InputNotFoundError(
            "expected a person who was scanned twice, found nobody", hint="\n".join(notes)
        )
    people = []
    refuse_other(options.out, "a comparison", DOCUMENT_NAME, overwrite=options.overwrite)
    with atomic_folder(options.out, overwrite=options.overwrite) as folder:
        for done, (patient, scans) in enumerate(found.people.items()):
            progress("people", done, len(found.people))
            person = compare_person(patient, scans, known, options.level)
            people.append(person)
            write_person_page(folder / f"{patient}.html", person)
            if person.refused:
                notes.append(f"{patient}: {person.refused}")
            elif options.dicom:
                try:
                    write_report(folder / f"{patient}.dcm", person)
                except SeriesError as error:
                    notes.append(f"{patient}: no structured report, {error.message}")
        write_files(folder, people, notes)
    progress("people", len(people), len(people))
    for note in notes:
        _LOG.warning("%s", note)
    return Comparison(tuple(people), tuple(notes), options.out)
