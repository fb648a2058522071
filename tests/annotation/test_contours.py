"""Closed contours become pixels at whose centre they enclose the plane; inner ones are holes."""

from __future__ import annotations

from pathlib import Path

import matplotlib.path
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian

from bodycomp.annotation.contours import fill_contours, fill_region
from bodycomp.annotation.masks import read_masks
from bodycomp.errors import SeriesError
from support.annotation_files import TISSUES, Case, outlines, rtstruct, slice_outlines


def square(low: float, high: float) -> np.ndarray:
    return np.array([[low, low], [low, high], [high, high], [high, low]])


def test_holes_islands_and_what_lies_outside_the_image() -> None:
    nested = [square(0.5, 8.5), square(2.5, 6.5), square(3.5, 5.5)]
    mask = fill_contours(nested, (10, 10))
    assert mask.sum() == 8 * 8 - 4 * 4 + 2 * 2
    assert fill_contours([square(-5, 20)], (4, 6)).all()
    assert not fill_contours([square(20, 30)], (4, 6)).any()
    assert not fill_contours([square(-30, -20)], (4, 6)).any()


def test_keyholes_are_holes() -> None:
    """One line runs in to the hole and back on itself (PS3.3 C.8.8.6.3), in any direction."""
    outer, hole = square(0.5, 8.5), square(2.5, 6.5)
    keyhole = np.vstack([outer, outer[:1], hole, hole[:1]])
    expected = fill_contours([outer, hole], (10, 10))
    np.testing.assert_array_equal(fill_contours([keyhole], (10, 10)), expected)
    np.testing.assert_array_equal(fill_contours([keyhole[::-1]], (10, 10)), expected)


def test_neighbors_that_share_a_line_share_no_pixel() -> None:
    left, right = square(0, 5), square(0, 5) + np.array([0, 5])
    one, other = (fill_contours([shape], (12, 12)) for shape in (left, right))
    assert one.sum() == other.sum() == 25
    assert not (one & other).any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-3, 15, width=32), st.floats(-3, 15, width=32)), min_size=3, max_size=12
    )
)
def test_filling_does_not_depend_on_start_or_direction(points: list[tuple[float, float]]) -> None:
    contour = np.array(points)
    filled = fill_contours([contour], (12, 12))
    np.testing.assert_array_equal(fill_contours([contour[::-1]], (12, 12)), filled)
    np.testing.assert_array_equal(fill_contours([np.roll(contour, 2, axis=0)], (12, 12)), filled)


@pytest.mark.parametrize("seed", range(5))
def test_convex_shapes_equal_matplotlib(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 20))
    contour = np.column_stack([15 + 12 * np.sin(angles), 14 + 9 * np.cos(angles)])
    centers = np.stack(np.meshgrid(np.arange(32), np.arange(30), indexing="ij"), -1)
    expected = matplotlib.path.Path(contour).contains_points(centers.reshape(-1, 2))
    np.testing.assert_array_equal(fill_contours([contour], (32, 30)).ravel(), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_outlines_of_any_mask_fill_to_the_mask(seed: int) -> None:
    mask = np.random.default_rng(seed).random((14, 17)) < 0.6
    np.testing.assert_array_equal(fill_contours(outlines(mask), mask.shape), mask)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_regions_of_any_mask_fill_to_the_mask(seed: int) -> None:
    """Holes, islands in holes and islands that touch are neither repeated nor united."""
    mask = np.random.default_rng(seed).random((14, 17)) < 0.6
    filled = fill_region(outlines(mask), mask.shape)
    np.testing.assert_array_equal(filled.mask, mask)
    assert (filled.repeated, filled.united) == (0, 0)


def as_stored_again(contour: np.ndarray, start: int, turned: bool, closed: bool) -> np.ndarray:
    again = np.roll(contour, start, axis=0)[:: -1 if turned else 1]
    return np.vstack([again, again[:1]]) if closed else again


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    start=st.integers(0, 19),
    turned=st.booleans(),
    closed=st.booleans(),
    jitter=st.floats(0, 0.2),
    times=st.integers(1, 3),
)
def test_contours_that_are_stored_more_than_once_count_once(
    seed: int, start: int, turned: bool, closed: bool, jitter: float, times: int
) -> None:
    """From whatever point, in whatever direction, and within the rounding of coordinates."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 20))
    contour = np.column_stack([15 + 12 * np.sin(angles), 14 + 9 * np.cos(angles)])
    hole = square(13.5, 15.5)
    moved = contour + rng.uniform(-jitter, jitter, contour.shape)
    repeats = [as_stored_again(moved, start, turned, closed)] * times
    filled = fill_region([contour, hole, *repeats], (32, 30))
    np.testing.assert_array_equal(filled.mask, fill_contours([contour, hole], (32, 30)))
    assert (filled.repeated, filled.united) == (times, 0)


@given(laps=st.integers(2, 4), closed=st.booleans(), ends_closed=st.booleans())
def test_a_contour_that_runs_along_itself_several_times_counts_once(
    laps: int, closed: bool, ends_closed: bool
) -> None:
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    contour = np.column_stack([15 + 12 * np.sin(angles), 14 + 9 * np.cos(angles)])
    lap = np.vstack([contour, contour[:1]]) if closed else contour
    several = np.vstack([lap] * laps + [contour[:1]] * ends_closed)
    filled = fill_region([several], (32, 30))
    np.testing.assert_array_equal(filled.mask, fill_region([contour], (32, 30)).mask)
    assert (filled.repeated, filled.united) == (1, 0)


corners = st.integers(0, 12)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(corners, corners, st.integers(1, 9), st.integers(1, 9)), max_size=5))
def test_rectangles_are_united_or_holes_or_refused(boxes: list[tuple[int, ...]]) -> None:
    """Those that overlap in part give all their pixels; holes alone take pixels away."""
    shape = (22, 22)
    masks = []
    for row, column, height, width in boxes:
        mask = np.zeros(shape, bool)
        mask[row : row + height, column : column + width] = True
        masks.append(mask)
    distinct = [m for i, m in enumerate(masks) if not any((m == o).all() for o in masks[:i])]
    try:
        filled = fill_region([outlines(mask)[0] for mask in masks], shape)
    except SeriesError:
        return
    assert filled.repeated == len(masks) - len(distinct)
    every = np.any([*masks, np.zeros(shape, bool)], axis=0)
    assert not (filled.mask & ~every).any()
    nested = any((a & b == a).all() for a in distinct for b in distinct if a is not b)
    if not nested:
        np.testing.assert_array_equal(filled.mask, every)


def test_strokes_are_united_around_their_hole() -> None:
    strokes = [square(0.5, 8.5), square(0.5, 8.5) + np.array([0, 5])]
    hole = square(1.5, 4.5)
    filled = fill_region([*strokes, hole], (20, 20))
    assert filled.mask.sum() == 8 * 13 - 3 * 3
    assert filled.united == 2


def test_a_hole_may_touch_the_contour_around_it_within_rounding() -> None:
    for top in (0.95, 1, 1.05):
        hole = np.array([[top, 3], [top, 6], [5, 6], [5, 3]])
        for outer in (square(1, 9), square(1.02, 9)):
            every = fill_contours([outer], (12, 12))
            inner = fill_contours([hole], (12, 12))
            filled = fill_region([hole, outer], (12, 12))
            np.testing.assert_array_equal(filled.mask, every & ~inner)
            assert filled.united == 0


def test_what_may_be_a_hole_or_a_stroke_is_refused() -> None:
    """The third lies within the first, as a hole, and overlaps the second, as a stroke."""
    contours = [square(0.5, 8.5), square(0.5, 8.5) + np.array([0, 5]), square(2.5, 6.5)]
    with pytest.raises(SeriesError, match="expected contours that overlap in part to be strokes"):
        fill_region([*contours[:2], contours[2] + np.array([0, 1])], (20, 20))


def test_contours_without_a_pixel_are_nothing() -> None:
    assert not fill_region([], (5, 5)).mask.any()
    specks = [square(2.2, 2.4), square(2.2, 2.4), square(40, 50), np.array([[1.0, 1.0]])]
    filled = fill_region(specks, (5, 5))
    assert not filled.mask.any()
    assert filled.repeated == 0


def shifted(case: Case, mm: float) -> list[tuple[int, np.ndarray]]:
    found = slice_outlines(case.labels, 1, case.scan.volume)
    return [(index, points + np.array([0, 0, mm])) for index, points in found]


def test_contours_between_slices_are_refused_with_count_and_height(
    tmp_path: Path, case: Case
) -> None:
    contours = shifted(case, 2.5)
    path = rtstruct(tmp_path / "rs", {"muscle": contours}, case.scan.files)
    z_mm = case.scan.volume.slice_z_mm[0] + 2.5
    with pytest.raises(SeriesError) as refusal:
        read_masks([path], case.scan, TISSUES)
    assert f"found {len(contours)} of {len(contours)} contours of 'muscle'" in str(refusal.value)
    assert f"the first at z = {z_mm:.2f} mm" in str(refusal.value)


def test_contours_are_matched_by_height_within_rounding(tmp_path: Path, case: Case) -> None:
    path = rtstruct(tmp_path / "rs", {"muscle": shifted(case, 0.3)}, case.scan.files)
    np.testing.assert_array_equal(read_masks([path], case.scan, TISSUES).labels, case.labels == 1)


def test_long_contours_stored_as_unknown_bytes(tmp_path: Path, case: Case) -> None:
    """Explicit transfer syntaxes hold contours of more than 64 kB as UN (PS3.5 6.2.2)."""
    path = rtstruct(tmp_path / "rs", {"muscle": shifted(case, 0)}, case.scan.files)
    dataset = pydicom.dcmread(path)
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        text = "\\".join(str(x) for x in contour.ContourData).encode()
        del contour.ContourData
        contour.add_new(0x30060050, "UN", text + b" " * (len(text) % 2))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(tmp_path / "un")
    masks = read_masks([tmp_path / "un"], case.scan, TISSUES)
    np.testing.assert_array_equal(masks.labels, case.labels == 1)


def test_contours_that_name_another_slice_are_refused(tmp_path: Path, case: Case) -> None:
    contours = [(index + 1, points) for index, points in shifted(case, 0) if index < 11]
    path = rtstruct(tmp_path / "rs", {"muscle": contours}, case.scan.files)
    with pytest.raises(SeriesError, match="expected contours on the slices of the scan"):
        read_masks([path], case.scan, TISSUES)


def test_contours_across_slices_are_refused(tmp_path: Path, case: Case) -> None:
    leaning = [(i, p + np.outer(p[:, 1] - p[0, 1], [0, 0, 0.2])) for i, p in shifted(case, 0)]
    path = rtstruct(tmp_path / "rs", {"muscle": leaning}, case.scan.files)
    with pytest.raises(SeriesError, match="expected contours on the slices of the scan"):
        read_masks([path], case.scan, TISSUES)


def test_points_and_open_lines_are_noted(tmp_path: Path, case: Case) -> None:
    regions = {"marker": shifted(case, 0)[:3]}
    path = rtstruct(tmp_path / "rs", regions, case.scan.files, geometric_type="OPEN_PLANAR")
    masks = read_masks([path], case.scan, TISSUES)
    assert masks.structures == ()
