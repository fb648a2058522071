"""Splits: by patient, as large as asked for, the same whatever the order, fair in every stratum."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.data.layout import SPLITS
from bodycomp.errors import UsageError
from bodycomp.preparation.options import check_fractions
from bodycomp.preparation.splits import PatientTraits, assign_splits, pseudonyms, split_counts

FRACTIONS = (0.7, 0.15, 0.15)
codes = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=80, unique=True)
shares = st.tuples(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10)).filter(any)


@given(codes=codes, parts=shares, seed=st.integers(0, 2**32), data=st.data())
def test_the_order_of_rows_does_not_matter(
    codes: list[str], parts: tuple[int, int, int], seed: int, data: st.DataObject
) -> None:
    fractions = tuple(part / sum(parts) for part in parts)
    traits = {c: PatientTraits(stratum=(data.draw(st.sampled_from("fm")),)) for c in codes}
    other = {c: traits[c] for c in data.draw(st.permutations(codes))}
    assert assign_splits(traits, fractions, seed) == assign_splits(other, fractions, seed)


@given(codes=codes, parts=shares, seed=st.integers(0, 9))
def test_every_patient_has_one_split_and_the_shares_hold(
    codes: list[str], parts: tuple[int, int, int], seed: int
) -> None:
    fractions = tuple(part / sum(parts) for part in parts)
    splits = assign_splits({c: PatientTraits() for c in codes}, fractions, seed)
    assert set(splits) == set(codes)
    found = Counter(splits.values())
    for split, share in zip(SPLITS, fractions, strict=True):
        wanted = share * len(codes)
        assert abs(found[split] - wanted) < 3
        if share == 0:
            assert found[split] == 0
        elif len(codes) >= 3:
            assert found[split] > 0


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    seed=st.integers(0, 1000),
)
def test_every_stratum_is_shared_like_the_whole(sizes: list[int], seed: int) -> None:
    traits = {
        f"{stratum}-{i}": PatientTraits(stratum=(str(stratum),))
        for stratum, size in enumerate(sizes)
        for i in range(size)
    }
    splits = assign_splits(traits, FRACTIONS, seed)
    counts = split_counts(len(traits), FRACTIONS)
    for stratum, size in enumerate(sizes):
        found = Counter(s for code, s in splits.items() if code.startswith(f"{stratum}-"))
        for split, count in zip(SPLITS, counts, strict=True):
            assert abs(found[split] - size * count / len(traits)) <= 2


def test_splits_that_are_given_stay() -> None:
    traits = {f"p{i}": PatientTraits(split="test" if i < 5 else "") for i in range(15)}
    splits = assign_splits(traits, (0.8, 0.2, 0.0), seed=3)
    assert {splits[f"p{i}"] for i in range(5)} == {"test"}
    assert Counter(splits[f"p{i}"] for i in range(5, 15)) == {"train": 8, "val": 2}


def test_seeds_differ() -> None:
    traits = {f"p{i}": PatientTraits() for i in range(30)}
    assert assign_splits(traits, FRACTIONS, 1) != assign_splits(traits, FRACTIONS, 2)


def test_pseudonyms_tell_neither_order_nor_split() -> None:
    names = [f"p{i:03d}" for i in range(100)]
    given_names = pseudonyms(names, seed=0)
    assert given_names == pseudonyms(reversed(names), seed=0)
    assert len(set(given_names.values())) == 100
    assert [given_names[n] for n in names] != sorted(given_names.values())
    splits = assign_splits({n: PatientTraits() for n in names}, FRACTIONS, 0)
    first_half = [n for n in names if given_names[n] <= "patient-0050"]
    assert 20 < sum(splits[n] == "train" for n in first_half) < 50


@pytest.mark.parametrize("fractions", [(0.5, 0.1, 0.1), (1.2, -0.2, 0.0), (float("nan"), 0, 0)])
def test_shares_that_do_not_add_up_are_refused(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="add up to 1"):
        check_fractions(fractions)
