"""The results of a run for REDCap: a table to import, and the data dictionary of its fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.anatomy import ALL_TISSUES
from bodycomp.errors import InputNotFoundError, OutputError
from bodycomp.quantities import CUT_OFFS, QUANTITIES
from bodycomp.reference.table import COLUMN_PREFIX
from bodycomp.report.page_content import cut_off_title
from bodycomp.report.result_rows import REJECTED, REVIEW_COLUMNS, TEXT_COLUMNS
from bodycomp.results import LevelStatus
from bodycomp.study.options import RESULTS_NAME
from bodycomp.study.out_folder import (
    HISTORY_NAME,
    REDCAP_DICTIONARY_NAME,
    REDCAP_NAME,
    REVIEWED_NAME,
)
from bodycomp.study.run_manifest import NO_RUN_HINT
from bodycomp.study.sources import IDENTIFIER_COLUMNS
from bodycomp.subject import SEXES
from bodycomp.tables import Cell, write_table
from bodycomp.user_table import read_user_table

RECORD_ID: Final = "record_id"
_FORM: Final = "body_composition"

DICTIONARY_COLUMNS: Final = (
    *("Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label"),
    *("Choices, Calculations, OR Slider Labels", "Field Note"),
    *("Text Validation Type OR Show Slider Number", "Text Validation Min", "Text Validation Max"),
    *("Identifier?", "Branching Logic (Show field only if...)", "Required Field?"),
    *("Custom Alignment", "Question Number (surveys only)", "Matrix Group Name"),
    *("Matrix Ranking?", "Field Annotation"),
)
"""Columns that REDCap expects of a data dictionary, in its order."""

_FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "status": (*LevelStatus, REJECTED),
    "sex": SEXES,
    **{cut_off.key: ("yes", "no") for cut_off in CUT_OFFS},
}
"""Column -> the values that it may have."""
_NOTES: Final = frozenset({"reason", "notes", "quality_flags", "comment", "source_path"})
"""Columns of texts that may be long."""
_WHOLE: Final = frozenset(
    {"slice_index", "crossings", "slices_measured", "slices", "rows", "columns"}
)
_UNITS: Final = ("cm2", "ml", "mm", "cm", "hu", "m", "kg", "kvp", "mas", "years")
"""How columns end that say their unit; `quantities.py` has those of derived quantities."""

_SPELLED: Final = {
    **{word: word.upper() for word in ("hu", "sd", "iqr", "id", "uid")},
    "kvp": "kVp",
    "mas": "mAs",
    "ml": "mL",
    "pi90": "90 % interval",
}
"""Parts of columns that are written otherwise in words."""


@dataclass(frozen=True, slots=True)
class RedcapField:
    """A column of the results as a field of REDCap.

    Raises:
        OutputError: REDCap has no fields of this name.
    """

    name: str

    def __post_init__(self) -> None:
        if not _FIELD_NAME.fullmatch(self.name):
            raise OutputError(
                f"expected columns of at most 100 lower-case letters, digits and underscores, as "
                f"REDCap has them, found {self.name!r}",
                hint="A table given with --references has such a key: fit it under another one.",
            )

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it may have; empty for numbers and free text."""
        is_limit = self.name.startswith(COLUMN_PREFIX) and "_below_" in self.name
        return ("yes", "no") if is_limit else _CHOICES.get(self.name, ())

    @property
    def validation(self) -> str:
        """What REDCap checks when a value is entered; empty for text."""
        texts = (RECORD_ID, *IDENTIFIER_COLUMNS, *REVIEW_COLUMNS)
        if self.choices or self.name in TEXT_COLUMNS or self.name in texts:
            return ""
        return "integer" if self.name in _WHOLE else "number"

    def described(self) -> tuple[str, str, str]:
        """Return section, label and note, from the tables of tissues, quantities and cut-offs."""
        return _DESCRIBED.get(self.name) or (_section(self.name), _words(self.name), "")

    def cells(self, section: str) -> dict[str, Cell]:
        """Return its row of the dictionary, below the header of a section or none."""
        _, label, note = self.described()
        kind = "radio" if self.choices else "notes" if self.name in _NOTES else "text"
        return {
            "Variable / Field Name": self.name,
            "Form Name": _FORM,
            "Section Header": section,
            "Field Type": kind,
            "Field Label": label,
            "Choices, Calculations, OR Slider Labels": " | ".join(
                f"{value}, {value}" for value in self.choices
            ),
            "Field Note": note,
            "Text Validation Type OR Show Slider Number": self.validation,
            "Identifier?": "y" if self.name in IDENTIFIER_COLUMNS else "",
        }


def _words(name: str) -> str:
    """Return a column as words, with its unit.

    >>> _words("muscle_area_cm2"), _words("level"), _words("muscle_hu_range_mean_hu")
    ('Muscle area (cm2)', 'Level', 'Muscle HU range mean (HU)')
    """
    *words, last = (_SPELLED.get(word, word) for word in name.split("_"))
    if words and last.lower() in _UNITS:
        last = f"({last})"
    text = " ".join((*words, last))
    return text[:1].upper() + text[1:]


def _section(name: str) -> str:
    for tissue in ALL_TISSUES:
        if name.startswith(f"{tissue.key}_"):
            return tissue.title
    if name.startswith(COLUMN_PREFIX):
        return "Compared with references"
    return "Review" if name in REVIEW_COLUMNS else "Scan and level"


_DESCRIBED: Final[Mapping[str, tuple[str, str, str]]] = {
    RECORD_ID: ("", _words(RECORD_ID), "study, series and level"),
    **{
        kind.key: ("Derived quantities", f"{kind.title} ({kind.unit})", kind.formula)
        for kind in QUANTITIES
    },
    **{
        each.key: ("Cut-offs", cut_off_title(each), f"{each.source}; {each.people}")
        for each in CUT_OFFS
    },
}
"""Column -> section, label and note of those that a table describes."""


def write_redcap_tables(out_dir: Path) -> tuple[Path, Path]:
    """Write the results of a run, reviewed ones if there are any, as a table and its dictionary.

    A record is a level of a series. Returns the table and the dictionary.

    Raises:
        InputNotFoundError: The folder holds no results.
        OutputError: A table is damaged, or has a column that REDCap cannot have.
    """
    reviewed = (out_dir / HISTORY_NAME).is_file()
    source = out_dir / (REVIEWED_NAME if reviewed else RESULTS_NAME)
    if not source.is_file():
        raise InputNotFoundError(
            f"expected the results of a run, found no {source.name} in {out_dir}", hint=NO_RUN_HINT
        )
    table = read_user_table(source, "results", OutputError)
    fields = tuple(RedcapField(name) for name in (RECORD_ID, *table.columns))
    data, dictionary = out_dir / REDCAP_NAME, out_dir / REDCAP_DICTIONARY_NAME
    records = ({RECORD_ID: _record(row.cells), **row.cells} for row in table.rows)
    write_table(data, [each.name for each in fields], records)
    write_table(dictionary, DICTIONARY_COLUMNS, _dictionary(fields))
    return data, dictionary


def _record(cells: Mapping[str, str]) -> str:
    return "_".join(cells[name] for name in ("study", "series", "level"))


def _dictionary(fields: Sequence[RedcapField]) -> Iterator[dict[str, Cell]]:
    """Yield the rows of the dictionary; a section has its header above its first field."""
    above = ""
    for each in fields:
        section = each.described()[0]
        yield each.cells("" if section == above else section)
        above = section
