"""Reasons of refusals name rows, not people."""

from pathlib import Path

from bodycomp.preparation.cases import Case
from bodycomp.preparation.refusals import without_names

CASE = Case(
    "row 2",
    "Miller",
    Path("/hospital/ct"),
    (Path("/drawn/Miller, John (1970).nrrd"), Path("/drawn/fat.nrrd")),
    Path("/drawn/levels.csv"),
)


def test_paths_names_codes_and_uids_are_left_out() -> None:
    told = (
        "Miller, John (1970).nrrd: expected the series 1.2.826.0.1.3680043.8.1 in /hospital/ct, "
        "found /hospital/archive/Miller/x.dcm and Miller in levels.csv"
    )
    assert without_names(told, CASE) == (
        "<mask 1>: expected the series <UID> in <scan>, found <path> and <patient> in <levels>"
    )


def test_words_that_hold_a_name_by_chance_stay() -> None:
    told = "expected 512 x 512 pixels of 0.78 mm, spacing 1.5 mm at z = -123.45, found active fats"
    assert without_names(told, CASE) == told
