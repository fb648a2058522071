"""One annotation in every format gives the same labels, and what does not fit is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.spatial.distance import dice

from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.masks import MaskVolume, read_masks
from bodycomp.errors import InputNotFoundError, SeriesError
from bodycomp.reading.read_scan import read_scan
from support.annotation_files import (
    TISSUE_NAMES,
    TISSUES,
    Case,
    dicom_seg,
    mask_folder,
    nifti_map,
    nrrd_map,
    png_folder,
    rtstruct,
    seg_nrrd,
    slice_outlines,
)

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
    assert [s.value for s in masks.structures] in ([1, 2, 3], [1, 1, 2], [None] * 3)
    assert {s.name for s in masks.structures} in ({""}, set(TISSUE_NAMES.values()))


def contours(path: Path, case: Case) -> Path:
    regions = {
        name: slice_outlines(case.labels, label, case.scan.volume)
        for label, name in TISSUE_NAMES.items()
    }
    return rtstruct(path / "rs.dcm", regions, case.scan.files)


def test_contours_give_back_the_labels(tmp_path: Path, case: Case) -> None:
    """Contours halfway between pixel centres, rounded to 0.01 mm: every pixel comes back."""
    masks = read_masks([contours(tmp_path, case)], case.scan, TISSUES)
    overlaps = [
        1 - dice((masks.labels == label).ravel(), (case.labels == label).ravel())
        for label in TISSUE_NAMES
    ]
    assert min(overlaps) >= 0.99
    assert masks.annotated.all()
    assert {s.name for s in masks.structures} == set(TISSUE_NAMES.values())


def test_every_format_agrees_on_which_slices_are_annotated(tmp_path: Path, case: Case) -> None:
    """Slices with ignored labels alone are annotated; empty ones are not."""
    labels = np.zeros_like(case.labels)
    labels[3], labels[5, 40, 40] = case.labels[3], 7
    mapping = LabelMapping.parse([*(f"{k}={n}" for k, n in TISSUE_NAMES.items()), "7=ignore"])
    masks = read_masks(
        [nifti_map(tmp_path / "m.nii", labels, case.scan.volume)], case.scan, mapping
    )
    assert np.flatnonzero(masks.annotated).tolist() == [3, 5]
    np.testing.assert_array_equal(masks.labels[3], case.labels[3])
    assert masks.labels[5].max() == 0
    assert [s.value for s in masks.structures] == [1, 2, 3, 7]


def test_an_annotation_without_labels_says_nothing(tmp_path: Path, case: Case) -> None:
    path = nifti_map(tmp_path / "m.nii", np.zeros_like(case.labels), case.scan.volume)
    masks = read_masks([path], case.scan, TISSUES)
    assert not masks.annotated.any()
    assert masks.structures == ()


def test_tissues_in_files_of_their_own_are_put_together(tmp_path: Path, case: Case) -> None:
    """Also where they share pixels of equal tissue."""
    volume = case.scan.volume
    fat = np.where(case.labels > 1, case.labels, 0).astype(np.uint8)
    all_muscle = (case.labels == 1).astype(np.uint8)
    some_muscle = all_muscle * (np.arange(128) > 60).astype(np.uint8)
    paths = [
        nifti_map(tmp_path / "fat.nii.gz", fat, volume),
        nrrd_map(tmp_path / "muscle.nrrd", all_muscle, volume),
        dicom_seg(tmp_path / "psoas.dcm", some_muscle, case.scan.files, {1: "muscle"}),
    ]
    masks = read_masks(paths, case.scan, TISSUES)
    np.testing.assert_array_equal(masks.labels, case.labels)


def test_a_file_of_one_mask_goes_by_its_name(tmp_path: Path, case: Case) -> None:
    """So that masks of TotalSegmentator can be given one by one; all of them have the label 1."""
    volume, fat = case.scan.volume, (case.labels == 2).astype(np.uint8)
    paths = [
        nifti_map(tmp_path / "skeletal_muscle.nii.gz", (case.labels == 1).astype(np.uint8), volume),
        nrrd_map(tmp_path / "outer.nrrd", fat * np.uint8(255), volume),
    ]
    mapping = LabelMapping.parse(["skeletal muscle=muscle", "outer=subcutaneous_fat"])
    masks = read_masks(paths, case.scan, mapping)
    np.testing.assert_array_equal(masks.labels, np.where(case.labels > 2, 0, case.labels))
    with pytest.raises(SeriesError, match=r"outer\.nrrd: .*found 255 \(outer\)"):
        read_masks(paths, case.scan, LabelMapping.parse(["skeletal_muscle=muscle"]))


def test_a_pixel_of_two_tissues_is_refused_with_count_and_place(tmp_path: Path, case: Case) -> None:
    other = np.zeros_like(case.labels)
    row, column = np.argwhere(case.labels[4] == 1)[0]
    other[4, row, column] = 2
    paths = [
        nifti_map(tmp_path / "one.nii", case.labels, case.scan.volume),
        nifti_map(tmp_path / "two.nii", other, case.scan.volume),
    ]
    with pytest.raises(SeriesError) as refusal:
        read_masks(paths, case.scan, TISSUES)
    assert refusal.value.message == (
        "expected one tissue per pixel, found pixels with two: 1 of muscle and subcutaneous_fat; "
        f"two.nii: first at slice 4 from the feet (counted from 0), row {row}, column {column}"
    )
    ignoring = LabelMapping.parse(["1=muscle", "2=ignore", "3=visceral_fat"])
    masks = read_masks(paths, case.scan, ignoring)
    assert masks.labels[4, row, column] == 1


def test_overlapping_segments_are_refused(tmp_path: Path, case: Case) -> None:
    masks = np.stack([case.labels == 1, case.labels >= 1], -1).astype(np.uint8)
    names = {1: "muscle", 2: "visceral_fat"}
    path = dicom_seg(tmp_path / "s.dcm", masks, case.scan.files, names)
    count = int((case.labels == 1).sum())
    with pytest.raises(SeriesError, match=rf"with two: {count} of muscle and visceral_fat"):
        read_masks([path], case.scan, TISSUES)


def test_all_unknown_labels_are_named(tmp_path: Path, case: Case) -> None:
    muscle = LabelMapping.parse(["1=muscle"])
    path = nifti_map(tmp_path / "m.nii", case.labels, case.scan.volume)
    with pytest.raises(SeriesError, match=r"m\.nii: expected labels among 1, found 2, 3"):
        read_masks([path], case.scan, muscle)
    path = dicom_seg(tmp_path / "s.dcm", case.labels, case.scan.files)
    with pytest.raises(SeriesError, match=r"found 2 \(subcutaneous_fat\), 3 \(visceral_fat\)"):
        read_masks([path], case.scan, muscle)
    path = contours(tmp_path, case)
    with pytest.raises(SeriesError, match=r"found 2 \(subcutaneous_fat\), 3 \(visceral_fat\)"):
        read_masks([path], case.scan, muscle)


def test_segments_without_pixels_need_no_meaning(tmp_path: Path, case: Case) -> None:
    segments = [*SEGMENTS, ("Segment_4", 4, 0)]
    path = seg_nrrd(tmp_path / "s.seg.nrrd", [case.labels], case.scan.volume, segments)
    assert len(read_masks([path], case.scan, TISSUES).structures) == 3
    regions = {
        "muscle": slice_outlines(case.labels, 1, case.scan.volume),
        "couch": [],
    }
    path = rtstruct(tmp_path / "rs", regions, case.scan.files)
    assert [s.name for s in read_masks([path], case.scan, TISSUES).structures] == ["muscle"]


def test_a_structures_name_counts_before_its_number(tmp_path: Path, case: Case) -> None:
    names = {1: "Left Muscle", 2: "fat-outside", 3: "fat inside"}
    mapping = LabelMapping.parse(
        [
            "left_muscle=muscle",
            "Fat Outside=subcutaneous_fat",
            "fat_inside=visceral_fat",
            "1=ignore",
        ]
    )
    path = dicom_seg(tmp_path / "s.dcm", case.labels, case.scan.files, names)
    np.testing.assert_array_equal(read_masks([path], case.scan, mapping).labels, case.labels)


def test_cropped_segmentation_is_placed_by_its_origin(tmp_path: Path, case: Case) -> None:
    extent = (slice(2, 7), slice(30, 100), slice(20, 90))
    path = seg_nrrd(
        tmp_path / "s.seg.nrrd", [case.labels], case.scan.volume, SEGMENTS, extent=extent
    )
    expected = np.zeros_like(case.labels)
    expected[extent] = case.labels[extent]
    masks = read_masks([path], case.scan, TISSUES)
    np.testing.assert_array_equal(masks.labels, expected)
    assert np.flatnonzero(masks.annotated).tolist() == [2, 3, 4, 5, 6]


def test_what_is_no_annotation_is_refused(tmp_path: Path, case: Case) -> None:
    with pytest.raises(InputNotFoundError, match="found nothing at"):
        read_masks([tmp_path / "absent.nii"], case.scan, TISSUES)
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(SeriesError, match=r"notes\.txt: expected labels as NIfTI.*found unknown"):
        read_masks([tmp_path / "notes.txt"], case.scan, TISSUES)
    with pytest.raises(SeriesError, match="found DICOM images"):
        read_masks([case.folder], case.scan, TISSUES)


def test_masks_of_the_real_torso_by_simpleitk(real: Path, tmp_path: Path, sitk: ModuleType) -> None:
    """What SimpleITK labels on its own volume of the series comes back on ours."""
    scan = read_scan(real / "torso_ct")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(real / "torso_ct")))
    image = reader.Execute()
    bright = sitk.Cast(sitk.BinaryThreshold(image, 150, 5000, 1, 0), sitk.sitkUInt8)
    turned = sitk.DICOMOrient(bright, "ASR")
    expected = (scan.volume.hu >= 150).astype(np.uint8)
    for name, mask in (("a.nii.gz", bright), ("b.nrrd", bright), ("c.nii", turned)):
        sitk.WriteImage(mask, str(tmp_path / name))
        labels = read_masks([tmp_path / name], scan, TISSUES).labels
        np.testing.assert_array_equal(labels, expected)
    path = dicom_seg(tmp_path / "s.dcm", expected[40:43], scan.files[40:43], {1: "muscle"})
    masks = read_masks([path], scan, TISSUES)
    np.testing.assert_array_equal(masks.labels[40:43], expected[40:43])
    assert np.flatnonzero(masks.annotated).tolist() == [40, 41, 42]


def cut(path: Path, share: float = 0.5) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize("name", [n for n in EXACT if not n.startswith(("PNG", "masks"))])
def test_files_that_were_cut_off_are_refused(tmp_path: Path, case: Case, name: str) -> None:
    path = cut(EXACT[name](tmp_path, case))
    with pytest.raises(SeriesError, match=r"^s"):
        read_masks([path], case.scan, TISSUES)


def test_a_structure_set_that_was_cut_off_is_refused(tmp_path: Path, case: Case) -> None:
    with pytest.raises(SeriesError, match=r"rs\.dcm: expected"):
        read_masks([cut(contours(tmp_path, case))], case.scan, TISSUES)


def test_masks_of_several_labels_are_refused(tmp_path: Path, case: Case) -> None:
    folder = mask_folder(tmp_path / "m", {"muscle": case.labels == 1}, case.scan.volume)
    nifti_map(folder / "visceral_fat.nii.gz", case.labels, case.scan.volume)
    with pytest.raises(SeriesError, match=r"visceral_fat\.nii\.gz: expected the mask of one"):
        read_masks([folder], case.scan, TISSUES)


NOT = 255
MEANINGS = LabelMapping.parse([*(f"{k}={n}" for k, n in TISSUE_NAMES.items()), "255=not_annotated"])


def read_maps(folder: Path, case: Case, *maps: np.ndarray) -> MaskVolume:
    paths = [
        nifti_map(folder / f"map-{number}.nii", labels, case.scan.volume)
        for number, labels in enumerate(maps)
    ]
    return read_masks(paths, case.scan, MEANINGS)


def test_slices_marked_as_not_annotated_are_left_out(tmp_path: Path, case: Case) -> None:
    """As SAROS has it."""
    labels = np.full_like(case.labels, NOT)
    labels[[1, 11]] = case.labels[[1, 11]]
    masks = read_maps(tmp_path, case, labels)
    assert np.flatnonzero(masks.annotated).tolist() == [1, 11]
    assert np.flatnonzero(~masks.left_out).tolist() == [1, 11]
    assert not masks.partial.any()
    assert (masks.labels[0] == NOT).all()


def test_a_slice_marked_as_not_annotated_makes_no_other_one_annotated(
    tmp_path: Path, case: Case
) -> None:
    """Three slices are drawn and a fourth one is given up: those between teach nothing."""
    labels = np.zeros_like(case.labels)
    labels[[1, 6, 11]] = case.labels[[1, 6, 11]]
    labels[9] = NOT
    masks = read_maps(tmp_path, case, labels)
    assert np.flatnonzero(masks.annotated).tolist() == [1, 6, 11]
    assert np.flatnonzero(masks.left_out).tolist() == [9]


def test_a_map_that_marks_pixels_alone_says_nothing_of_slices_without_a_label(
    tmp_path: Path, case: Case
) -> None:
    labels = np.zeros_like(case.labels)
    labels[5] = case.labels[5]
    labels[5, :20] = NOT
    masks = read_maps(tmp_path, case, labels)
    assert np.flatnonzero(masks.annotated).tolist() == [5]
    assert np.flatnonzero(masks.partial).tolist() == [5]
    np.testing.assert_array_equal(masks.labels, labels)


def test_slices_beyond_the_first_and_last_label_are_not_spoken_of(
    tmp_path: Path, case: Case
) -> None:
    """A segmentation that was cropped holds nothing there."""
    labels = np.zeros_like(case.labels)
    labels[3:8] = NOT
    labels[4] = case.labels[4]
    masks = read_maps(tmp_path, case, labels)
    assert np.flatnonzero(masks.annotated).tolist() == [4]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_tissue_counts_more_than_not_annotated_and_that_more_than_background(
    tmp_path: Path, case: Case, order: tuple[int, int]
) -> None:
    muscle = np.where(case.labels == 1, 1, 0).astype(np.uint8)
    other = np.full_like(case.labels, NOT)
    other[:, :24] = 0
    maps = [muscle, other]
    masks = read_maps(tmp_path, case, *(maps[i] for i in order))
    np.testing.assert_array_equal(masks.labels, np.where(muscle, muscle, other))


def test_a_map_of_nothing_but_not_annotated_has_no_annotated_slice(
    tmp_path: Path, case: Case
) -> None:
    masks = read_maps(tmp_path, case, np.full_like(case.labels, NOT))
    assert not masks.annotated.any()


def test_a_file_named_after_a_tissue_with_255_alone_is_refused_where_255_is_not_annotated(
    tmp_path: Path, case: Case
) -> None:
    """It may be a mask of 0 and 255, or a map in which nobody looked at anything."""
    mask = np.where(case.labels == 1, 255, 0).astype(np.uint8)
    path = nifti_map(tmp_path / "muscle.nii", mask, case.scan.volume)
    by_name = LabelMapping.parse(["muscle=muscle"])
    np.testing.assert_array_equal(read_masks([path], case.scan, by_name).labels, mask // 255)
    by_both = LabelMapping.parse(["muscle=muscle", "255=not_annotated"])
    with pytest.raises(SeriesError, match="its number 255 means not_annotated"):
        read_masks([path], case.scan, by_both)
