"""Slices are compared in order while later ones are made, few at a time."""

from collections.abc import Iterator

import numpy as np
import pytest

from bodycomp.agreement.masks import compare_masks
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.errors import ImageError
from bodycomp.evaluation.slice_masks import SliceMasks, compare_slices


def make_case(index: int) -> SliceMasks:
    mask, truth = np.random.default_rng(index).integers(0, 4, (2, 40, 40)).astype(np.uint8)
    return SliceMasks("test", index, f"p{index}", mask, truth, (1.0, 0.5))


def test_rows_come_in_the_order_of_their_slices() -> None:
    rows = list(compare_slices(map(make_case, range(60)), ABDOMINAL_TISSUES))
    assert [(row.index, row.patient) for row in rows[::4]] == [
        (index, f"p{index}") for index in range(60)
    ]
    case = make_case(37)
    expected = compare_masks(case.mask, case.truth, ABDOMINAL_TISSUES, (1.0, 0.5))
    own = rows[37 * 4 : 38 * 4]
    assert {row.tissue: row.agreement for row in own} == expected


def test_no_more_slices_are_made_than_are_needed_soon() -> None:
    made = 0

    def cases() -> Iterator[SliceMasks]:
        nonlocal made
        for index in range(1000):
            made += 1
            yield make_case(index)

    rows = compare_slices(cases(), ABDOMINAL_TISSUES)
    assert made == 0
    for _ in range(40):
        next(rows)
    assert made < 30
    rows.close()
    assert made < 30


def test_what_goes_wrong_with_a_slice_is_raised() -> None:
    wrong = make_case(3)
    wrong = SliceMasks("test", 3, None, wrong.mask[:5], wrong.truth)
    rows = compare_slices([*map(make_case, range(3)), wrong], ABDOMINAL_TISSUES)
    assert [next(rows).index for _ in range(12)] == [0] * 4 + [1] * 4 + [2] * 4
    with pytest.raises(ImageError, match="one shape"):
        next(rows)
