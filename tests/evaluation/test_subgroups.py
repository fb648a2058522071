"""How cases are shared out to subgroups."""

import pytest

from bodycomp.errors import UsageError
from bodycomp.evaluation.subgroups import NOT_STATED, SubgroupColumn


def test_words_are_groups_of_their_own_and_blanks_are_not_lost() -> None:
    assert SubgroupColumn.parse("Sex").groups(["F", "M", "", " F "]) == ["F", "M", NOT_STATED, "F"]


def test_few_different_numbers_are_groups_of_their_own() -> None:
    assert SubgroupColumn.parse("slices").groups(["1", "5", "5"]) == ["1", "5", "5"]


def test_many_numbers_are_divided_into_thirds() -> None:
    groups = SubgroupColumn.parse("age").groups([str(age) for age in range(30, 90)])
    assert sorted(groups.count(group) for group in set(groups)) == [20, 20, 20]


def test_a_number_at_an_edge_belongs_above_it() -> None:
    groups = SubgroupColumn.parse("bmi:25,30").groups(["24.9", "25", "29.9", "30", ""])
    assert groups == ["below 25", "25 to 30", "25 to 30", "30 or more", NOT_STATED]


@pytest.mark.parametrize("text", ["bmi:", "bmi:30,25", "bmi:a", ":25", "bmi:nan"])
def test_edges_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="ascending edges"):
        SubgroupColumn.parse(text)


def test_edges_need_numbers() -> None:
    with pytest.raises(UsageError, match="found 'F'"):
        SubgroupColumn.parse("sex:1").groups(["F", "M"])
