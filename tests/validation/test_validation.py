"""Both kinds of training sets are recognised and described in one pass."""

import numpy as np
import pytest

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.data.issues import Issue, collect, count_issues, shortened, warning
from bodycomp.data.layout import images_path, masks_path, table_path
from bodycomp.errors import InputNotFoundError, TrainingSetError
from bodycomp.validation.validate import levels_of, training_set_kind, validate_training_set
from support.factories import make_segmentation_set, make_slice_set


def test_the_facts_of_samples_are_those_of_their_pixels(tmp_path):
    validation = validate_training_set(make_segmentation_set(tmp_path))
    assert validation.kind == "segmentation"
    images, masks = (np.load(at(tmp_path, "train")) for at in (images_path, masks_path))
    facts = validation.facts["train"]
    for hu, labels, found in zip(images[..., 0], masks[..., 0], facts, strict=True):
        assert (found["lowest_hu"], found["highest_hu"]) == (hu.min(), hu.max())
        for position, tissue in enumerate(ABDOMINAL_TISSUES):
            pixels = hu[labels == tissue.label].astype(float)
            assert found["pixels"][position] == len(pixels)
            np.testing.assert_allclose(found["mean_hu"][position], pixels.mean(), rtol=1e-5)
            np.testing.assert_allclose(found["sd_hu"][position], pixels.std(), rtol=1e-3)
        assert found["outside_share"].max() < 0.03
        np.testing.assert_allclose(found["body_pixels"], np.count_nonzero(labels), rtol=0.01)


def test_a_tissue_without_pixels_has_no_mean(tmp_path):
    make_segmentation_set(tmp_path)
    masks = np.load(masks_path(tmp_path, "val"))
    masks[masks == 3] = 0
    np.save(masks_path(tmp_path, "val"), masks)
    facts = validate_training_set(tmp_path).facts["val"]
    assert (facts["pixels"][:, 2] == 0).all()
    assert np.isnan(facts["mean_hu"][:, 2]).all()
    assert np.isnan(facts["sd_hu"][:, 2]).all()
    assert np.isfinite(facts["mean_hu"][:, :2]).all()


def test_the_facts_of_slices_are_there_for_every_split(tmp_path):
    validation = validate_training_set(make_slice_set(tmp_path, sizes=[(64, 64), (80, 48)]))
    assert validation.kind == "slice-selection"
    assert {split: len(facts) for split, facts in validation.facts.items()} == {
        "train": 4,
        "val": 2,
    }
    facts = validation.facts["train"]
    assert facts["rows"].tolist() == [64, 80, 64, 80]
    assert (facts["black_share"] > 0.3).all()
    assert len(set(facts["image_digest"].tolist())) == 4


def test_the_kind_is_told_by_the_names_of_files(tmp_path):
    with pytest.raises(InputNotFoundError, match=r"train_images.npy.*images/ and meta/"):
        training_set_kind(tmp_path)
    (tmp_path / "meta").mkdir()
    assert training_set_kind(tmp_path) == "slice-selection"
    (tmp_path / "val_masks.npy").touch()
    with pytest.raises(TrainingSetError, match="both kinds"):
        training_set_kind(tmp_path)


def test_levels_are_those_with_offsets_in_every_split(tmp_path):
    make_slice_set(tmp_path, levels=["L3", "T12", "T5"])
    assert levels_of(tmp_path) == ("T5", "T12", "L3")
    table_path(tmp_path, "val").write_text("ZOffset_T5,ZOffset_L3\n,1\n,2\n")
    assert levels_of(tmp_path) == ("L3",)


def test_columns_that_spell_a_vertebra_in_another_way_are_of_no_level(tmp_path):
    """Such as an older reading that stayed in the table: other columns do not count."""
    make_slice_set(tmp_path, levels=["L3"])
    for split in ("train", "val"):
        path = table_path(tmp_path, split)
        header, *rows = path.read_text().splitlines()
        path.write_text("\n".join([f"{header},ZOffset_l3", *(f"{row},900" for row in rows)]) + "\n")
    assert levels_of(tmp_path) == ("L3",)
    assert not validate_training_set(tmp_path).errors


def test_issues_are_kept_up_to_a_bound_and_shown_up_to_another():
    issues = (warning("some-rule", f"place {index}", "message") for index in range(1200))
    kept = collect(issues, "val")
    assert len(kept) == 1001
    assert {issue.split for issue in kept} == {"val"}
    assert kept[-1].message == "200 more of this kind (some-rule), 1200 in all"
    assert count_issues(kept, "warning") == 1200
    shown = shortened((*kept, Issue("error", "there", "once", "", "other")))
    assert len(shown) == 7
    assert shown[5].message == "1195 more of this kind (some-rule), 1200 in all"
    assert shown[5].where == "after place 4"
