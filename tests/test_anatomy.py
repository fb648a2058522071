"""Coded concepts are codes that can exist, and where DICOM lists them, mean the same there."""

import pytest
from pydicom.sr.codedict import codes

from bodycomp.anatomy import ABDOMINAL_TISSUES, LEVEL_CONCEPTS, MUSCLE, VERTEBRAE

CONCEPTS = [*LEVEL_CONCEPTS.values(), *(tissue.concept for tissue in ABDOMINAL_TISSUES)]


def product(a: int, b: int) -> int:
    """In the dihedral group of ten elements: 0..4 are turns, 5..9 are reflections."""
    if a < 5:
        return (a + b) % 5 + (5 if b >= 5 else 0)
    return (a - b) % 5 + (0 if b >= 5 else 5)


def check_value(number: str) -> int:
    """Return 0 for numbers with a right last digit (Verhoeff's scheme, which SNOMED CT uses)."""
    places = [list(range(10))]
    for _ in range(7):
        places.append([(1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[digit] for digit in places[-1]])
    value = 0
    for place, digit in enumerate(reversed(number)):
        value = product(value, places[place % 8][int(digit)])
    return value


def test_check_value_tells_wrong_digits() -> None:
    assert check_value("2363") == 0  # the usual example
    assert check_value("2364") != 0


@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda concept: concept.meaning)
def test_codes_of_snomed_have_right_check_digits(concept) -> None:
    assert concept.scheme == "SCT"
    assert check_value(concept.value) == 0


def test_codes_that_dicom_lists_mean_the_same_there() -> None:
    assert codes.SCT.SkeletalMuscle.value == MUSCLE.concept.value
    known = {"L3": codes.SCT.L3Vertebra, "T12": codes.SCT.T12Vertebra, "S1": codes.SCT.Sacrum}
    assert all(LEVEL_CONCEPTS[level].value == code.value for level, code in known.items())
    assert set(LEVEL_CONCEPTS) == set(VERTEBRAE)
