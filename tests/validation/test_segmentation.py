"""Every issue that the values of a segmentation training set can give."""

import numpy as np
import pytest

from bodycomp.anatomy import ABDOMINAL_TISSUES, MUSCLE, THORACIC_TISSUES, VISCERAL_FAT
from bodycomp.data import issues as issues_module
from bodycomp.data.issues import raise_for_errors
from bodycomp.data.layout import images_path, masks_path
from bodycomp.errors import TrainingSetError
from bodycomp.validation.check_masks import check_masks
from bodycomp.validation.segmentation import check_segmentation_set
from bodycomp.validation.segmentation_facts import describe_sample
from support.factories import make_segmentation_set, torso_slice


@pytest.fixture
def good_set(tmp_path):
    return make_segmentation_set(tmp_path, {"train": 3, "val": 2})


def check(folder, tissues=ABDOMINAL_TISSUES, **options):
    return check_segmentation_set(folder, tissues=tissues, **options)


def edit(path, change):
    """Rewrite an array after ``change``, which returns a new one or alters it in place."""
    array = np.load(path)
    changed = change(array)
    np.save(path, array if changed is None else changed)


def the_only(issues):
    assert [str(f) for f in issues][1:] == []
    return issues[0]


def test_a_good_set_has_no_issues(good_set):
    seen = []
    assert check(good_set, progress=lambda done, total: seen.append((done, total))) == ()
    assert seen[-1] == (5, 5)


@pytest.mark.parametrize(("swapped", "codes"), [(False, set()), (True, {"fats-swapped"})])
def test_flanks_that_a_narrow_field_cuts_off_are_no_swapped_fats(swapped, codes):
    hu, labels = torso_slice(np.random.default_rng(0))
    labels[labels == MUSCLE.label] = VISCERAL_FAT.label
    if swapped:
        labels = np.array([0, 1, 3, 2], np.uint8)[labels]
    else:  # the left half, as no more than a few rows of a whole body begin inside
        hu, labels = (np.roll(each, -250, axis=1) for each in (hu, labels))
    facts, _ = describe_sample(hu, labels, (-1000.0, 100.0))
    issues = check_masks("train", np.array([facts]), ABDOMINAL_TISSUES)
    assert {issue.code for issue in issues} & {"fats-swapped"} == codes


def test_a_good_thoracic_set_has_no_issues(tmp_path):
    make_segmentation_set(tmp_path, tissues=THORACIC_TISSUES)
    assert check(tmp_path, THORACIC_TISSUES) == ()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<f4", ">f8", "<f2"])
def test_findings_do_not_depend_on_order_and_dtype(good_set, order, dtype):
    edit(images_path(good_set, "train"), lambda a: np.asarray(a, dtype, order=order))

    def spoil(masks):
        masks[2, 7, 9] = 5
        return np.asarray(masks, order=order)

    edit(masks_path(good_set, "train"), spoil)
    issue = the_only(check(good_set))
    assert issue.where == "train_masks.npy, sample 2"
    assert issue.message == "expected labels 0, 1, 2, 3, found 5; 5 first at row 7, column 9"


def test_the_same_image_is_found_across_dtypes(good_set):
    train = np.load(images_path(good_set, "train"))
    edit(images_path(good_set, "val"), lambda a: np.stack([a[0], train[2]]).astype(">f8"))
    issue = the_only(check(good_set))
    assert issue.severity == "warning"
    assert issue.code == "image-in-two-splits"
    assert "the first is sample 2 of train and sample 1 of val" in issue.message
    assert "split by patient" in issue.hint


def test_all_header_errors_are_listed_together(good_set):
    masks_path(good_set, "train").unlink()
    edit(images_path(good_set, "val"), lambda a: a.astype(np.uint16)[:1])
    with pytest.raises(TrainingSetError) as caught:
        raise_for_errors(check(good_set))
    text = str(caught.value)
    assert "3 errors" in text
    assert "train_masks.npy: expected this file" in text
    assert "val_images.npy: expected signed integers" in text
    assert "val_masks.npy: expected the shape of val_images.npy" in text


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
def test_nan_and_infinity_are_refused_with_their_place(good_set, value, dtype):
    def spoil(images):
        images = images.astype(dtype)
        images[1, 300, 20:22] = value
        return images

    edit(images_path(good_set, "val"), spoil)
    issue = the_only(check(good_set))
    assert issue.severity == "error"
    assert issue.where == "val_images.npy, sample 1"
    assert f"expected finite HU, found {value} at row 300, column 20 (2 such" in issue.message
    assert "-1024 HU" in issue.hint


def test_labels_of_visceral_fat_are_refused_for_a_thoracic_model(good_set):
    issues = check(good_set, THORACIC_TISSUES)
    assert {issue.code for issue in issues} == {"mask-value"}
    assert "expected labels 0, 1, 2, found 3" in issues[0].message
    assert "without the thoracic option (-t)" in issues[0].hint


def test_repeated_findings_are_cut_short_and_counted(tmp_path):
    make_segmentation_set(tmp_path, {"train": 8, "val": 1})
    edit(masks_path(tmp_path, "train"), lambda a: a * 85)
    issues = check(tmp_path)
    assert [f.index for f in issues if f.code == "mask-value"] == list(range(8))
    errors = [f for f in issues_module.shortened(issues) if f.code == "mask-value"]
    assert len(errors) == issues_module.REPEATS_SHOWN + 1
    assert "3 more of this kind (mask-value), 8 in all" in errors[-1].message
    assert "found 85, 170, 255" in errors[0].message


def test_masks_of_background_alone_are_refused(good_set):
    edit(masks_path(good_set, "train"), lambda a: a * 0)
    issue = the_only(check(good_set))
    assert issue.severity == "error"
    assert issue.where == "train_masks.npy"
    assert "found only background in all 3 samples" in issue.message


def test_one_empty_mask_among_others_is_fine(good_set):
    edit(
        masks_path(good_set, "train"), lambda a: a * np.array([0, 1, 1], "u1")[:, None, None, None]
    )
    assert check(good_set) == ()


def test_a_class_that_a_split_lacks_is_a_warning(good_set):
    edit(masks_path(good_set, "val"), lambda a: np.where(a == 3, 0, a).astype("u1"))
    issue = the_only(check(good_set))
    assert (issue.severity, issue.where) == ("warning", "val_masks.npy")
    assert "expected label 3 (visceral fat), found none" in issue.message


@pytest.mark.parametrize(("scale", "found"), [(255.0, "(within 0..255)"), (1.0, "(within 0..1)")])
def test_windowed_and_scaled_images_are_refused_unless_allowed(good_set, scale, found):
    edit(
        images_path(good_set, "train"),
        lambda a: (np.clip((a + 160) / 400, 0, 1) * scale).astype(np.float32),
    )
    issue = the_only(check(good_set))
    assert (issue.severity, issue.where) == ("error", "train_images.npy")
    assert found in issue.message
    assert "--allow-scaled-images" in issue.hint
    allowed = the_only(check(good_set, allow_scaled=True))
    assert (allowed.severity, allowed.code) == ("warning", "scaled-images")


@pytest.mark.parametrize(
    "change", [lambda a: a + 1024, lambda a: np.clip(a, -160, 240)], ids=["offset", "windowed"]
)
def test_images_without_air_are_a_warning(good_set, change):
    edit(images_path(good_set, "val"), change)
    issue = the_only(check(good_set))
    assert (issue.severity, issue.code) == ("warning", "no-air")
    assert "intercept" in issue.hint


def test_a_single_sample_that_looks_scaled_is_named(good_set):
    def scale_one(images):
        images[1] = np.clip(images[1], 0, 255)

    edit(images_path(good_set, "train"), scale_one)
    issue = the_only(check(good_set))
    assert (issue.severity, issue.where) == ("warning", "train_images.npy, sample 1")
    assert "found no value below 0 (0.." in issue.message


def test_blank_images_in_two_splits_are_no_leak(good_set):
    for split in ("train", "val"):
        edit(images_path(good_set, split), lambda a: a.__setitem__(0, -1024))
    assert check(good_set) == ()


def test_a_leak_into_the_test_split_is_found(good_set):
    for path in (images_path, masks_path):
        np.save(path(good_set, "test"), np.load(path(good_set, "val")))
    issue = the_only(check(good_set))
    assert "in val and test, found 2 in both" in issue.message


def test_large_fortran_files_are_a_warning(good_set, monkeypatch):
    monkeypatch.setattr("bodycomp.validation.segmentation.SLOW_FORTRAN_BYTES", 2**20)
    edit(images_path(good_set, "train"), np.asfortranarray)
    issue = the_only(check(good_set))
    assert (issue.severity, issue.code) == ("warning", "fortran-order")
    assert "ascontiguousarray" in issue.hint


def test_chunks_join_without_a_seam(good_set, monkeypatch):
    monkeypatch.setattr("bodycomp.validation.segmentation_pass.CHUNK_BYTES", 1)
    edit(masks_path(good_set, "train"), lambda a: a.__setitem__((2, 0, 0), 9))
    assert the_only(check(good_set)).where == "train_masks.npy, sample 2"


def test_warnings_are_logged_and_do_not_raise(good_set, caplog):
    edit(masks_path(good_set, "val"), lambda a: np.where(a == 3, 0, a).astype("u1"))
    raise_for_errors(check(good_set))
    assert "visceral fat" in caplog.text


def test_the_torso_has_the_areas_of_its_ellipses():
    _, labels = torso_slice(np.random.default_rng(0))
    expected = np.pi / 4 * 0.75 * np.array([0.65**2 - 0.45**2, 0.8**2 - 0.65**2, 0.45**2])
    np.testing.assert_allclose(np.bincount(labels.ravel())[1:] / 512**2, expected, rtol=0.005)
