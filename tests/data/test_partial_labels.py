"""Samples that were labeled for some tissues: declared beside the masks, known from there on."""

import json
import pickle

import numpy as np
import pytest
import torch

from bodycomp.anatomy import MUSCLE, SUBCUTANEOUS_FAT, VISCERAL_FAT, background_or
from bodycomp.data.augmentation import AugmentationOptions
from bodycomp.data.datasets import SegmentationDataset, varied_input
from bodycomp.data.label_declaration import declare_labels, read_declaration
from bodycomp.data.layout import masks_path
from bodycomp.data.segmentation_set import open_segmentation_split
from bodycomp.data.writers import SegmentationWriter
from bodycomp.errors import TrainingSetError
from bodycomp.imaging.preprocessing import SEGMENTATION_PREPROCESSING, Preprocessing
from bodycomp.report.training_set_page import write_training_set_page
from bodycomp.validation.validate import validate_training_set
from support.factories import make_segmentation_set, torso_slice

ALL = ("muscle", "subcutaneous_fat", "visceral_fat")
TISSUES = {"muscle": MUSCLE, "subcutaneous_fat": SUBCUTANEOUS_FAT, "visceral_fat": VISCERAL_FAT}
EVERY = json.dumps(ALL)
TURNS = (("muscle",), ("subcutaneous_fat", "visceral_fat"), ALL)


def keep_labels(folder, split, labeled):
    """Make masks hold no more than was labeled, and return what they hid."""
    masks = np.load(masks_path(folder, split), mmap_mode="r+")
    for mask, keys in zip(masks, labeled, strict=True):
        for key in set(ALL) - set(keys):
            mask[mask == TISSUES[key].label] = 0
    masks.flush()


@pytest.fixture
def partial_set(tmp_path):
    """Four samples of train and three of val, labeled for other tissues in turn."""
    folder = make_segmentation_set(tmp_path / "set", {"train": 4, "val": 3})
    labeled = {"train": [TURNS[i % 3] for i in range(4)], "val": list(TURNS)}
    for split, of in labeled.items():
        keep_labels(folder, split, of)
    declare_labels(folder, labeled=labeled)
    return folder


def codes(folder):
    return [issue.code for issue in validate_training_set(folder).issues]


def test_background_stands_for_what_may_be_there(partial_set):
    split = open_segmentation_split(partial_set, "train")
    fats = background_or((SUBCUTANEOUS_FAT, VISCERAL_FAT))
    for index, background in enumerate((fats, background_or((MUSCLE,)), 0, fats)):
        stored = split.masks[index, ..., 0]
        expected = stored.copy()
        expected[stored == 0] = background
        np.testing.assert_array_equal(split.labels(index), expected)


def test_samples_batches_and_copies_for_workers_hold_the_same(partial_set):
    split = open_segmentation_split(partial_set, "train")
    for each in (split, pickle.loads(pickle.dumps(split))):
        dataset = SegmentationDataset(each, SEGMENTATION_PREPROCESSING)
        _, masks = dataset.read([3, 2, 0])
        for mask, index in zip(masks, (3, 2, 0), strict=True):
            np.testing.assert_array_equal(mask, split.labels(index))
            torch.testing.assert_close(dataset[index][1], mask)


def test_augmentation_makes_no_other_label(partial_set):
    rng, white = np.random.default_rng(5), Preprocessing((96, 96))
    made = [torso_slice(rng, (96, 96)) for _ in range(4)]
    hu = torch.from_numpy(np.stack([hu for hu, _ in made]))[:, None]
    masks = torch.from_numpy(np.stack([labels for _, labels in made]))
    background = background_or((MUSCLE,))
    masks[masks <= 1] = background
    options = AugmentationOptions(40, 0.3, 0.3, flip_left_right=True)
    generator = torch.Generator().manual_seed(4)
    _, moved = varied_input((hu, masks), generator, options, white, has_masks=True)
    assert set(moved.unique().tolist()) == {0, 2, 3, background}  # air enters from outside


@pytest.mark.parametrize(
    ("labeled", "expected"),
    [
        ({"train": ["muscle"], "val": ALL}, {"train": ["muscle"], "val": list(ALL)}),
        ({"train": [["muscle"], ["visceral_fat"]], "val": [["muscle"]] * 2}, None),
        ({"train": [["muscle"]] * 9}, {"train": ["muscle"]}),
    ],
)
def test_a_declaration_is_written_as_short_as_it_can_be(tmp_path, labeled, expected):
    declare_labels(tmp_path, not_annotated=True, labeled=labeled)
    written = json.loads((tmp_path / "labels.json").read_text())
    short = expected or {"train": [["muscle"], ["visceral_fat"]], "val": ["muscle"]}
    assert written == {"not_annotated": 255, "labeled": short}
    declared = read_declaration(tmp_path)
    fats = background_or((SUBCUTANEOUS_FAT, VISCERAL_FAT))
    assert declared.backgrounds("train", 2)[0] == fats


@pytest.mark.parametrize("labeled", [{}, {"train": [ALL, ALL], "val": ALL}])
def test_nothing_is_written_where_there_is_nothing_to_say(tmp_path, labeled):
    declare_labels(tmp_path, labeled=labeled)
    assert not (tmp_path / "labels.json").exists()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"labeled": "muscle"}', 'expected tissues, found "muscle"'),
        ('{"labeled": ["bone"]}', 'vertebral_body, found "bone"'),
        ('{"labeled": {"training": ["muscle"]}}', 'a split of train, val, test, found "training"'),
        ('{"labeled": {"train": []}}', "expected tissues of train, found []"),
        ('{"labeled": {"train": [["muscle"], []], "val": ["muscle"]}}', "of train, sample 1"),
        ('{"labeled": {"train": ["muscle", ["muscle"]]}}', 'found ["muscle"]'),
        ('{"labeled": [["muscle"]]}', 'found ["muscle"]'),
        (f'{{"labeled": {{"train": {EVERY}}}}}', "of 2 samples of val, found 0"),
        (
            f'{{"labeled": {{"train": [["muscle"]], "val": {EVERY}}}}}',
            "4 samples of train, found 1",
        ),
    ],
)
def test_a_declaration_that_says_anything_else_is_refused(tmp_path, content, found):
    make_segmentation_set(tmp_path, {"train": 4, "val": 2})
    (tmp_path / "labels.json").write_text(content)
    issues = [f for f in validate_training_set(tmp_path).issues if f.severity == "error"]
    assert {(f.code, f.where) for f in issues} == {("labels-file", "labels.json")}
    assert found in issues[0].message
    with pytest.raises(TrainingSetError, match=r"labels\.json"):
        [open_segmentation_split(tmp_path, split) for split in ("train", "val")]


@pytest.mark.xdist_group("planted faults")
def test_what_was_not_labeled_breaks_no_rule(mask_set, tmp_path):
    labeled = {}
    for split in ("train", "val"):
        opened = open_segmentation_split(mask_set, split)
        labeled[split] = [TURNS[i % 3] for i in range(len(opened))]
        with SegmentationWriter(tmp_path, split) as writer:
            for hu, labels in zip(opened.images[..., 0], opened.masks[..., 0], strict=True):
                writer.append(hu, labels)
        keep_labels(tmp_path, split, labeled[split])
    declare_labels(tmp_path, labeled=labeled)
    assert codes(tmp_path) == []


def test_a_tissue_that_only_val_lacks_is_a_warning(tmp_path):
    make_segmentation_set(tmp_path)
    before = codes(tmp_path)
    keep_labels(tmp_path, "val", [ALL[1:]] * 2)
    declare_labels(tmp_path, labeled={"train": ALL, "val": ALL[1:]})
    assert sorted(set(codes(tmp_path)) - set(before)) == ["class-absent"]


def test_the_page_gives_the_areas_of_what_was_labeled(partial_set, tmp_path):
    write_training_set_page(tmp_path / "page.html", validate_training_set(partial_set))
    page = (tmp_path / "page.html").read_text()
    assert "Not labeled: muscle" in page
    assert "Not labeled: subcutaneous fat, visceral fat" in page
    assert "Not annotated" not in page
