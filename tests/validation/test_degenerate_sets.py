"""Images without anything to measure: every rule and the page survive them, whatever they find."""

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodycomp.data.writers import SegmentationWriter, SliceWriter
from bodycomp.report.training_set_page import write_training_set_page
from bodycomp.validation.validate import validate_training_set

SIZE = (512, 512)
MASKS = {"no label": 0, "one label": 1}


def spot(value, background=-1024):
    """One pixel that differs from all others."""
    hu = np.full(SIZE, background, np.int16)
    hu[300, 200] = value
    return hu


IMAGES = {
    "air": lambda: np.full(SIZE, -1024, np.int16),
    "zeros": lambda: np.zeros(SIZE, np.int16),
    "metal": lambda: np.full(SIZE, 32767, np.int16),
    "1024 HU below air": lambda: np.full(SIZE, -2048, np.int16),
    "one bright pixel": lambda: spot(100),
    "one dark pixel": lambda: spot(-1024, 40),
    "noise of air": lambda: np.random.default_rng(1).integers(-1050, -950, SIZE, np.int16),
    "body at every edge": lambda: np.random.default_rng(2).integers(20, 60, SIZE, np.int16),
    "stripes": lambda: np.tile(np.where(np.arange(512) % 64, -1000, 40).astype(np.int16), (512, 1)),
}


def survives(folder, tmp_path):
    """Validate a set and draw its page; return the issues' codes."""
    found = validate_training_set(folder)
    write_training_set_page(tmp_path / "page.html", found)
    assert (tmp_path / "page.html").stat().st_size > 0
    return {issue.code for issue in found.issues}


@pytest.mark.parametrize(("image", "mask"), list(product(IMAGES, MASKS)))
def test_segmentation_sets_of_one_such_image_are_validated_and_shown(tmp_path, image, mask):
    for split in ("train", "val"):
        with SegmentationWriter(tmp_path / "set", split) as writer:
            writer.append(IMAGES[image](), np.full(SIZE, MASKS[mask], np.uint8))
    assert "split-small" in survives(tmp_path / "set", tmp_path)


def test_a_segmentation_set_of_all_such_images_is_validated_and_shown(tmp_path):
    for split in ("train", "val", "test"):
        with SegmentationWriter(tmp_path / "set", split) as writer:
            for image, label in product(IMAGES.values(), MASKS.values()):
                writer.append(image(), np.full(SIZE, label, np.uint8))
    assert survives(tmp_path / "set", tmp_path) >= {"image-constant", "mask-empty"}


GRAYS = st.tuples(
    st.sampled_from([1, 2, 3, 31, 32, 54, 64, 130]),
    st.sampled_from([1, 2, 24, 33, 64, 257]),
    st.sampled_from(["black", "grey", "white", "noise", "spot", "hole"]),
)


def gray_of(rows, columns, kind):
    """Return the image that ``GRAYS`` describes."""
    values = {"black": 0, "grey": 90, "white": 255, "spot": 0, "hole": 255, "noise": 0}
    image = np.full((rows, columns), values[kind], np.uint8)
    if kind == "noise":
        return np.random.default_rng(rows * columns).integers(0, 256, image.shape, np.uint8)
    if kind in ("spot", "hole"):
        image[rows // 2, columns // 2] = 255 - image[0, 0]
    return image


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    images=st.lists(GRAYS, min_size=1, max_size=4),
    offsets=st.lists(st.sampled_from([None, 0.0, -10.0, 10.0]), min_size=4, max_size=4),
    with_series=st.booleans(),
)
def test_slice_sets_of_any_small_images_are_validated_and_shown(
    tmp_path_factory, images, offsets, with_series
):
    folder = tmp_path_factory.mktemp("set")
    extra = ("PatientID", "SeriesInstanceUID") if with_series else ()
    for split in ("train", "val"):
        with SliceWriter(folder, split, ["L3"], extra) as writer:
            for image, offset_mm in zip(images, offsets, strict=False):
                known = {} if offset_mm is None else {"L3": offset_mm}
                writer.append(gray_of(*image), known, dict.fromkeys(extra, "one"))
    assert "split-small" in survives(folder, folder)
