"""Sets at the edge of what the formats allow are validated without a fault."""

import numpy as np
import pytest
from PIL import Image

from bodycomp.data.layout import images_path, png_path, table_path
from bodycomp.validation.validate import validate_training_set
from support.factories import make_segmentation_set, make_slice_set


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", ">i2", "<i4", "<i8"])
def test_every_dtype_gives_the_same_facts(tmp_path, dtype):
    make_segmentation_set(tmp_path)
    expected = validate_training_set(tmp_path).facts["train"]
    images = np.load(images_path(tmp_path, "train"))
    np.save(images_path(tmp_path, "train"), np.asfortranarray(images.astype(dtype)))
    found = validate_training_set(tmp_path).facts["train"]
    for name in ("pixels", "mean_hu", "body_pixels", "perceptual_hash", "fit_share"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, err_msg=name)


def test_values_beyond_all_bounds_are_described(tmp_path):
    make_segmentation_set(tmp_path)
    images = np.load(images_path(tmp_path, "train")).astype(np.float64)
    images[0], images[1, 5, 5], images[2] = 1e300, -1e300, 3.5
    np.save(images_path(tmp_path, "train"), images)
    codes = {issue.code for issue in validate_training_set(tmp_path).issues}
    assert "image-constant" in codes


def test_one_split_alone_is_described_beside_the_errors_of_the_other(tmp_path):
    make_segmentation_set(tmp_path, {"train": 3})
    validation = validate_training_set(tmp_path)
    assert set(validation.facts) == {"train"}
    assert validation.errors == 2


def test_pngs_of_any_size_are_described(tmp_path):
    sizes = [(1, 1), (3, 200), (24, 24), (700, 90), (16, 16), (64, 64)]
    make_slice_set(tmp_path, {"train": 6, "val": 6})
    for index, size in enumerate(sizes):
        gray = np.random.default_rng(index).integers(0, 255, size).astype(np.uint8)
        Image.fromarray(gray).save(png_path(tmp_path, "train", index))
    facts = validate_training_set(tmp_path).facts["train"]
    assert [(int(each["rows"]), int(each["columns"])) for each in facts] == sizes


def test_a_damaged_png_leaves_the_others_described(tmp_path):
    make_slice_set(tmp_path, {"train": 6, "val": 6})
    png_path(tmp_path, "train", 2).write_bytes(b"no PNG")
    facts = validate_training_set(tmp_path).facts["train"]
    assert facts["seen"].tolist() == [True, True, False, True, True, True]


def test_tables_without_offsets_or_columns_are_judged(tmp_path):
    make_slice_set(tmp_path, {"train": 6, "val": 6})
    table_path(tmp_path, "train").write_text("ZOffset\n-1\n1\n2\n3\n4\n5\n")
    table_path(tmp_path, "val").write_text(",ZOffset\n" + "".join(f"{i},\n" for i in range(6)))
    codes = {issue.code for issue in validate_training_set(tmp_path).issues}
    assert "level-not-annotated" in codes
