"""Cases are compared in order while later ones are made, few at a time."""

from collections.abc import Iterator

import numpy as np
import pytest

from bodycomp.agreement.masks import compare_masks
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.errors import ImageError
from bodycomp.evaluation.slice_records import SliceCase, compare_cases


def make_case(index: int) -> SliceCase:
    mask, truth = np.random.default_rng(index).integers(0, 4, (2, 40, 40)).astype(np.uint8)
    return SliceCase("test", index, f"p{index}", mask, truth, (1.0, 0.5))


def test_records_come_in_the_order_of_their_cases() -> None:
    records = list(compare_cases(map(make_case, range(60)), ABDOMINAL_TISSUES))
    assert [(record.index, record.patient) for record in records] == [
        (index, f"p{index}") for index in range(60)
    ]
    case = make_case(37)
    expected = compare_masks(case.mask, case.truth, ABDOMINAL_TISSUES, (1.0, 0.5))
    assert records[37].agreement == expected


def test_no_more_cases_are_made_than_are_needed_soon() -> None:
    made = 0

    def cases() -> Iterator[SliceCase]:
        nonlocal made
        for index in range(1000):
            made += 1
            yield make_case(index)

    records = compare_cases(cases(), ABDOMINAL_TISSUES)
    assert made == 0
    for _ in range(10):
        next(records)
    assert made < 30
    records.close()
    assert made < 30


def test_what_goes_wrong_with_a_case_is_told() -> None:
    wrong = make_case(3)
    wrong = SliceCase("test", 3, None, wrong.mask[:5], wrong.truth)
    records = compare_cases([*map(make_case, range(3)), wrong], ABDOMINAL_TISSUES)
    assert [next(records).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ImageError, match="one shape"):
        next(records)
