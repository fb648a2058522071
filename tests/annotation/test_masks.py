"""One annotation in every format gives the same labels, and what does not fit is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from annotation_files import (
    TISSUE_NAMES,
    TISSUES,
    Case,
    dicom_seg,
    mask_folder,
    nifti_map,
    nrrd_map,
    png_folder,
    seg_nrrd,
)
from bodycomp.annotation.masks import read_masks

SEGMENTS = [(name, label, 0) for label, name in TISSUE_NAMES.items()]
Write = Callable[[Path, Case], Path]


def one_layer(path: Path, case: Case) -> Path:
    return seg_nrrd(path / "s.seg.nrrd", [case.labels], case.scan.volume, SEGMENTS)


def two_layers(path: Path, case: Case) -> Path:
    """Two segments of different layers with one label value, as Slicer writes after an overlap."""
    first = (case.labels == 1).astype(np.uint8)
    second = np.where(case.labels > 1, case.labels - 1, 0).astype(np.uint8)
    segments = [("muscle", 1, 0), ("subcutaneous_fat", 1, 1), ("visceral_fat", 2, 1)]
    return seg_nrrd(path / "s.seg.nrrd", [first, second], case.scan.volume, segments)


def fractional(path: Path, case: Case) -> Path:
    shares = [np.where(case.labels == label, 0.75, 0.25) for label in TISSUE_NAMES]
    return dicom_seg(path / "s", np.stack(shares, -1), case.scan.files, kind="FRACTIONAL")


EXACT: dict[str, Write] = {
    "SEG": lambda path, c: dicom_seg(path / "s.dcm", c.labels, c.scan.files),
    "SEG label map": lambda p, c: dicom_seg(p / "s", c.labels, c.scan.files, kind="LABELMAP"),
    "SEG fractional": fractional,
    "SEG from the head": lambda p, c: dicom_seg(p / "s", c.labels[::-1], c.scan.files[::-1]),
    "NIfTI": lambda path, c: nifti_map(path / "s.nii.gz", c.labels, c.scan.volume),
    "NRRD": lambda path, c: nrrd_map(path / "s.nrrd", c.labels, c.scan.volume),
    "NRRD detached": lambda path, c: nrrd_map(path / "s.nhdr", c.labels, c.scan.volume),
    "Slicer": one_layer,
    "Slicer layers": two_layers,
    "PNG by UID": lambda p, c: png_folder(p / "s", c.labels, c.scan.sop_instance_uids),
    "PNG by number": lambda p, c: png_folder(
        p / "s", c.labels, [f"i{n:06d}" for n in c.scan.instance_numbers], palette=True
    ),
    "PNG by index": lambda p, c: png_folder(
        p / "s", c.labels, [f"{n:06d}" for n in range(len(c.labels))]
    ),
    "masks": lambda p, c: mask_folder(
        p / "s", {name: c.labels == k for k, name in TISSUE_NAMES.items()}, c.scan.volume
    ),
}


@pytest.mark.parametrize("write", EXACT.values(), ids=EXACT)
def test_formats_of_pixels_give_back_exactly_the_labels(
    tmp_path: Path, case: Case, write: Write
) -> None:
    masks = read_masks([write(tmp_path, case)], case.scan, TISSUES)
    np.testing.assert_array_equal(masks.labels, case.labels)
    assert masks.labels.dtype == np.uint8
    assert masks.annotated.all()
    assert [s.value for s in masks.structures] == [1, 2, 3]
    assert {s.name for s in masks.structures} in ({""}, set(TISSUE_NAMES.values()))
