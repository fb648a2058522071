"""``bodycomp evaluate`` from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from bodycomp.cli import main
from support.factories import make_segmentation_set, make_slice_set


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["models"], "expected something to compare with"),
        (["--cases", "t.csv"], "expected a folder with models"),
        (["--masks", "m"], "--masks and --truth together"),
        (["models", "--masks", "m", "--truth", "t"], "expected no models"),
        (["models", "--segmentation", "s", "--by", "sex"], "expected --cases with --by"),
        (["models", "--cases", "t.csv", "--bootstrap", "5"], "at least 100 resamples"),
        (["models", "--cases", "t.csv", "--seed", "-1"], "--seed of at least 0"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *options, "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_set_of_the_other_kind_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_segmentation_set(tmp_path / "masks")
    make_slice_set(tmp_path / "slices")
    for option, folder in (("--slice-selection", "masks"), ("--segmentation", "slices")):
        arguments = ["evaluate", str(tmp_path), "--out", str(tmp_path / "out")]
        assert main([*arguments, option, str(tmp_path / folder)]) == 2
        assert "Give it as" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_models_that_are_not_there_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_segmentation_set(tmp_path / "set")
    arguments = ["--out", str(tmp_path / "out"), "--segmentation", str(tmp_path / "set")]
    assert main(["evaluate", str(tmp_path / "models"), *arguments]) == 1
    assert "models" in capsys.readouterr().err


def test_masks_made_anywhere_need_no_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, (3, 32, 32)).astype(np.uint8)
    found = np.where(truth == 2, 0, truth)
    np.save(tmp_path / "truth.npy", truth)
    np.save(tmp_path / "found.npy", found)
    out = tmp_path / "out"
    names = ["--masks", str(tmp_path / "found.npy"), "--truth", str(tmp_path / "truth.npy")]
    assert main(["evaluate", "--out", str(out), *names]) == 0
    document = json.loads((out / "evaluation.json").read_text())
    tissues = document["segmentation"]["tissues"]
    assert tissues["muscle"]["metrics"]["mean_dice"]["value"] == 1
    assert tissues["subcutaneous_fat"]["metrics"]["mean_dice"]["value"] == 0
    assert "patients" in tissues["muscle"]["metrics"]["mean_dice"]["reason"]
    undefined = tissues["subcutaneous_fat"]["undefined"]
    assert undefined["hausdorff95_mm"] == {"none of this tissue was found": 3}
    shown = capsys.readouterr().out
    assert "not a medical device" in shown
    assert max(len(line) for line in shown.splitlines() if "results:" not in line) <= 80
