"""Masks made elsewhere against truth: arrays, label maps of any layout, DICOM SEG, folders."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bodycomp.agreement.masks import MaskAgreement, compare_masks
from bodycomp.anatomy import ABDOMINAL_TISSUES, NOT_ANNOTATED_LABEL
from bodycomp.annotation.labels import LabelMapping
from bodycomp.data.label_declaration import declare_labels
from bodycomp.errors import BodycompError, InputNotFoundError, SeriesError, UsageError
from bodycomp.evaluation.mask_files import OWN_LABELS, open_masks, pair_masks
from bodycomp.evaluation.slice_masks import compare_slices
from support.annotation_files import (
    dicom_case,
    dicom_seg,
    every_layout,
    index_to_lps,
    nifti_map,
    nrrd_map,
    save_nifti,
    save_nrrd,
    small_phantom,
)
from support.factories import make_segmentation_set

VOLUME, TRUTH = small_phantom(slices=10, matrix=48)
FOUND = np.roll(TRUTH, (1, 2), (1, 2))
SPACING = VOLUME.pixel_spacing_mm


@dataclass(frozen=True)
class SliceRecord:
    """The rows of one slice, tissue by tissue."""

    source: str
    index: int
    patient: str | None
    agreement: Mapping[str, MaskAgreement]


def evaluated(
    predicted: Path, truth: Path, scan: Path | None = None, labels: LabelMapping = OWN_LABELS
) -> list[SliceRecord]:
    slices = open_masks(pair_masks(predicted, truth, scan), labels)
    own: dict[tuple[str, int, str | None], dict[str, MaskAgreement]] = {}
    for row in compare_slices(slices, ABDOMINAL_TISSUES):
        own.setdefault((row.source, row.index, row.patient), {})[row.tissue] = row.agreement
    return [SliceRecord(*key, agreement) for key, agreement in own.items()]


def expected(
    source: str, *, hu: bool = False, patient: str | None = None, mm: bool = True
) -> list[SliceRecord]:
    return [
        SliceRecord(
            source,
            index,
            patient,
            compare_masks(
                FOUND[index],
                TRUTH[index],
                ABDOMINAL_TISSUES,
                SPACING if mm else None,
                VOLUME.hu[index] if hu else None,
            ),
        )
        for index in range(len(TRUTH))
    ]


def values_of(records: list[SliceRecord]) -> np.ndarray:
    """Return (record, tissue, measure) with NaN for undefined, for grids kept in float32."""
    return np.array(
        [
            [
                [getattr(a, name).value for name in type(a).__slots__]
                for a in record.agreement.values()
            ]
            for record in records
        ],
        np.float64,
    )


# --- label maps -----------------------------------------------------------------------------------


def test_label_maps_are_compared_slice_by_slice(tmp_path: Path) -> None:
    predicted = nrrd_map(tmp_path / "model.nrrd", FOUND, VOLUME)
    truth = nifti_map(tmp_path / "case.nii.gz", TRUTH, VOLUME)
    records = evaluated(predicted, truth)
    assert [(r.source, r.index, r.patient) for r in records] == [
        ("case", index, "case") for index in range(10)
    ]
    np.testing.assert_allclose(values_of(records), values_of(expected("case")), rtol=1e-5)


def test_the_order_and_direction_of_a_files_axes_do_not_matter(tmp_path: Path) -> None:
    truth = nifti_map(tmp_path / "case.nii", TRUTH, VOLUME)
    plain = values_of(evaluated(nifti_map(tmp_path / "m.nii", FOUND, VOLUME), truth))
    layouts = every_layout(FOUND.transpose(2, 1, 0), index_to_lps(VOLUME))
    for name, voxels, affine in layouts[::5]:
        save = save_nifti if name < "Y" else save_nrrd
        suffix = ".nii" if name < "Y" else ".nrrd"
        predicted = save(tmp_path / f"{name}{suffix}", voxels, affine)
        np.testing.assert_array_equal(values_of(evaluated(predicted, truth)), plain)


def test_with_the_scan_dicom_seg_is_read_and_hu_are_compared(tmp_path: Path) -> None:
    case = dicom_case(tmp_path / "scan", VOLUME, TRUTH)
    predicted = dicom_seg(tmp_path / "seg.dcm", FOUND, case.scan.files)
    truth = nifti_map(tmp_path / "case.nii", TRUTH, VOLUME)
    records = evaluated(predicted, truth, case.folder)
    np.testing.assert_allclose(values_of(records), values_of(expected("case", hu=True)), rtol=1e-5)


def test_dicom_seg_as_truth_without_the_scan_is_refused(tmp_path: Path) -> None:
    case = dicom_case(tmp_path / "scan", VOLUME, TRUTH)
    truth = dicom_seg(tmp_path / "seg.dcm", TRUTH, case.scan.files)
    with pytest.raises(UsageError, match="found DICOM SEG"):
        evaluated(truth, truth)


def test_slices_that_the_truth_says_nothing_of_are_left_out(tmp_path: Path) -> None:
    partly = TRUTH.copy()
    partly[[0, 1, 4, 5, 6, 7, 8, 9]] = 0
    truth = nifti_map(tmp_path / "case.nii", partly, VOLUME)
    predicted = nifti_map(tmp_path / "m.nii", FOUND, VOLUME)
    assert [record.index for record in evaluated(predicted, truth)] == [2, 3]
    nothing = nifti_map(tmp_path / "empty.nii", np.zeros_like(TRUTH), VOLUME)
    with pytest.raises(SeriesError, match="found none on any slice"):
        evaluated(predicted, nothing)


def test_empty_masks_are_compared_where_the_truth_has_labels(tmp_path: Path) -> None:
    truth = nifti_map(tmp_path / "case.nii", TRUTH, VOLUME)
    nothing = nifti_map(tmp_path / "m.nii", np.zeros_like(TRUTH), VOLUME)
    records = evaluated(nothing, truth)
    assert [record.agreement["all"].dice.value for record in records] == [0] * 10
    assert records[0].agreement["all"].hausdorff95_mm.reason == "none of this tissue was found"


def test_masks_on_another_grid_are_refused(tmp_path: Path) -> None:
    truth = nifti_map(tmp_path / "case.nii", TRUTH, VOLUME)
    shifted = index_to_lps(VOLUME)
    shifted[0, 3] += 0.4 * SPACING[1]
    predicted = save_nifti(tmp_path / "m.nii", FOUND.transpose(2, 1, 0), shifted)
    with pytest.raises(SeriesError, match="pixels do not coincide"):
        evaluated(predicted, truth)


def test_labels_without_a_meaning_are_refused_and_can_be_given_one(tmp_path: Path) -> None:
    predicted = nifti_map(tmp_path / "m.nii", FOUND, VOLUME)
    others = np.array([0, 11, 12, 13], np.uint8)[TRUTH]
    truth = nifti_map(tmp_path / "case.nii", others, VOLUME)
    with pytest.raises(SeriesError, match=r"case.nii: expected labels among"):
        evaluated(predicted, truth)
    mapping = LabelMapping.parse(["11=muscle", "12=subcutaneous_fat", "13=visceral_fat"])
    records = evaluated(predicted, truth, labels=mapping)
    np.testing.assert_allclose(values_of(records), values_of(expected("case")), rtol=1e-5)
    with pytest.raises(SeriesError, match=r"case.nii: expected labels among"):
        evaluated(truth, predicted)


# --- arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(10, 48, 48), (10, 48, 48, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_arrays_are_compared_slice_by_slice(
    tmp_path: Path, shape: tuple[int, ...], dtype: type
) -> None:
    np.save(tmp_path / "m.npy", np.asfortranarray(FOUND.astype(dtype)))
    np.save(tmp_path / "case.npy", TRUTH.reshape(shape))
    records = evaluated(tmp_path / "m.npy", tmp_path / "case.npy")
    assert records == expected("case", mm=False)


def test_a_single_slice_needs_no_axis_for_it(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", FOUND[2])
    np.save(tmp_path / "case.npy", TRUTH[2])
    (record,) = evaluated(tmp_path / "m.npy", tmp_path / "case.npy")
    assert record.agreement["all"].dice == expected("case")[2].agreement["all"].dice
    assert record.agreement["all"].area_cm2.value is None


def test_the_masks_of_a_training_set_bring_patients_spacing_and_hu(tmp_path: Path) -> None:
    data_dir = make_segmentation_set(tmp_path / "set", {"train": 1, "val": 1, "test": 2})
    (data_dir / "manifest.csv").write_text(
        "split,index,patient,row_spacing_mm,column_spacing_mm\ntest,0,a,0.8,0.8\ntest,1,b,0.7,0.7\n"
    )
    truth = np.load(data_dir / "test_masks.npy")[..., 0]
    found = np.roll(truth, 3, 1)
    np.save(tmp_path / "found.npy", found)
    records = evaluated(tmp_path / "found.npy", data_dir / "test_masks.npy")
    hu = np.load(data_dir / "test_images.npy")[..., 0]
    for index, (patient, mm) in enumerate([("a", 0.8), ("b", 0.7)]):
        agreement = compare_masks(
            found[index], truth[index], ABDOMINAL_TISSUES, (mm, mm), hu[index]
        )
        assert records[index] == SliceRecord("test", index, patient, agreement)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (FOUND[:3], "expected the shape of case.npy"),
        (FOUND.astype(np.float32), "expected whole label numbers, found float32"),
        (FOUND[..., None, None], "expected masks of shape"),
        (np.where(FOUND == 2, 77, FOUND), "slice 0: expected labels among"),
    ],
)
def test_arrays_that_cannot_be_compared_are_refused(
    tmp_path: Path, array: np.ndarray, message: str
) -> None:
    np.save(tmp_path / "m.npy", array)
    np.save(tmp_path / "case.npy", TRUTH)
    with pytest.raises(BodycompError, match=message):
        evaluated(tmp_path / "m.npy", tmp_path / "case.npy")


def test_an_array_does_not_pair_with_a_label_map(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", FOUND)
    truth = nifti_map(tmp_path / "case.nii", TRUTH, VOLUME)
    with pytest.raises(UsageError, match="two NumPy arrays or two label maps"):
        evaluated(tmp_path / "m.npy", truth)


# --- folders --------------------------------------------------------------------------------------


def two_folders(tmp_path: Path) -> tuple[Path, Path]:
    predicted, truth = tmp_path / "predicted", tmp_path / "truth"
    predicted.mkdir()
    truth.mkdir()
    for name in ("b", "a"):
        nrrd_map(predicted / f"{name}.nrrd", FOUND, VOLUME)
        nifti_map(truth / f"{name}.nii.gz", TRUTH, VOLUME)
    (truth / "notes.txt").write_text("by two readers")
    return predicted, truth


def test_files_of_two_folders_are_paired_by_name(tmp_path: Path) -> None:
    predicted, truth = two_folders(tmp_path)
    assert [pair.name for pair in pair_masks(predicted, truth)] == ["a", "b"]
    records = evaluated(predicted, truth)
    assert [(r.patient, r.index) for r in records] == [(p, i) for p in "ab" for i in range(10)]


def test_each_case_has_the_scan_of_its_name(tmp_path: Path) -> None:
    predicted, truth = two_folders(tmp_path)
    scans = tmp_path / "scans"
    save = scans / "a.nii", scans / "b"
    save[1].mkdir(parents=True)
    save_nifti(save[0], VOLUME.hu.transpose(2, 1, 0), index_to_lps(VOLUME))
    dicom_case(save[1], VOLUME, TRUTH)
    records = evaluated(predicted, truth, scans)
    both = expected("a", hu=True) + expected("b", hu=True)
    np.testing.assert_allclose(values_of(records), values_of(both), rtol=1e-5)
    save[0].unlink()
    with pytest.raises(InputNotFoundError, match="found none for a"):
        evaluated(predicted, truth, scans)


def test_files_without_a_partner_are_named(tmp_path: Path) -> None:
    predicted, truth = two_folders(tmp_path)
    (predicted / "a.nrrd").rename(predicted / "c.nrrd")
    with pytest.raises(UsageError, match=r"c.nrrd only in .*predicted, a.nii.gz only in .*truth"):
        evaluated(predicted, truth)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    predicted, truth = two_folders(tmp_path)
    nifti_map(predicted / "a.nii", FOUND, VOLUME)
    with pytest.raises(UsageError, match="one file for each case"):
        evaluated(predicted, truth)


def test_what_is_not_there_or_no_pair_is_refused(tmp_path: Path) -> None:
    predicted, truth = two_folders(tmp_path)
    with pytest.raises(InputNotFoundError, match="found nothing"):
        evaluated(tmp_path / "nowhere", truth)
    with pytest.raises(UsageError, match="two files or two folders"):
        evaluated(predicted, truth / "a.nii.gz")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputNotFoundError, match="found none"):
        evaluated(predicted, empty)


def test_the_declaration_of_a_training_set_counts_for_its_truth(tmp_path: Path) -> None:
    """Sample 0 is annotated in part, sample 1 not at all; found masks must not hold the label."""
    make_segmentation_set(tmp_path / "set", {"train": 1, "val": 1, "test": 3})
    truth = tmp_path / "set" / "test_masks.npy"
    masks = np.load(truth)
    np.save(tmp_path / "found.npy", masks)
    masks[0, :256], masks[1] = NOT_ANNOTATED_LABEL, NOT_ANNOTATED_LABEL
    np.save(truth, masks)
    with pytest.raises(SeriesError, match="255"):
        evaluated(tmp_path / "found.npy", truth)
    declare_labels(tmp_path / "set", not_annotated=True)
    records = evaluated(tmp_path / "found.npy", truth)
    assert [record.index for record in records] == [0, 2]
    part = records[0].agreement["muscle"]
    assert (part.dice.value, part.true_area_cm2.value) == (1.0, None)
    with pytest.raises(SeriesError, match="255"):
        evaluated(truth, tmp_path / "found.npy")


def test_label_maps_say_what_is_not_annotated_by_the_labels_that_are_given(tmp_path: Path) -> None:
    truth = np.full_like(TRUTH, NOT_ANNOTATED_LABEL)
    truth[4], truth[5, 20:] = TRUTH[4], TRUTH[5, 20:]
    nifti_map(tmp_path / "found.nii", FOUND, VOLUME)
    nifti_map(tmp_path / "truth.nii", truth, VOLUME)
    labels = [
        *(f"{tissue.label}={tissue.key}" for tissue in ABDOMINAL_TISSUES),
        "255=not_annotated",
    ]
    mapping = LabelMapping.parse(labels)
    records = evaluated(tmp_path / "found.nii", tmp_path / "truth.nii", labels=mapping)
    assert [record.index for record in records] == [4, 5]
    assert records[0].agreement["muscle"].true_area_cm2.value is not None
    assert records[1].agreement["muscle"].true_area_cm2.value is None


def test_tissues_that_a_training_set_was_not_labeled_for_are_not_compared(tmp_path: Path) -> None:
    make_segmentation_set(tmp_path / "set", {"train": 1, "val": 1, "test": 2})
    truth = tmp_path / "set" / "test_masks.npy"
    masks = np.load(truth)
    np.save(tmp_path / "found.npy", masks)
    np.save(truth, np.where(masks == 1, 0, masks))
    fats = ("subcutaneous_fat", "visceral_fat")
    declare_labels(tmp_path / "set", labeled=dict.fromkeys(("train", "val", "test"), fats))
    for record in evaluated(tmp_path / "found.npy", truth):
        assert record.agreement["muscle"].dice.value is None
        assert record.agreement["visceral_fat"].dice.value == 1.0
