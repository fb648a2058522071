"""Which cases of a table are evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bodycomp.errors import UsageError
from bodycomp.evaluation.annotated_case import AnnotationFormat
from bodycomp.evaluation.level_rows import SeriesNames, name_series
from bodycomp.preparation.cases import Case
from bodycomp.preparation.cases_file import read_cases
from bodycomp.preparation.options import FACTS

TEST_SPLIT = "test"


@dataclass(frozen=True, slots=True)
class ChosenCases:
    """The cases to evaluate.

    Attributes:
        cases: With what each is called in the output.
        split: Their split; empty where the table has none.
        form: How annotations are read, with what the table says of labels.
        warnings: What to know of the choice.
    """

    cases: tuple[tuple[Case, SeriesNames], ...]
    split: str
    form: AnnotationFormat
    warnings: tuple[str, ...]


def choose_cases(
    path: Path, split: str | None, form: AnnotationFormat, *, identifiers: bool
) -> ChosenCases:
    """Read a cases table and choose the cases of a split.

    Raises:
        InputNotFoundError, CasesError: As ``read_cases``.
        UsageError: The split has no case.
    """
    table = read_cases(path)
    form = form if form.mapping is not None else replace(form, mapping=table.labels)
    names = name_series([case.patient for case in table.cases], identifiers=identifiers)
    named = list(zip(table.cases, names, strict=True))
    has_splits = any(case.split for case in table.cases)
    wanted = split or (TEST_SPLIT if has_splits else "")
    chosen = [(case, name) for case, name in named if not wanted or case.split == wanted]
    if not chosen:
        there = ", ".join(sorted({case.split or "no split" for case in table.cases}))
        raise UsageError(
            f"{path.name}: expected cases of the split {wanted}, found {there}",
            hint="Name another one with --split.",
        )
    return ChosenCases(tuple(chosen), wanted, form, tuple(split_warnings(wanted)))


def split_warnings(split: str) -> Sequence[str]:
    """Return a warning where models may have seen what they are evaluated on."""
    warnings = {
        "": "the cases table names no splits: nothing says whether the models were trained on "
        "these patients",
        "train": "the split train is what models are trained on: they do better here than on "
        "patients that they have not seen",
        "val": "the split val chooses the best epoch and calibrates the confidence: models do "
        "better here than on patients that had no part in that",
    }
    return (warnings[split],) if split in warnings else ()


def check_columns(names: Sequence[str], chosen: ChosenCases) -> None:
    """Check that subgroups can be made by these columns.

    Raises:
        UsageError: A name is neither a column of the table nor a fact that scans state.
    """
    columns = tuple(dict.fromkeys(name for case, _ in chosen.cases for name in case.further))
    unknown = [name for name in names if name not in (*columns, *FACTS)]
    if unknown:
        raise UsageError(
            f"expected columns to make subgroups by, found no {', '.join(unknown)}",
            hint=f"The table's own columns are {', '.join(columns) or 'none'}; scans may state "
            f"{', '.join(FACTS)}.",
        )
