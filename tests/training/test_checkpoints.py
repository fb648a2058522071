"""Checkpoints that were damaged on the disk are noticed, and the last good one is gone on from."""

from __future__ import annotations

import logging
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bodycomp.errors import TrainingError
from bodycomp.training.fit import train_slice_selection
from bodycomp.training.run_folder import RunFolder
from bodycomp.training.steps.checkpoints import (
    find_checkpoints,
    find_damage,
    restore_last,
    write_checkpoint,
)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path: Path) -> None:
    """In the middle of the largest tensor; what is between the parts matters to nobody."""
    with zipfile.ZipFile(path) as archive:
        part = max(archive.infolist(), key=lambda part: part.file_size)
        at = path.read_bytes().index(archive.read(part)) + part.file_size // 2
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Three checkpoints were written, so that two are left."""
    folder = RunFolder(tmp_path / "run")
    for step in (1, 2, 3):
        write_checkpoint({"bodycomp": {"step": step}, "w": torch.ones(10_000)}, folder)
    return folder


def test_the_last_two_are_kept(folder: RunFolder) -> None:
    good, damaged = find_checkpoints(folder)
    assert [(kept.path.name, kept.step) for kept in good] == [
        ("last.ckpt", 3),
        ("previous.ckpt", 2),
    ]
    assert not damaged


@pytest.mark.parametrize("damage", [cut_short, flip_a_bit, empty, Path.unlink])
def test_whatever_happens_to_the_last_one_the_previous_is_used(
    folder: RunFolder, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(folder.last_checkpoint)
    restore_last(folder)
    assert "resuming from previous.ckpt, after step 2" in caplog.text
    assert find_damage(folder.last_checkpoint) is None
    assert torch.load(folder.last_checkpoint, weights_only=True)["bodycomp"]["step"] == 2


def test_a_good_one_stays_and_leftovers_of_a_kill_go(folder: RunFolder) -> None:
    before = folder.last_checkpoint.stat().st_mtime_ns
    leftover = folder.last_checkpoint.with_name(".last.ckpt.0123abcd.part")
    leftover.write_bytes(b"half")
    restore_last(folder)
    assert folder.last_checkpoint.stat().st_mtime_ns == before
    assert not leftover.exists()


def test_without_a_good_one_a_resume_is_refused_with_every_reason(folder: RunFolder) -> None:
    cut_short(folder.last_checkpoint)
    shutil.copy(__file__, folder.previous_checkpoint)
    with pytest.raises(TrainingError, match="none that is whole") as caught:
        restore_last(folder)
    assert "last.ckpt: it is cut short" in caught.value.message
    assert "previous.ckpt" in caught.value.message
    assert "--load_weights" in caught.value.hint


def test_a_resume_from_the_previous_one_ends_with_the_same_weights(tiny_densenet, caplog) -> None:
    caplog.set_level(logging.INFO, logger="bodycomp")
    run = train_slice_selection(tiny_densenet(epochs=2))
    last, table = run / "checkpoints" / "last.ckpt", run / "metrics.csv"
    weights = torch.load(last, weights_only=True)["state_dict"]
    rows = len(table.read_text(encoding="utf-8").splitlines())
    flip_a_bit(last)
    train_slice_selection(tiny_densenet(epochs=2, resume=True))
    assert "is wrong): resuming from previous.ckpt, after step 3" in caplog.text
    for name, weight in torch.load(last, weights_only=True)["state_dict"].items():
        assert torch.equal(weight, weights[name]), name
    assert len(table.read_text(encoding="utf-8").splitlines()) == rows
