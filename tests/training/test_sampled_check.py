"""Training looks closely at a sample of its set by the rules of ``validate``."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from bodycomp.data.layout import images_path, masks_path, png_path
from bodycomp.errors import TrainingSetError
from bodycomp.networks.card import ModelCard
from bodycomp.training.dry_run import dry_run
from bodycomp.training.fit import check_data
from bodycomp.training.progress import EpochDisplay
from bodycomp.training.starting_point import task_for
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions
from bodycomp.validation import segmentation as segmentation_validation
from bodycomp.validation import slices as slice_validation
from bodycomp.validation.details import evenly
from bodycomp.validation.segmentation import check_before_training
from bodycomp.validation.validate import validate_training_set
from support.phantom_sets import LEVEL_SPLITS, LEVELS, SLICE_OFFSETS_MM

pytestmark = pytest.mark.xdist_group("planted faults")


def checked(options) -> None:
    """Check a set as every training does before its first step."""
    task = task_for(options)
    card: ModelCard = task.card()
    check_data(task, card, EpochDisplay(shown=False))


def segmentation(folder, **options):
    return SegmentationOptions(data_dir=folder, output_dir=folder / "runs", **options)


def slices(folder, levels=LEVELS):
    return SliceSelectionOptions(
        data_dir=folder, output_dir=folder / "runs", levels=levels, cache_gb=0
    )


def rewrite(folder, path_of, change):
    for split in ("train", "val"):
        path = path_of(folder, split)
        np.save(path, change(np.load(path)))


def moved(down, across):
    return lambda masks: np.roll(masks, (down, across), (1, 2))


TURNS = {
    "upside down": lambda masks: masks[:, ::-1],
    "mirrored": lambda masks: masks[:, :, ::-1],
    "turned by 180 degrees": lambda masks: masks[:, ::-1, ::-1],
    "transposed": lambda masks: masks.swapaxes(1, 2),
}
MOVES = {"far": moved(60, -44), "down": moved(8, 0), "across": moved(0, -12), "up": moved(-20, 4)}


@pytest.mark.parametrize("change", [*TURNS.values(), *MOVES.values()], ids=[*TURNS, *MOVES])
def test_a_set_whose_masks_are_turned_or_moved_is_refused(mask_set, tmp_path, change):
    folder = shutil.copytree(mask_set, tmp_path / "set")
    rewrite(folder, masks_path, change)
    with pytest.raises(TrainingSetError, match="expected a mask that fits its image"):
        checked(segmentation(folder))


def test_a_dry_run_looks_as_closely(mask_set, tmp_path):
    folder = shutil.copytree(mask_set, tmp_path / "set")
    rewrite(folder, masks_path, TURNS["mirrored"])
    with pytest.raises(TrainingSetError, match="expected a mask that fits its image"):
        dry_run(segmentation(folder))
    assert not (folder / "runs").exists()


def gray_levels(hu):
    return ((np.clip(hu, -160, 240) + 160) * (255 / 400)).astype(np.int16)


HU = {
    "1024 too low": (lambda a: a - 1024, "1024 off"),
    "1024 too high": (lambda a: a + 1024, "1024 off"),
    "inverted": (lambda a: -a, "darker than muscle"),
    "8 bits with the intercept of 12": (
        lambda a: gray_levels(a) - 1024,
        "expected soft tissue and fat",
    ),
    "wrapped to 8 bits": (lambda a: a.astype(np.int8).astype(np.int16), "within -128..127"),
}


@pytest.mark.parametrize("kind", HU)
def test_a_set_of_other_values_than_hu_is_refused_by_training_and_validation(
    mask_set, tmp_path, kind
):
    change, said = HU[kind]
    folder = shutil.copytree(mask_set, tmp_path / "set")
    rewrite(folder, images_path, change)
    with pytest.raises(TrainingSetError, match=said):
        checked(segmentation(folder))
    assert validate_training_set(folder).errors


def test_images_that_are_meant_to_be_scaled_are_trained_on(mask_set, tmp_path):
    """The flag makes warnings of the rules that tell by HU; others stay errors."""
    folder = shutil.copytree(mask_set, tmp_path / "set")
    rewrite(folder, images_path, lambda a: 255 - gray_levels(a))
    with pytest.raises(TrainingSetError, match=r"within 0\.\.255"):
        checked(segmentation(folder))
    checked(segmentation(folder, allow_scaled_images=True))
    rewrite(folder, masks_path, lambda masks: np.array([0, 1, 3, 2], np.uint8)[masks])
    with pytest.raises(TrainingSetError, match=r"subcutaneous fat \(2\) around"):
        checked(segmentation(folder, allow_scaled_images=True))


def test_good_sets_are_trained_on_without_a_word(mask_set, level_set, caplog):
    checked(segmentation(mask_set))
    checked(slices(level_set))
    assert caplog.messages == []


PARTIAL = {
    "visceral fat alone": lambda hu, m: (hu, m * (m == 3)),
    "muscle alone": lambda hu, m: (hu, m * (m == 1)),
    "both fats": lambda hu, m: (hu, m * (m > 1)),
    "small muscles full of fat, beside organs that would fit": lambda hu, m: (
        np.where((m == 1) & (np.indices(m.shape).sum(axis=0) % 3 == 0), -60, hu),
        m * (m == 1) * (np.arange(512)[:, None] > 300),
    ),
}


@pytest.mark.parametrize("kind", PARTIAL)
def test_sets_of_some_tissues_alone_are_trained_on(mask_set, tmp_path, kind):
    folder = shutil.copytree(mask_set, tmp_path / "set")
    for split in ("train", "val"):
        paths = images_path(folder, split), masks_path(folder, split)
        images, masks = (np.load(path)[..., 0] for path in paths)
        pairs = [PARTIAL[kind](hu, m) for hu, m in zip(images, masks, strict=True)]
        for path, values in zip(paths, zip(*pairs, strict=True), strict=True):
            np.save(path, np.stack(values)[..., None].astype(np.load(path).dtype))
    checked(segmentation(folder))


def in_a_wide_field(planes, fill):
    """Fifth of the size, so that bodies take some 2 % of the image."""
    wide = np.full_like(planes, fill)
    wide[:, 200:303, 200:303] = planes[:, ::5, ::5]
    return wide


def test_small_bodies_in_a_wide_field_are_trained_on(mask_set, tmp_path):
    folder = shutil.copytree(mask_set, tmp_path / "set")
    rewrite(folder, images_path, lambda hu: in_a_wide_field(hu, -1000))
    rewrite(folder, masks_path, lambda masks: in_a_wide_field(masks, 0))
    checked(segmentation(folder))
    rewrite(folder, images_path, lambda hu: hu - 1024)
    with pytest.raises(TrainingSetError, match="expected soft tissue and fat"):
        checked(segmentation(folder))


def test_no_more_than_a_sample_is_looked_at(mask_set, monkeypatch):
    looked_at = []
    original = segmentation_validation.describe_sample
    monkeypatch.setattr(segmentation_validation, "SAMPLED", 5)
    monkeypatch.setattr(
        segmentation_validation,
        "describe_sample",
        lambda *arguments: looked_at.append(1) or original(*arguments),
    )
    check_before_training(mask_set, tissues=())
    assert len(looked_at) == 10
    assert evenly(36, 5) == [0, 8, 17, 26, 35]


def rewrite_slices(folder, change):
    for split, patients in LEVEL_SPLITS.items():
        for index in range(len(patients) * len(SLICE_OFFSETS_MM)):
            path = png_path(folder, split, index)
            Image.fromarray(change(np.asarray(Image.open(path)))).save(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda gray: 255 - gray, "expected black air around the body"),
        (lambda gray: gray * 0, "neither black nor white"),
        (lambda gray: np.where(gray == 255, 200, 0).astype(np.uint8), "neither black nor white"),
    ],
    ids=["inverted", "black", "1024 too low: dense bone alone"],
)
def test_slices_that_show_no_tissue_are_refused_by_training_and_validation(
    level_set, tmp_path, change, said
):
    folder = shutil.copytree(level_set, tmp_path / "set")
    rewrite_slices(folder, change)
    with pytest.raises(TrainingSetError, match=said):
        checked(slices(folder))
    assert validate_training_set(folder).errors


def test_offsets_that_grow_towards_the_feet_are_refused(level_set, tmp_path):
    """All levels change their sign together, so that they do not contradict one another."""
    folder = shutil.copytree(level_set, tmp_path / "set")
    for split in LEVEL_SPLITS:
        table = folder / "meta" / f"{split}.csv"
        header, *rows = table.read_text().splitlines()
        turned = [[*row.split(",")[:3], str(-float(row.split(",")[4]))] for row in rows]
        columns = [*header.split(",")[:3], "ZOffset_L3"]
        table.write_text("\n".join(",".join(row) for row in [columns, *turned]) + "\n")
    with pytest.raises(TrainingSetError, match="expected lungs at larger offsets than the belly"):
        checked(slices(folder, ("L3",)))


def test_no_more_than_some_slices_of_some_series_are_looked_at(level_set, monkeypatch):
    monkeypatch.setattr(slice_validation, "SAMPLED_SERIES", 2)
    monkeypatch.setattr(slice_validation, "SAMPLED_ROWS", 3)
    seen = []
    original = slice_validation.describe_slice
    monkeypatch.setattr(
        slice_validation, "describe_slice", lambda gray: seen.append(1) or original(gray)
    )
    checked(slices(level_set))
    assert len(seen) == 2 * 2 * 3
