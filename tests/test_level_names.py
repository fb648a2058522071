"""Names of levels are safe in columns, files and tables; vertebrae are known however spelled."""

import csv
import io
import re
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.anatomy import VERTEBRAE
from bodycomp.errors import UsageError
from bodycomp.level_names import (
    check_levels,
    head_to_feet,
    is_level_name,
    vertebra_named,
    vertebra_rank,
)


@pytest.mark.parametrize("name", ["umbilicus", "L3mid", "L3_mid", "L6", "T13", "3rd-lumbar", "S2"])
def test_any_safe_name_is_a_level(name: str) -> None:
    assert check_levels([name]) == (name,)


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "mid L3", "a/b", "a\\b", "..", "L3.mid", "-L3", "_L3", "Nabelhöhe", "L3,mid"),
        *("a=b", "a:b", "a*", "L3\n", "L3\x00", "x" * 33, "7", "1-2", "L3\u200b", "Ⅲ"),
        *("con", "NUL", "Aux", "com1", "LPT9"),
        *("nan", "inf", "1e5", "NA", "null", "None", "True"),
    ],
)
def test_names_that_files_columns_or_tables_would_break_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="expected a level's name") as refusal:
        check_levels([name])
    assert refusal.value.hint
    assert repr(name) in refusal.value.message
    suggested = re.fullmatch(r"Call it (\S+?),? (or .*)?for instance\.", refusal.value.hint)
    assert suggested is not None
    assert is_level_name(suggested[1].rstrip(","))


@given(st.text(max_size=40))
def test_a_name_that_is_accepted_is_one_path_part_and_one_cell(name: str) -> None:
    if not is_level_name(name):
        return
    path = PureWindowsPath("corrected", name)
    assert path.parts == ("corrected", name)
    assert not path.is_reserved()
    assert next(csv.reader(io.StringIO(f"a,ZOffset_{name}\n"))) == ["a", f"ZOffset_{name}"]
    assert not name.startswith(("-", "=", "+", "@"))


@pytest.mark.parametrize(
    "name", ["l3", "Th12", "th5", "L03", "vertebra_L3", "L3_body", "l6", "C07"]
)
def test_a_vertebra_spelled_otherwise_is_not_taken_for_another_level(name: str) -> None:
    with pytest.raises(UsageError, match="expected vertebrae to be written like") as refusal:
        check_levels([name])
    assert refusal.value.hint == f"Did you mean {vertebra_named(name)}?"


@pytest.mark.parametrize("name", ["L33", "T14", "c9", "L0", "L7"])
def test_a_vertebra_that_nobody_has_is_a_slip_and_no_level(name: str) -> None:
    with pytest.raises(UsageError, match=f"expected a vertebra that people have, found '{name}'"):
        check_levels([name])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["umbilicus", "Umbilicus"], "expected one spelling of a level, found umbilicus and Umb"),
        (["".join(("um", "b")), "".join(("u", "mb"))], "level umb is named twice"),
        (["L3", "L3"], "level L3 is named twice"),
        ([], "at least one"),
    ],
)
def test_names_that_a_file_system_cannot_tell_apart_are_refused(
    names: list[str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        check_levels(names)


@given(st.permutations([*VERTEBRAE[::3], "umbilicus", "L6", "crest"]))
def test_order_does_not_depend_on_how_levels_are_named(names: list[str]) -> None:
    assert head_to_feet(names) == (*VERTEBRAE[::3], "L6", "crest", "umbilicus")
    assert [n for n in names if vertebra_rank(n) is None] == [
        n for n in names if n not in VERTEBRAE
    ]
