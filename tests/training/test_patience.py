import csv

import pytest

from bodycomp.errors import UsageError
from bodycomp.training.fit import train_slice_selection
from bodycomp.training.slice_selection import SliceSelectionTask
from bodycomp.training.steps.state import TrainingState
from bodycomp.training.task import Evaluation


def epochs_of(run) -> list[int]:
    with (run / "metrics.csv").open(encoding="utf-8") as stream:
        return [int(row["epoch"]) for row in csv.DictReader(stream)]


def test_training_ends_when_nothing_gets_better(tiny_densenet, monkeypatch):
    """Scores of 2, 3, 1, 1: the best epoch is 1, and two more are waited for."""
    judged = SliceSelectionTask.evaluate
    scores = iter([2.0, 3.0, 1.0, 1.0])

    def scripted(self, *arguments):
        evaluation = judged(self, *arguments)
        return Evaluation(evaluation.metrics, next(scores), evaluation.cases)

    monkeypatch.setattr(SliceSelectionTask, "evaluate", scripted)
    options = {"epochs": 9, "patience": 2}
    with pytest.raises(StopIteration):  # the scores last for training, not for the test split
        train_slice_selection(tiny_densenet(**options))
    run = tiny_densenet(**options).output_dir / "run"
    assert epochs_of(run) == [0, 1, 2, 3]


def test_a_run_that_ran_out_of_patience_stays_ended(tiny_densenet):
    options = {"epochs": 6, "patience": 1, "learning_rate": 1e-30}  # nothing is learnt
    run = train_slice_selection(tiny_densenet(**options, average=0.0, omit_batch_norm=True))
    ended = epochs_of(run)
    assert ended == [0, 1]
    again = tiny_densenet(**options, average=0.0, omit_batch_norm=True, resume=True)
    assert epochs_of(train_slice_selection(again)) == ended


def test_more_patience_goes_on(tiny_densenet):
    options = {"epochs": 3, "learning_rate": 1e-30, "average": 0.0, "omit_batch_norm": True}
    run = train_slice_selection(tiny_densenet(**options, patience=1))
    assert epochs_of(run) == [0, 1]
    train_slice_selection(tiny_densenet(**options, patience=5, resume=True))
    assert epochs_of(run) == [0, 1, 2]


def test_epochs_since_best():
    rows = [{"epoch": epoch} for epoch in range(5)]
    assert TrainingState(history=rows, best_epoch=1).epochs_since_best == 3
    assert TrainingState(history=rows).epochs_since_best == 5  # no score yet: all were in vain
    assert TrainingState().epochs_since_best == 0


def test_patience_of_none_is_refused(tiny_densenet):
    with pytest.raises(UsageError, match="--patience of at least 1, found 0"):
        tiny_densenet(patience=0)
