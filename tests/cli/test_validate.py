"""``bodycomp validate`` from the command line."""

import json

import numpy as np
import pytest

from bodycomp.cli import main
from bodycomp.data.layout import masks_path
from support.factories import make_segmentation_set, make_slice_set


@pytest.fixture
def spoiled(tmp_path):
    make_segmentation_set(tmp_path, {"train": 9, "val": 2})
    masks = np.load(masks_path(tmp_path, "train"))
    masks[1:8] *= 2
    np.save(masks_path(tmp_path, "train"), masks)
    return tmp_path


def test_errors_are_shown_by_rule_and_end_with_1(spoiled, capsys):
    assert main(["validate", str(spoiled)]) == 1
    out = capsys.readouterr().out
    assert "error  mask-value" in out
    assert "train_masks.npy, sample 5" in out
    assert "train_masks.npy, sample 6" not in out
    assert "2 more of this kind (mask-value), 7 in all" in " ".join(out.split())
    assert out.count("Labels must not be scaled") == 1
    assert "7 errors, " in out.splitlines()[-1]


def test_warnings_alone_end_with_0_unless_strict(tmp_path, capsys):
    make_slice_set(tmp_path, {"train": 12, "val": 4})
    assert main(["validate", str(tmp_path)]) == 0
    assert "warning  split-small" in capsys.readouterr().out
    assert main(["validate", str(tmp_path), "--strict"]) == 1


def test_json_holds_all_issues_and_goes_to_a_file_or_standard_output(spoiled, capsys):
    path = spoiled / "out" / "issues.json"
    assert main(["validate", str(spoiled), "--json", str(path)]) == 1
    told = json.loads(path.read_text())
    assert (told["schema"], told["schema_version"]) == ("bodycomp-validation", 2)
    assert (told["kind"], told["samples"]) == ("segmentation", {"train": 9, "val": 2})
    wrong = [each for each in told["issues"] if each["code"] == "mask-value"]
    assert [(each["split"], each["index"], each["value"]) for each in wrong] == [
        ("train", index, 4) for index in range(1, 8)
    ]
    assert told["errors"] == 7
    capsys.readouterr()
    assert main(["validate", str(spoiled), "--json", "-"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == told
    assert "error  mask-value" in err


def test_levels_are_those_asked_for(tmp_path, capsys):
    make_slice_set(tmp_path, {"train": 12, "val": 6})
    assert main(["validate", str(tmp_path), "--levels", "L3", "T12"]) == 1
    assert "expected a column ZOffset_T12" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--levels", "l3"], 2, "Did you mean L3?"),
        (["--levels", "L3", "L3"], 2, "level L3 is named twice"),
    ],
)
def test_levels_that_cannot_be_are_refused(tmp_path, capsys, options, code, said):
    make_slice_set(tmp_path)
    assert main(["validate", str(tmp_path), *options]) == code
    assert said in capsys.readouterr().err


def test_a_folder_without_a_training_set_is_refused_with_what_was_looked_for(tmp_path, capsys):
    assert main(["validate", str(tmp_path)]) == 1
    assert (
        "train_images.npy and train_masks.npy (segmentation), or images/" in capsys.readouterr().err
    )
    assert main(["validate", str(tmp_path / "nowhere")]) == 1
    assert "found no such folder" in capsys.readouterr().err


def test_levels_of_a_segmentation_set_are_a_usage_error(spoiled, capsys):
    assert main(["validate", str(spoiled), "--levels", "L3"]) == 2
    assert "Levels belong to slice selection" in capsys.readouterr().err
