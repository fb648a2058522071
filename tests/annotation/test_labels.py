"""What a term of the mapping means: a number of the file or a name, and never one for the other."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.annotation.labels import LabelMapping, Structure
from bodycomp.errors import SeriesError, UsageError

numbers = st.integers(-(2**31), 2**31 - 1)
NAME = st.text(st.characters(categories=["L", "M", "N", "Zs", "Pd"]), min_size=1, max_size=12)


@given(numbers, numbers)
def test_a_number_means_the_files_number_and_no_name(value: int, other: int) -> None:
    mapping = LabelMapping.parse([f"{value}=muscle"])
    assert mapping.find(Structure(value)) == 1
    assert mapping.find(Structure(value, "anything")) == 1
    assert mapping.find(Structure(other, str(value))) == (1 if other == value else None)


@given(numbers)
def test_a_name_that_is_a_number_counts_where_there_are_no_numbers(value: int) -> None:
    """A folder with the masks 1.nii.gz and 2.nii.gz."""
    assert LabelMapping.parse([f"{value}=muscle"]).find(Structure(None, str(value))) == 1


@given(NAME.filter(lambda name: "".join(name.split()).strip("-_")), numbers)
def test_names_match_in_any_unicode_form(name: str, value: int) -> None:
    """macOS writes the accents of file names as letters of their own (NFD)."""
    for form in ("NFC", "NFD"):
        mapping = LabelMapping.parse([f"{unicodedata.normalize(form, name)}=visceral_fat"])
        for stored in ("NFC", "NFD"):
            structure = Structure(None, unicodedata.normalize(stored, name))
            assert mapping.find(structure) == 3
    if not name.strip().isdecimal():
        assert mapping.find(Structure(value, name)) == 3


@pytest.mark.parametrize("name", ["1-2", "1 2", "1_2", "12_", "_12", "１２"])
def test_names_whose_letters_make_a_number_are_none(name: str) -> None:
    assert LabelMapping.parse(["12=muscle"]).find(Structure(5, name)) is None
    assert LabelMapping.parse(["12=muscle"]).find(Structure(None, name)) is None
    assert LabelMapping.parse([f"{name}=muscle"]).find(Structure(12)) is None


def test_signs_and_leading_zeros_of_numbers() -> None:
    mapping = LabelMapping.parse(["-1=muscle", "007=visceral_fat", "0=subcutaneous_fat"])
    assert [mapping.find(Structure(n)) for n in (-1, 1, 7, 0)] == [1, None, 3, 2]
    assert mapping.find(Structure(None, "7")) == 3


def test_a_number_that_is_another_labels_name_is_refused_with_both() -> None:
    """Whoever wrote 2=muscle may have meant the name in the file, or the number."""
    mapping = LabelMapping.parse(["1=subcutaneous_fat", "2=muscle"])
    mapping.check([Structure(1, "1"), Structure(2, "x")], "m.seg.nrrd")
    with pytest.raises(SeriesError, match=r"expected 2 to be the number .* the number 1 as well"):
        mapping.check([Structure(1, "2"), Structure(2, "1")], "m.seg.nrrd")
    with pytest.raises(SeriesError, match=r"expected labels among 2, found 1 \(2\)") as refusal:
        LabelMapping.parse(["2=muscle"]).check([Structure(1, "2")], "m.seg.nrrd")
    assert "1=muscle" in refusal.value.hint


def test_labels_of_one_number_are_kept_apart_by_names_alone() -> None:
    """Segments of different layers of Slicer may share a value."""
    twice = [Structure(1, "psoas"), Structure(1, "fat")]
    LabelMapping.parse(["psoas=muscle", "fat=visceral_fat", "1=ignore"]).check(twice, "m")
    for terms in (["1=muscle"], ["psoas=muscle", "1=visceral_fat"]):
        with pytest.raises(SeriesError, match=r"two of number 1: 1 \(psoas\) and 1 \(fat\)"):
            LabelMapping.parse(terms).check(twice, "m")


def test_names_that_differ_in_marks_alone_are_refused_in_one_annotation() -> None:
    mapping = LabelMapping.parse(["psoas l=muscle", "3=muscle", "4=ignore"])
    mapping.check([Structure(3, "Psoas-L")], "m")
    with pytest.raises(SeriesError, match=r"two of one name: 3 \(psoas-l\) and 4 \(psoas l\)"):
        mapping.check([Structure(3, "psoas-l"), Structure(4, "psoas l")], "m")
    mapping.check([Structure(3, "Mu\u0301sculo"), Structure(4, "M\u00fasculo")], "m")


def test_terms_that_cannot_be_used() -> None:
    for term in ("muscle", "=muscle", " =muscle", "1=bone", "1"):
        with pytest.raises(UsageError, match="expected LABEL=TISSUE"):
            LabelMapping.parse([term])
    for terms in (["1=muscle", "01=ignore"], ["Left psoas=muscle", "left_psoas=visceral_fat"]):
        with pytest.raises(UsageError, match="two meanings"):
            LabelMapping.parse(terms)
