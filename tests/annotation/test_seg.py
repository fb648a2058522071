"""Segmentations: what is background, whose pixels are whose, and what must be stated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.masks import read_masks
from bodycomp.errors import SeriesError
from support.annotation_files import TISSUE_NAMES, TISSUES, Case, dicom_seg

BY_NAME = LabelMapping.parse(f"{name}={name}" for name in TISSUE_NAMES.values())


def changed(path: Path, case: Case, change: Callable[[Dataset], object], kind: str) -> Path:
    dataset = pydicom.dcmread(dicom_seg(path, case.labels, case.scan.files, kind=kind))
    change(dataset)
    dataset.save_as(path)
    return path


def renumbered(numbers: dict[int, int]) -> Callable[[Dataset], None]:
    """Give pixels and segments of a label map other numbers; 0 is the background's."""

    def change(dataset: Dataset) -> None:
        lut = np.arange(256, dtype=np.uint8)
        for old, new in numbers.items():
            lut[old] = new
        dataset.PixelData = lut[dataset.pixel_array].tobytes()
        dataset.PixelPaddingValue = int(lut[0])
        for item in dataset.SegmentSequence:
            item.SegmentNumber = int(lut[item.SegmentNumber])

    return change


@pytest.mark.parametrize(
    "numbers", [{0: 255}, {0: 255, 1: 0}, {0: 3, 3: 9}, {0: 1, 1: 0}, {1: 200}]
)
def test_the_padding_value_of_a_label_map_is_background(
    tmp_path: Path, case: Case, numbers: dict[int, int]
) -> None:
    """PS3.3 C.8.20.2; a segment may then have the number 0."""
    path = changed(tmp_path / "s", case, renumbered(numbers), "LABELMAP")
    by_number = [f"{numbers.get(value, value)}={name}" for value, name in TISSUE_NAMES.items()]
    for mapping in (BY_NAME, LabelMapping.parse(by_number)):
        masks = read_masks([path], case.scan, mapping)
        np.testing.assert_array_equal(masks.labels, case.labels)
        assert {s.value for s in masks.structures} == {numbers.get(v, v) for v in TISSUE_NAMES}


def without(*way: str | int) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        for step in way[:-1]:
            dataset = dataset[step] if isinstance(step, int) else getattr(dataset, step)
        delattr(dataset, str(way[-1]))

    return change


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        (("SegmentSequence", 1, "SegmentLabel"), "BINARY"),
        (("SegmentSequence", 1, "SegmentNumber"), "BINARY"),
        (("SegmentSequence",), "LABELMAP"),
        (("SegmentationType",), "BINARY"),
        (("MaximumFractionalValue",), "FRACTIONAL"),
        (("PerFrameFunctionalGroupsSequence",), "BINARY"),
        (("SharedFunctionalGroupsSequence",), "BINARY"),
    ],
)
def test_an_attribute_that_is_missing_is_named(
    tmp_path: Path, case: Case, way: tuple, kind: str
) -> None:
    if kind == "FRACTIONAL":
        shares = np.stack([case.labels == label for label in TISSUE_NAMES], -1).astype(np.float64)
        path = dicom_seg(tmp_path / "s", shares, case.scan.files, kind=kind)
        dataset = pydicom.dcmread(path)
        without(*way)(dataset)
        dataset.save_as(path)
    else:
        path = changed(tmp_path / "s", case, without(*way), kind)
    with pytest.raises(SeriesError, match=rf"^s: expected {way[-1]} \(....,....\)") as refusal:
        read_masks([path], case.scan, TISSUES)
    assert refusal.value.hint


def test_a_number_of_two_segments_is_refused_with_both_names(tmp_path: Path, case: Case) -> None:
    def change(dataset: Dataset) -> None:
        dataset.SegmentSequence[2].SegmentNumber = 2

    path = changed(tmp_path / "s", case, change, "BINARY")
    with pytest.raises(SeriesError) as refusal:
        read_masks([path], case.scan, TISSUES)
    assert "found 2 for 'subcutaneous_fat' and for 'visceral_fat'" in refusal.value.message
