"""Pixels that nobody annotated: declared beside the masks, and part of nothing from there on."""

import json

import numpy as np
import pytest
import torch

from bodycomp.anatomy import NOT_ANNOTATED_LABEL
from bodycomp.data.augmentation import AugmentationOptions
from bodycomp.data.datasets import varied_input
from bodycomp.data.label_declaration import declare_labels
from bodycomp.data.layout import masks_path
from bodycomp.data.segmentation_set import open_segmentation_split
from bodycomp.data.writers import SegmentationWriter
from bodycomp.errors import TrainingSetError
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.report.training_set_page import write_training_set_page
from bodycomp.validation.validate import validate_training_set
from support.factories import make_segmentation_set, torso_slice


def mark(folder, place, label=NOT_ANNOTATED_LABEL, split="train"):
    """Write a label into the masks of a split."""
    masks = np.load(masks_path(folder, split), mmap_mode="r+")
    masks[place] = label
    masks.flush()


A_PART = np.s_[0, 200:300, 100:400]


def codes(folder):
    return [issue.code for issue in validate_training_set(folder).issues]


def test_255_is_refused_until_the_set_declares_it(tmp_path):
    make_segmentation_set(tmp_path)
    before = codes(tmp_path)
    mark(tmp_path, A_PART)
    validation = validate_training_set(tmp_path)
    (refused,) = [f for f in validation.issues if f.code == "mask-value"]
    assert "found 255; 255 first at row 200, column 100" in refused.message
    assert json.dumps({"not_annotated": 255}) in refused.hint
    declare_labels(tmp_path, not_annotated=True)
    assert codes(tmp_path) == before


@pytest.mark.parametrize("other", [4, 254])
def test_other_labels_stay_refused_where_255_is_declared(tmp_path, other):
    make_segmentation_set(tmp_path)
    declare_labels(tmp_path, not_annotated=True)
    mark(tmp_path, A_PART)
    mark(tmp_path, (0, 7, 9), other)
    (refused,) = [f for f in validate_training_set(tmp_path).issues if f.code == "mask-value"]
    expected = f"expected labels 0, 1, 2, 3, 255, found {other}; {other} first at row 7"
    assert expected in refused.message


@pytest.mark.parametrize(
    "content",
    [
        *("", "255", "{}", "[" * 9, '{"not-annotated": 255}', '{"not_annotated": 254}'),
        *('{"not_annotated": "255"}', '{"not_annotated": 255.0}'),
        '{"not_annotated": 255, "muscle": 1}',
    ],
)
def test_a_declaration_of_anything_else_is_refused_once(tmp_path, content):
    make_segmentation_set(tmp_path)
    (tmp_path / "labels.json").write_text(content)
    issues = [f for f in validate_training_set(tmp_path).issues if f.severity == "error"]
    assert [(f.code, f.where) for f in issues] == [("labels-file", "labels.json")]
    with pytest.raises(TrainingSetError, match=r"labels\.json"):
        open_segmentation_split(tmp_path, "train")


HIDDEN = {
    "half": lambda labels: np.broadcast_to(np.arange(512)[:, None] < 256, labels.shape),
    "scribbles": lambda labels: np.random.default_rng(3).random(labels.shape) > 0.02,
    "muscle": lambda labels: labels == 1,
    "all but muscle": lambda labels: labels != 1,
    "background": lambda labels: labels == 0,
    "fat under the skin": lambda labels: labels == 2,
}


@pytest.mark.xdist_group("planted faults")
@pytest.mark.parametrize("kind", HIDDEN)
def test_masks_that_are_annotated_in_part_break_no_rule(mask_set, tmp_path, kind):
    for split in ("train", "val"):
        opened = open_segmentation_split(mask_set, split)
        with SegmentationWriter(tmp_path, split) as writer:
            for hu, labels in zip(opened.images[..., 0], opened.masks[..., 0], strict=True):
                writer.append(hu, np.where(HIDDEN[kind](labels), NOT_ANNOTATED_LABEL, labels))
    declare_labels(tmp_path, not_annotated=True)
    absent = {"muscle": 2, "fat under the skin": 2, "all but muscle": 4}.get(kind, 0)
    assert codes(tmp_path) == ["class-absent"] * absent


def test_a_sample_without_an_annotated_pixel_is_named_and_a_set_of_them_refused(tmp_path):
    make_segmentation_set(tmp_path)
    declare_labels(tmp_path, not_annotated=True)
    mark(tmp_path, 1)
    found = [f for f in validate_training_set(tmp_path).issues if f.code.startswith("mask-")]
    assert [(f.code, f.index) for f in found] == [("mask-not-annotated", 1)]
    mark(tmp_path, slice(None))
    (refused,) = [f for f in validate_training_set(tmp_path).issues if f.severity == "error"]
    assert refused.code == "only-background"
    assert "found no annotated pixel in all 4 samples" in refused.message


def test_the_page_shows_what_is_not_annotated_and_gives_no_area_of_it(tmp_path):
    make_segmentation_set(tmp_path)
    declare_labels(tmp_path, not_annotated=True)
    mark(tmp_path, A_PART)
    write_training_set_page(tmp_path / "page.html", validate_training_set(tmp_path))
    page = (tmp_path / "page.html").read_text()
    assert 'data-tissue="not_annotated"' in page
    assert 'class="stencil not_annotated"' in page
    assert "Not annotated everywhere: no areas" in page


@pytest.mark.parametrize("dtype", [torch.int16, torch.float32], ids=["kernel", "operators"])
def test_augmentation_moves_what_is_not_annotated_with_the_image(dtype):
    """What enters from outside the image is air, and known to be background."""
    rng = np.random.default_rng(5)
    made = [torso_slice(rng, (96, 96)) for _ in range(4)]
    hu = torch.from_numpy(np.stack([hu for hu, _ in made]))[:, None]
    masks = torch.from_numpy(np.stack([labels for _, labels in made]))
    masks[:, :40] = NOT_ANNOTATED_LABEL
    options = AugmentationOptions(40, 0.3, 0.3, flip_left_right=True)
    generator = torch.Generator().manual_seed(4)
    images = hu if dtype == torch.int16 else torch.rand(hu.shape, generator=generator)
    preprocessing = Preprocessing((96, 96))
    _, moved = varied_input((images, masks), generator, options, preprocessing, has_masks=True)
    assert set(moved.unique().tolist()) <= {0, 1, 2, 3, NOT_ANNOTATED_LABEL}
    assert all((one == NOT_ANNOTATED_LABEL).any() for one in moved)
