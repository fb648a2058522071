"""Cohort sizes and splits."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.cohort.options import CohortOptions, default_splits
from bodycomp.cohort.write import with_at_most
from bodycomp.errors import UsageError
from bodycomp.phantom import sample_patient, sample_scan


@given(st.integers(3, 500))
def test_default_splits_cover_everybody_and_leave_no_split_empty(patients: int) -> None:
    splits = default_splits(patients)
    assert sum(splits) == patients
    assert min(splits) >= 1


@given(st.integers(1, 200))
def test_every_patient_has_one_split_in_order(patients: int) -> None:
    options = CohortOptions(Path("out"), patients, 0, default_splits(patients))
    found = [options.split_of(index) for index in range(patients)]
    assert found == sorted(found, key=("train", "val", "test").index)
    assert tuple(found.count(split) for split in ("train", "val", "test")) == options.splits


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"patients": 0}, "--patients of at least 1"),
        ({"seed": -1}, "--seed of at least 0"),
        ({"most_slices": 1}, "--most-slices of at least 2"),
        ({"jobs": 0}, "--jobs of at least 1"),
        ({"splits": (1, 1, 1)}, "add up to 7"),
        ({"splits": (-1, 4, 4)}, "add up to 7"),
    ],
)
def test_impossible_cohorts_are_refused(changes: dict[str, object], said: str) -> None:
    values: dict[str, object] = {"patients": 7, "seed": 0, "splits": (4, 1, 2)}
    with pytest.raises(UsageError, match=said):
        CohortOptions(Path("out"), **(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("index", range(5))
def test_long_series_get_fewer_slices_over_the_same_range(index: int) -> None:
    scan = sample_scan(sample_patient(3, index, "varied"))
    few, z_mm = with_at_most(scan, 40).slice_z_mm, scan.slice_z_mm
    assert len(few) <= 40
    assert few[0] == z_mm[0]
    assert z_mm[-1] - few[-1] < 1.01 * (few[-1] - few[0]) / (len(few) - 1)
    assert with_at_most(scan, len(z_mm)) is scan
