"""Folds share nobody, keep what a manifest names, and depend on the set alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bodycomp.data.chosen_samples import ChosenSamples
from bodycomp.data.datasets import SampleSet
from bodycomp.data.folds import folds_of_training, keep_folds, make_folds, share_out
from bodycomp.errors import TrainingSetError, UsageError
from bodycomp.imaging.preprocessing import SEGMENTATION_PREPROCESSING as USUAL

SIZES = {"train": 8, "val": 4}
PATIENTS = ("a", "a", "b", "b", "b", "c", "d", "d"), ("a", "e", "f", "f")


def write_manifest(folder: Path, **columns: tuple[tuple[str, ...], tuple[str, ...]]) -> Path:
    rows = [",".join(["split", "index", *columns])]
    for place, (split, count) in enumerate(SIZES.items()):
        cells = zip(*(values[place] for values in columns.values()), strict=True)
        rows += [f"{split},{i},{','.join(own)}" for i, own in zip(range(count), cells, strict=True)]
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


def owners(held_out: list[tuple[str, int]]) -> set[str]:
    place = {"train": 0, "val": 1}
    return {PATIENTS[place[split]][index] for split, index in held_out}


def test_each_sample_is_held_out_once_and_nobody_is_in_two_folds(tmp_path: Path):
    folds = make_folds(write_manifest(tmp_path, patient=PATIENTS), SIZES, 3)
    held_out = [folds.held_out(fold) for fold in (1, 2, 3)]
    assert sorted(place for own in held_out for place in own) == [
        (s, i) for s, n in SIZES.items() for i in range(n)
    ]
    for fold, own in enumerate(held_out, start=1):
        assert not owners(own) & owners(folds.learnt(fold))
        assert len(own) == 4  # 12 samples of groups of 3, 3, 2, 2, 1 and 1


def test_sizes_are_as_alike_as_whole_groups_allow():
    rng = np.random.default_rng(0)
    groups = [f"p{number}" for number in rng.integers(0, 60, 400)]
    sizes = np.bincount(share_out(groups, 5))[1:]
    assert sizes.max() - sizes.min() <= 2
    order = rng.permutation(len(groups))
    assert (share_out([groups[i] for i in order], 5) == share_out(groups, 5)[order]).all()


def test_folds_that_a_manifest_names_are_kept(tmp_path: Path):
    names = ("x", "x", "y", "y", "y", "z", "z", "z"), ("x", "y", "z", "z")
    write_manifest(tmp_path, patient=PATIENTS, fold=names)
    folds = make_folds(tmp_path, SIZES, 3)
    assert folds.by == "fold"
    found = [*folds.of_sample["train"], *folds.of_sample["val"]]
    assert ["xyz"[number - 1] for number in found] == [*names[0], *names[1]]
    assert make_folds(tmp_path, SIZES, 2, "patient").by == "patient"
    with pytest.raises(UsageError, match="names 3 folds, found --folds 5"):
        make_folds(tmp_path, SIZES, 5)


def test_the_folds_of_a_published_set_are_kept(tmp_path: Path):
    source = (
        ("fold-1", "fold-1", "fold-2", "fold-2", "fold-2", "fold-3", "fold-3", "fold-3"),
        ("fold-1", "fold-2", "fold-3", "fold-3"),
    )
    write_manifest(tmp_path, patient=PATIENTS, source_split=source)
    assert make_folds(tmp_path, SIZES, 3).of_sample["val"].tolist() == [1, 2, 3, 3]
    other = source[0], ("fold-1", "train", "fold-3", "fold-3")
    write_manifest(tmp_path, patient=PATIENTS, source_split=other)
    assert make_folds(tmp_path, SIZES, 3).by == "patient"


def test_a_site_stays_together_with_the_patients_that_it_shares(tmp_path: Path):
    sites = ("s1", "s1", "s2", "s2", "s2", "s3", "s3", "s3"), ("s4", "s5", "s6", "s6")
    write_manifest(tmp_path, patient=PATIENTS, site=sites)  # patient a was in s1 and s4
    folds = make_folds(tmp_path, SIZES, 3, "site")
    number = [*folds.of_sample["train"], *folds.of_sample["val"]]
    by_site: dict[str, set[int]] = {}
    for site, own in zip((*sites[0], *sites[1]), number, strict=True):
        by_site.setdefault(site, set()).add(int(own))
    assert all(len(own) == 1 for own in by_site.values())
    assert by_site["s1"] == by_site["s4"]


@pytest.mark.parametrize(
    ("columns", "count", "by", "message"),
    [
        ({"site": PATIENTS}, 3, None, "column patient"),
        ({"patient": PATIENTS}, 7, None, "for 7 folds, found 6"),
        ({"patient": PATIENTS}, 3, "site", "such a column for --fold_by site"),
        (
            {"patient": PATIENTS, "site": (("",) * 8, ("s",) * 4)},
            *(3, "site", "a value for every sample for --fold_by site"),
        ),
        (
            {"patient": PATIENTS, "fold": (tuple("12121212"), tuple("1212"))},
            *(2, None, "expected each patient in one fold"),
        ),
    ],
)
def test_what_cannot_be_shared_out_is_refused(tmp_path: Path, columns, count, by, message):
    write_manifest(tmp_path, **columns)
    with pytest.raises((TrainingSetError, UsageError), match=message):
        make_folds(tmp_path, SIZES, count, by)


def test_a_set_that_names_nobody_has_no_folds(tmp_path: Path):
    with pytest.raises(TrainingSetError, match="samples of nobody"):
        make_folds(tmp_path, SIZES, 3)


def test_a_set_that_has_changed_since_the_training_is_refused(tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    folds = make_folds(write_manifest(tmp_path, patient=PATIENTS), SIZES, 3)
    keep_folds(run / "folds.json", folds)
    keep_folds(run / "folds.json", folds)  # the same again
    assert '"a"' not in (run / "folds.json").read_text()  # it names nobody
    again = folds_of_training(tmp_path, SIZES, run)
    assert (again.of_sample["train"] == folds.of_sample["train"]).all()
    write_manifest(tmp_path, patient=(PATIENTS[0][::-1], PATIENTS[1]))
    with pytest.raises(UsageError, match="expected the training set that the folds"):
        folds_of_training(tmp_path, SIZES, run)
    with pytest.raises(UsageError, match="found others"):
        keep_folds(run / "folds.json", make_folds(tmp_path, SIZES, 3))
    with pytest.raises(UsageError, match="expected a training with --folds"):
        folds_of_training(tmp_path, SIZES, tmp_path)
    (run / "folds.json").write_text("{")
    with pytest.raises(TrainingSetError, match="damaged"):
        folds_of_training(tmp_path, SIZES, run)


class Numbers(SampleSet):
    """Samples that are their own number, as files of a dtype hold them."""

    def __init__(self, first: int, dtype: torch.dtype, preprocessing) -> None:
        self.first, self.dtype, self.preprocessing = first, dtype, preprocessing

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int):
        images, truth = self.read([index])
        return images[0], truth[0]

    def read(self, indices):
        values = torch.tensor([self.first + index for index in indices])
        return values.to(self.dtype)[:, None, None, None], values


@pytest.mark.parametrize("dtype", [torch.float32, torch.int16])
def test_chosen_samples_are_those_of_their_sets(dtype):
    sets = {"train": Numbers(0, dtype, USUAL), "val": Numbers(100, torch.float32, USUAL)}
    chosen = ChosenSamples(sets, [("val", 2), ("train", 4), ("val", 0)], patient=("a", "b", "a"))
    images, truth = chosen.read([2, 0, 1])
    assert truth.tolist() == [100, 102, 4]
    assert images.dtype == torch.float32
    assert images[:2].flatten().tolist() == [100, 102]
    assert int(chosen[1][1]) == 4
    assert len(chosen) == 3
