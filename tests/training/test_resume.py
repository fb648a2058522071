"""A training that was killed or interrupted and resumed ends as one that never was."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from bodycomp.errors import InputNotFoundError, OutputError, UsageError
from bodycomp.training.fit import train_slice_selection
from support.factories import make_slice_set

TIMINGS = {"images_per_s", "elapsed_s"}


def read_rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in rows]


def test_resume_of_a_finished_run_changes_nothing(tiny_densenet):
    run = train_slice_selection(tiny_densenet())
    before = (run / "metrics.csv").read_bytes()
    assert train_slice_selection(tiny_densenet(resume=True)) == run
    assert (run / "metrics.csv").read_bytes() == before


def test_resume_with_more_epochs_goes_on(tiny_densenet):
    run = train_slice_selection(tiny_densenet(epochs=1))
    train_slice_selection(tiny_densenet(epochs=2, resume=True))
    assert [row["epoch"] for row in read_rows(run)] == ["0", "1"]


def test_resume_refuses_other_options_and_other_data(tiny_densenet, tmp_path):
    train_slice_selection(tiny_densenet(epochs=1))
    with pytest.raises(UsageError, match="batch_size was 4, now 3"):
        train_slice_selection(tiny_densenet(epochs=1, resume=True, batch_size=3))
    other = make_slice_set(
        tmp_path / "other", {"train": 8, "val": 8}, levels=("L3", "T8"), sizes=((64, 64),), seed=1
    )
    with pytest.raises(UsageError, match="not the one that this run began with"):
        train_slice_selection(tiny_densenet(epochs=1, resume=True, data_dir=other))


def test_existing_run_is_refused_and_a_missing_one_not_resumed(tiny_densenet):
    run = train_slice_selection(tiny_densenet(epochs=1))
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    with pytest.raises(OutputError, match="a run of this name exists"):
        train_slice_selection(tiny_densenet(epochs=1))
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    with pytest.raises(InputNotFoundError, match="expected a run to continue"):
        train_slice_selection(tiny_densenet(name="absent", resume=True))
