"""Structure sets: whose contours are whose, how they are combined, and what must be stated."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.masks import read_masks
from bodycomp.errors import SeriesError
from support.annotation_files import TISSUES, Case, rtstruct, slice_outlines

NAMES = ("muscle", "subcutaneous_fat", "visceral_fat")


def structure_set(path: Path, case: Case, change: Callable[[Dataset], object]) -> Path:
    """The case's tissues on slice 4, changed before they are saved."""
    regions = {
        name: [
            (i, points)
            for i, points in slice_outlines(case.labels, label, case.scan.volume)
            if i == 4
        ]
        for label, name in enumerate(NAMES, start=1)
    }
    dataset = pydicom.dcmread(rtstruct(path, regions, case.scan.files))
    change(dataset)
    dataset.save_as(path)
    return path


def expected(case: Case) -> np.ndarray:
    labels = np.zeros_like(case.labels)
    labels[4] = case.labels[4]
    return labels


def numbered(numbers: list[int]) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        for number, roi, contours in zip(
            numbers, dataset.StructureSetROISequence, dataset.ROIContourSequence, strict=True
        ):
            roi.ROINumber = contours.ReferencedROINumber = number

    return change


@pytest.mark.parametrize(
    "numbers", [[0, 1, 2], [-1, 0, 1], [65535, 65536, 65537], [7, 2**31 - 1, 3]]
)
def test_any_numbers_of_regions_match_by_name_and_by_number(
    tmp_path: Path, case: Case, numbers: list[int]
) -> None:
    """They are whole numbers of 32 bits without further meaning (PS3.3 C.8.8.5)."""
    path = structure_set(tmp_path / "rs", case, numbered(numbers))
    by_number = [f"{n}={name}" for n, name in zip(numbers, NAMES, strict=True)]
    by_name = [f"{name}={name}" for name in NAMES]
    for terms in (by_name, by_number):
        masks = read_masks([path], case.scan, LabelMapping.parse(terms))
        np.testing.assert_array_equal(masks.labels, expected(case))
        assert sorted(s.value for s in masks.structures) == sorted(numbers)


def test_a_number_of_two_regions_is_refused_with_both_names(tmp_path: Path, case: Case) -> None:
    path = structure_set(tmp_path / "rs", case, numbered([1, 2, 2]))
    with pytest.raises(SeriesError, match="found 2 for 'subcutaneous_fat' and for 'visceral_fat'"):
        read_masks([path], case.scan, TISSUES)


def without(*way: str | int) -> Callable[[Dataset], None]:
    """Delete an attribute; the way to it goes through sequences and places in them."""

    def change(dataset: Dataset) -> None:
        for step in way[:-1]:
            dataset = dataset[step] if isinstance(step, int) else getattr(dataset, step)
        delattr(dataset, str(way[-1]))

    return change


ROI, CONTOURS = "StructureSetROISequence", "ROIContourSequence"
CONTOUR = (CONTOURS, 1, "ContourSequence", 0)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (without(ROI), r"StructureSetROISequence \(3006,0020\)"),
        (without(CONTOURS), r"ROIContourSequence \(3006,0039\)"),
        (without(ROI, 1, "ROINumber"), r"ROINumber \(3006,0022\).* the ROI 'subcutaneous_fat'"),
        (without(CONTOURS, 1, "ReferencedROINumber"), r"ReferencedROINumber \(3006,0084\)"),
        (
            without(*CONTOUR, "ContourGeometricType"),
            r"ContourGeometricType \(3006,0042\).* contour 1 of ROI 2 \(subcutaneous_fat\)",
        ),
        (
            without(*CONTOUR, "ContourData"),
            r"ContourData \(3006,0050\).* contour 1 of ROI 2 \(subcutaneous_fat\)",
        ),
    ],
)
def test_an_attribute_that_is_missing_is_named(
    tmp_path: Path, case: Case, change: Callable[[Dataset], None], found: str
) -> None:
    path = structure_set(tmp_path / "rs", case, change)
    with pytest.raises(SeriesError, match=rf"^rs: expected {found}") as refusal:
        read_masks([path], case.scan, TISSUES)
    assert refusal.value.hint


@pytest.mark.parametrize(
    "way", [(*CONTOUR, "NumberOfContourPoints"), (CONTOURS, 1, "ROIDisplayColor")]
)
def test_what_is_not_needed_may_be_missing(tmp_path: Path, case: Case, way: tuple) -> None:
    path = structure_set(tmp_path / "rs", case, without(*way))
    np.testing.assert_array_equal(read_masks([path], case.scan, TISSUES).labels, expected(case))


def test_a_region_without_a_name_goes_by_its_number(tmp_path: Path, case: Case) -> None:
    path = structure_set(tmp_path / "rs", case, without(ROI, 1, "ROIName"))
    np.testing.assert_array_equal(read_masks([path], case.scan, TISSUES).labels, expected(case))


def test_contours_of_no_region_are_refused(tmp_path: Path, case: Case) -> None:
    def change(dataset: Dataset) -> None:
        dataset.ROIContourSequence[2].ReferencedROINumber = 9

    path = structure_set(tmp_path / "rs", case, change)
    with pytest.raises(SeriesError, match="found none with the ROI number 9, which"):
        read_masks([path], case.scan, TISSUES)


def test_contours_that_were_cut_off_are_refused(tmp_path: Path, case: Case) -> None:
    def change(dataset: Dataset) -> None:
        contour = dataset.ROIContourSequence[0].ContourSequence[0]
        contour.ContourData = contour.ContourData[:-3]

    path = structure_set(tmp_path / "rs", case, change)
    with pytest.raises(SeriesError, match=r"found \d+ numbers for \d+ points .* ROI 1 \(muscle\)"):
        read_masks([path], case.scan, TISSUES)


def every_type(kind: str) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        contours = (c for item in dataset.ROIContourSequence for c in item.ContourSequence)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # one of the spellings is too long
            for contour in contours:
                contour.ContourGeometricType = kind

    return change


@pytest.mark.parametrize("kind", ["CLOSEDPLANAR_XOR", "CLOSED_PLANAR_XOR"])
def test_xor_contours_cancel_where_they_are_stored_twice(
    tmp_path: Path, case: Case, kind: str
) -> None:
    def change(dataset: Dataset) -> None:
        every_type(kind)(dataset)
        muscle = dataset.ROIContourSequence[0].ContourSequence
        muscle.extend(list(muscle))

    path = structure_set(tmp_path / "rs", case, change)
    labels = expected(case)
    labels[labels == 1] = 0
    np.testing.assert_array_equal(read_masks([path], case.scan, TISSUES).labels, labels)


def test_closed_contours_that_are_stored_twice_count_once(tmp_path: Path, case: Case) -> None:
    def change(dataset: Dataset) -> None:
        muscle = dataset.ROIContourSequence[0].ContourSequence
        muscle.extend(list(muscle))

    path = structure_set(tmp_path / "rs", case, change)
    masks = read_masks([path], case.scan, TISSUES)
    np.testing.assert_array_equal(masks.labels, expected(case))
    assert any("stored more than once, and count once: " in note for note in masks.notes)


def test_unknown_and_mixed_types_are_refused(tmp_path: Path, case: Case) -> None:
    path = structure_set(tmp_path / "rs", case, every_type("CLOSED PLANAR"))
    with pytest.raises(SeriesError, match=r"ContourGeometricType among .* found 'CLOSED PLANAR'"):
        read_masks([path], case.scan, TISSUES)

    def change(dataset: Dataset) -> None:
        contour = dataset.ROIContourSequence[0].ContourSequence[0]
        contour.ContourGeometricType = "CLOSEDPLANAR_XOR"

    path = structure_set(tmp_path / "rs", case, change)
    with pytest.raises(SeriesError, match=r"contours of one type in ROI 1 \(muscle\)"):
        read_masks([path], case.scan, TISSUES)


def test_strokes_are_united_with_a_note_or_refused_with_region_and_slice(
    tmp_path: Path, case: Case
) -> None:
    volume = case.scan.volume

    def box(rows: slice, columns: slice) -> tuple[int, np.ndarray]:
        labels = np.zeros_like(case.labels)
        labels[4, rows, columns] = 1
        (found,) = slice_outlines(labels, 1, volume)
        return found

    strokes = [box(slice(20, 40), slice(20, 40)), box(slice(20, 40), slice(30, 60))]
    path = rtstruct(tmp_path / "rs", {"muscle": strokes}, case.scan.files)
    masks = read_masks([path], case.scan, TISSUES)
    assert masks.labels.sum() == 20 * 40
    assert masks.notes == ("contours that overlap another in part, and were united: 2",)
    strokes.append(box(slice(25, 30), slice(25, 35)))
    path = rtstruct(tmp_path / "rs", {"muscle": strokes}, case.scan.files)
    with pytest.raises(SeriesError, match="as a hole does; ROI 'muscle', slice 4 from the feet"):
        read_masks([path], case.scan, TISSUES)
