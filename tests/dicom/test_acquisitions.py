"""Acquisitions that follow one another are one stack, those that overlap are several."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bodycomp.dicom.acquisitions import MAX_SHARED_SLICES, split_acquisitions
from bodycomp.dicom.file_header import FileHeader
from support.image_headers import image_header

SPACING_MM = 5.0
Pieces = list[tuple[int, int]]


def images(pieces: Pieces, offset_mm: float = 0.0) -> list[FileHeader]:
    """An acquisition for each first and last slice."""
    return [
        image_header(SPACING_MM * index + offset_mm * number, acquisition_number=number)
        for number, (first, last) in enumerate(pieces, start=1)
        for index in range(first, last + 1)
    ]


@st.composite
def chains(draw: st.DrawFn, shared: st.SearchStrategy[int]) -> Pieces:
    """Two to five acquisitions of eight slices or more; each shares slices with the one before."""
    pieces, first = [], 0
    for _ in range(draw(st.integers(2, 5))):
        last = first + draw(st.integers(7, 12))
        pieces.append((first, last))
        first = last + 1 - draw(shared)
    return pieces


@given(chains(st.integers(-3, MAX_SHARED_SLICES)), st.randoms())
def test_acquisitions_that_share_ends_at_most_are_one_stack_with_a_slice_per_place(
    pieces: Pieces, random: object
) -> None:
    headers = images(pieces)
    random.shuffle(headers)
    ((stack, left_out),) = split_acquisitions(headers)
    places = [header.position_mm for header in stack]
    assert sorted(set(places)) == sorted(places)
    assert set(places) == {header.position_mm for header in headers}
    assert len(stack) + left_out == len(headers)


@given(chains(st.integers(1, MAX_SHARED_SLICES)))
def test_first_acquisition_keeps_its_end_slices(pieces: Pieces) -> None:
    ((stack, _),) = split_acquisitions(images(pieces))
    first, last = pieces[0]
    assert sum(header.acquisition_number == 1 for header in stack) == last - first + 1


@given(chains(st.integers(1, MAX_SHARED_SLICES)), st.floats(-2.2, -0.3))
def test_end_slices_off_the_grid_of_the_other_leave_no_narrow_gap(
    pieces: Pieces, offset_mm: float
) -> None:
    ((stack, _),) = split_acquisitions(images(pieces, offset_mm))
    z_mm = sorted((header.position_mm or ())[2] for header in stack)
    gaps_mm = [upper - lower for lower, upper in itertools.pairwise(z_mm)]
    assert min(gaps_mm) >= SPACING_MM / 2 - 1e-6
    assert max(gaps_mm) <= 1.5 * SPACING_MM + 1e-6


@given(chains(st.just(MAX_SHARED_SLICES + 1)))
def test_acquisitions_that_overlap_by_more_are_taken_apart(pieces: Pieces) -> None:
    stacks = split_acquisitions(images(pieces))
    assert len(stacks) == 2
    assert sum(len(stack) for stack, _ in stacks) == len(images(pieces))


@given(chains(st.integers(-1, MAX_SHARED_SLICES)))
def test_phases_of_several_acquisitions_each_are_whole(pieces: Pieces) -> None:
    """The second phase is scanned after the first, over the same stretch of the body."""
    first, second = split_acquisitions(images([*pieces, *pieces]))
    assert [h.position_mm for h in first[0]] == [h.position_mm for h in second[0]]
    assert {h.acquisition_number for h in first[0]} == set(range(1, len(pieces) + 1))


def test_a_number_for_every_slice_keeps_a_series_whole() -> None:
    headers = [image_header(SPACING_MM * n, acquisition_number=n) for n in range(20)]
    assert [(len(stack), out) for stack, out in split_acquisitions(headers)] == [(20, 0)]
