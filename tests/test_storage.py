"""Outputs appear whole or not at all."""

from pathlib import Path

import pytest

from bodycomp.errors import OutputError
from bodycomp.storage import atomic_file, atomic_folder


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "table.csv"
    with atomic_file(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert [p.name for p in target.parent.iterdir()] == ["table.csv"]


def test_a_failure_keeps_the_earlier_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("earlier")
    with pytest.raises(RuntimeError), atomic_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "earlier"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    for folder in (tmp_path, Path()):
        with pytest.raises(OutputError, match="found a folder"), atomic_file(folder):
            pass


def test_a_folder_with_content_is_never_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("keep")
    with pytest.raises(OutputError, match="not empty"), atomic_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out" / "precious.txt").exists()


def test_an_overwritten_folder_survives_a_failure(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "earlier.txt").write_text("keep")
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "out", overwrite=True) as folder:
        (folder / "half.txt").write_text("half")
        raise RuntimeError
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["earlier.txt"]
    with atomic_folder(tmp_path / "out", overwrite=True) as folder:
        (folder / "new.txt").write_text("whole")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="found a file"), atomic_folder(tmp_path / "out"):
        pass
