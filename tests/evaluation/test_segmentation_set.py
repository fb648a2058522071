"""A segmentation model against a split: the network's own masks, compared one by one."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from bodycomp.agreement.masks import compare_masks
from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    MUSCLE,
    NOT_ANNOTATED_LABEL,
    THORACIC_TISSUES,
    Tissue,
)
from bodycomp.data.datasets import SegmentationDataset
from bodycomp.data.label_declaration import declare_labels
from bodycomp.data.segmentation_set import open_segmentation_split
from bodycomp.errors import (
    InputNotFoundError,
    ModelError,
    TrainingSetError,
    UsageError,
)
from bodycomp.evaluation.segmentation_set import SampleOrigin, SegmentedSet, open_segmented_set
from bodycomp.evaluation.slice_masks import SegmentationRow, compare_slices
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.networks.card import ModelCard
from bodycomp.networks.checkpoint import build_network, load_model, save_model
from support.factories import make_segmentation_set

COUNTS = {"train": 1, "val": 1, "test": 19}
PREPROCESSING = Preprocessing((512, 512))


def make_model(folder: Path, tissues: tuple[Tissue, ...] = ABDOMINAL_TISSUES) -> Path:
    torch.manual_seed(0)
    card = ModelCard(
        task="segmentation",
        architecture="unet",
        config={
            "num_classes": len(tissues) + 1,
            "compression_channels": (4, 4),
            "decompression_channels": (4,),
        },
        preprocessing=PREPROCESSING,
        tissues=tissues,
    )
    save_model(folder, build_network(card), card)
    return folder


def write_manifest(data_dir: Path, rows: int = COUNTS["test"], spacing: str = "0.7,0.9") -> None:
    lines = ["split,index,patient,row_spacing_mm,column_spacing_mm"]
    lines += [f"test,{index},p{index // 2},{spacing}" for index in range(rows)]
    (data_dir / "manifest.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "segmentation")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_segmentation_set(tmp_path_factory.mktemp("sets") / "set", COUNTS)


@pytest.fixture
def own_set(data_dir: Path, tmp_path: Path) -> Path:
    shutil.copytree(data_dir, tmp_path / "set")
    return tmp_path / "set"


def agreements(opened: SegmentedSet) -> dict[int, dict[str, SegmentationRow]]:
    """Return sample -> tissue -> its row."""
    samples: dict[int, dict[str, SegmentationRow]] = {}
    for row in compare_slices(opened, opened.segmenter.tissues):
        samples.setdefault(row.index, {})[row.tissue] = row
    return samples


def test_rows_are_what_the_network_says_of_every_sample(model: Path, own_set: Path) -> None:
    write_manifest(own_set)
    run = open_segmented_set(model, own_set, "test", device="cpu", engine="reference")
    samples = agreements(run)
    split = open_segmentation_split(own_set, "test")
    assert split is not None
    network = load_model(model).network.eval()
    dataset = SegmentationDataset(split, PREPROCESSING)
    assert len(run) == len(dataset)
    assert list(samples) == list(range(len(dataset)))
    for index, rows in samples.items():
        image, truth = dataset[index]
        with torch.inference_mode():
            labels = network(image[None]).argmax(dim=1)[0].numpy().astype(np.uint8)
        hu = split.images[index, :, :, 0]
        expected = compare_masks(labels, truth.numpy(), ABDOMINAL_TISSUES, (0.7, 0.9), hu)
        for key, agreement in expected.items():
            found = rows[key].agreement
            # Batches round otherwise than single slices: a few pixels in 10,000 are undecided.
            assert found.dice.value == pytest.approx(agreement.dice.value, abs=1e-4)
            assert found.area_cm2.value == pytest.approx(agreement.area_cm2.value, rel=1e-3)
            assert found.true_area_cm2 == agreement.true_area_cm2
            assert found.mean_hu_error.value == pytest.approx(
                agreement.mean_hu_error.value, abs=0.5
            )
            assert rows[key].source == "test"
            assert rows[key].patient == f"p{index // 2}"
    assert any(rows["all"].agreement.dice.value for rows in samples.values())


def test_without_a_manifest_patients_and_millimeters_are_unknown(
    model: Path, data_dir: Path
) -> None:
    run = open_segmented_set(model, data_dir, "test", device="cpu")
    everything = agreements(run)[0]["all"]
    assert set(run.origins) == {SampleOrigin(None, None)}
    assert everything.patient is None
    everything = everything.agreement
    assert everything.dice.value is not None
    assert everything.hausdorff95_mm.reason == "the pixel spacing is not known"
    assert everything.area_error_cm2.reason == "the pixel spacing is not known"


def test_a_cell_without_a_spacing_leaves_only_its_sample_without(
    model: Path, own_set: Path
) -> None:
    write_manifest(own_set)
    text = (own_set / "manifest.csv").read_text().replace("test,1,p0,0.7,0.9", "test,1,p0,,0.9")
    (own_set / "manifest.csv").write_text(text)
    samples = agreements(open_segmented_set(model, own_set, "test", device="cpu"))
    known = [s["all"].agreement.true_area_cm2.value is not None for s in samples.values()]
    assert known == [True, False, *[True] * 17]


def test_images_of_any_number_format_give_the_same_rows(model: Path, own_set: Path) -> None:
    images = np.load(own_set / "test_images.npy")
    before = agreements(open_segmented_set(model, own_set, "test", device="cpu"))
    for other in (images.astype(">i4"), np.asfortranarray(images.astype(np.float64))):
        np.save(own_set / "test_images.npy", other)
        assert agreements(open_segmented_set(model, own_set, "test", device="cpu")) == before


def test_a_thoracic_model_is_compared_in_its_own_tissues(data_dir: Path, tmp_path: Path) -> None:
    thoracic = make_model(tmp_path / "thoracic", THORACIC_TISSUES)
    run = open_segmented_set(thoracic, data_dir, "val", device="cpu")
    assert run.segmenter.tissues == THORACIC_TISSUES
    assert list(agreements(run)[0]) == ["muscle", "subcutaneous_fat", "all"]


def test_what_cannot_be_evaluated_is_refused_before_anything_runs(
    model: Path, own_set: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="unknown split 'tset'"):
        open_segmented_set(model, own_set, "tset")
    with pytest.raises(InputNotFoundError, match="expected a model"):
        open_segmented_set(tmp_path / "nothing", own_set, "test")
    write_manifest(own_set, rows=7)
    with pytest.raises(TrainingSetError, match="expected 19 rows of test, found 7"):
        open_segmented_set(model, own_set, "test")
    for name in ("test_images.npy", "test_masks.npy"):
        (own_set / name).unlink()
    with pytest.raises(InputNotFoundError, match=r"test_images.npy and test_masks.npy"):
        open_segmented_set(model, own_set, "test")


def test_damaged_samples_are_named_by_their_number(model: Path, own_set: Path) -> None:
    masks = np.load(own_set / "test_masks.npy", mmap_mode="r+")
    masks[11, 0, 0] = 9
    masks.flush()
    with pytest.raises(TrainingSetError, match="sample 11: expected labels 0, 1, 2, 3, found 9"):
        agreements(open_segmented_set(model, own_set, "test", device="cpu"))
    images = np.load(own_set / "test_images.npy").astype(np.float32)
    images[4, 3, 3] = np.nan
    np.save(own_set / "test_images.npy", images)
    with pytest.raises(TrainingSetError, match="sample 4: expected HU, found NaN"):
        agreements(open_segmented_set(model, own_set, "test", device="cpu"))


def test_a_model_that_finds_levels_is_refused(data_dir: Path, tmp_path: Path) -> None:
    card = ModelCard(
        task="slice_selection",
        architecture="densenet",
        config={"num_outputs": 1, "nb_blocks": 2, "nb_layers_per_block": 1, "growth_rate": 2},
        preprocessing=Preprocessing((256, 256), quantised=True),
        levels=("L3",),
        target_scale_mm=10.0,
    )
    save_model(tmp_path / "other", build_network(card), card)
    with pytest.raises(ModelError, match="expected a model for segmentation"):
        open_segmented_set(tmp_path / "other", data_dir, "test")


def test_samples_that_are_annotated_in_part_or_not_at_all(model: Path, own_set: Path) -> None:
    write_manifest(own_set)
    masks = np.load(own_set / "test_masks.npy", mmap_mode="r+")
    masks[2, :200], masks[3] = NOT_ANNOTATED_LABEL, NOT_ANNOTATED_LABEL
    masks.flush()
    with pytest.raises(TrainingSetError, match="found 255"):
        agreements(open_segmented_set(model, own_set, "test", device="cpu"))
    declare_labels(own_set, not_annotated=True)
    samples = agreements(open_segmented_set(model, own_set, "test", device="cpu"))
    assert set(samples) == set(range(COUNTS["test"])) - {3}
    assert samples[2]["all"].agreement.dice.value is not None
    assert samples[2]["all"].agreement.area_error_cm2.value is None
    assert samples[4]["all"].agreement.area_error_cm2.value is not None


def test_a_tissue_is_compared_where_it_was_labeled(model: Path, own_set: Path) -> None:
    complete = agreements(open_segmented_set(model, own_set, "test", device="cpu"))
    masks = np.load(own_set / "test_masks.npy", mmap_mode="r+")
    masks[2][masks[2] == MUSCLE.label] = 0
    masks.flush()
    fats = ("subcutaneous_fat", "visceral_fat")
    every = ("muscle", *fats)
    labeled = [fats if index == 2 else every for index in range(COUNTS["test"])]
    declare_labels(own_set, labeled={"train": every, "val": every, "test": labeled})
    samples = agreements(open_segmented_set(model, own_set, "test", device="cpu"))
    assert samples[2]["muscle"].agreement.dice.value is None
    assert samples[2]["all"].agreement.dice.value is None
    for index, of_sample in samples.items():
        for tissue in fats if index == 2 else (*every, "all"):
            assert of_sample[tissue] == complete[index][tissue]
