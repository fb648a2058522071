"""The cache of decoded slices: filled once, believed only when whole, bounded, shared."""

import os
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from bodycomp.cli import main
from bodycomp.data.datasets import SliceDataset
from bodycomp.data.gray_cache import GrayCache, GrayFileWriter, file_bytes, open_or_none
from bodycomp.data.layout import png_path
from bodycomp.data.slice_set import open_slice_split
from bodycomp.imaging.preprocessing import SLICE_SELECTION_PREPROCESSING
from bodycomp.validation import slice_pass
from bodycomp.validation.slices import survey_slice_set
from support.factories import make_slice_set

SIZE = (256, 256)


@pytest.fixture
def slices(tmp_path):
    return make_slice_set(tmp_path / "set", {"train": 5, "val": 2}, sizes=[(96, 64), (256, 256)])


@pytest.fixture
def cache(tmp_path):
    return GrayCache(tmp_path / "cache", 10**9)


@pytest.fixture
def decoded(monkeypatch):
    """The names of the slices that were decoded rather than found in the cache."""
    names = []

    def decode(data, place, **options):
        names.append(place.where)
        return decode_png(data, place, **options)

    decode_png = slice_pass.decode_png
    monkeypatch.setattr(slice_pass, "decode_png", decode)
    return names


def survey(folder, cache):
    return survey_slice_set(folder, levels=["L3"], cache=cache)


def samples(folder, split="train", decoded=None):
    opened = open_slice_split(folder, split, ["L3"])
    dataset = SliceDataset(opened, SLICE_SELECTION_PREPROCESSING, decoded=decoded, cache_bytes=0)
    return torch.stack([dataset[i][0] for i in range(len(dataset))])


def names(cache):
    return sorted(path.name for path in cache.folder.iterdir())


def change(folder, index, split="train"):
    """Change a PNG but neither its size in bytes nor its time."""
    path = png_path(folder, split, index)
    before, length = path.stat(), path.stat().st_size
    gray = np.array(Image.open(path))
    gray[0, 0] ^= 1
    Image.fromarray(gray).save(path, compress_level=0)
    data = path.read_bytes()
    path.write_bytes(data + b"\0" * max(0, length - len(data)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_slices_from_the_cache_are_those_of_the_files_bit_for_bit(slices, cache):
    result = survey(slices, cache)
    for split in ("train", "val"):
        assert torch.equal(samples(slices, split, result.decoded[split]), samples(slices, split))


def test_training_reads_no_png_once_it_is_in_the_cache(slices, cache):
    result, expected = survey(slices, cache), samples(slices)
    opened = open_slice_split(slices, "train", ["L3"])
    for path in map(opened.png_path, range(len(opened))):
        path.unlink()
    dataset = SliceDataset(opened, SLICE_SELECTION_PREPROCESSING, decoded=result.decoded["train"])
    assert torch.equal(torch.stack([dataset[i][0] for i in range(5)]), expected)


def test_a_second_run_decodes_nothing_and_finds_the_same(slices, cache, decoded):
    first = survey(slices, cache)
    assert len(decoded) == 7
    second = survey(slices, cache)
    assert len(decoded) == 7
    assert second.contents == first.contents
    assert second.issues == first.issues == survey_slice_set(slices, levels=["L3"]).issues
    assert second.decoded["train"].path == first.decoded["train"].path


def test_warnings_of_the_images_come_from_the_cache_as_well(slices, cache):
    Image.new("L", (64, 64), 7).save(png_path(slices, "train", 1))
    png_path(slices, "val", 1).write_bytes(png_path(slices, "train", 3).read_bytes())
    expected = survey_slice_set(slices, levels=["L3"]).issues
    assert {issue.code for issue in expected} == {"blank-png", "image-in-two-splits"}
    for _ in range(2):
        assert survey(slices, cache).issues == expected


def test_a_changed_file_is_seen_though_its_time_is_that_of_before(slices, cache, decoded):
    survey(slices, cache)
    decoded.clear()
    change(slices, 2)
    result = survey(slices, cache)
    assert decoded == ["images/train/000002.png"]  # the others are taken from the earlier file
    assert torch.equal(samples(slices, decoded=result.decoded["train"]), samples(slices))


def test_slices_that_were_added_are_all_that_is_decoded(slices, cache, decoded, tmp_path):
    survey(slices, cache)
    decoded.clear()
    more = make_slice_set(tmp_path / "more", {"train": 7, "val": 2}, sizes=[(96, 64), (256, 256)])
    for index in range(5):
        png_path(more, "train", index).write_bytes(png_path(slices, "train", index).read_bytes())
    survey(more, cache)
    assert sorted(name for name in decoded if "train" in name) == [
        "images/train/000005.png",
        "images/train/000006.png",
    ]


def test_a_file_of_a_broken_png_is_not_kept(slices, cache):
    png_path(slices, "train", 4).write_bytes(b"\x89PNG rubbish")
    result = survey(slices, cache)
    assert [issue.where for issue in result.issues] == ["images/train/000004.png"]
    assert list(result.decoded) == ["val"]
    assert len(names(cache)) == 1


@pytest.mark.parametrize("place", [0.3, 0.7, 0.999])
def test_a_damaged_file_is_noticed_and_made_again(slices, cache, decoded, place):
    path = survey(slices, cache).decoded["train"].path
    decoded.clear()
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 0x40
    path.write_bytes(data)
    result = survey(slices, cache)
    assert 1 <= len(decoded) <= 5
    assert torch.equal(samples(slices, decoded=result.decoded["train"]), samples(slices))
    decoded.clear()
    survey(slices, cache)
    assert decoded == []


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.9999])
def test_a_file_that_was_cut_short_is_not_believed(slices, cache, kept):
    path = survey(slices, cache).decoded["train"].path
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    assert open_or_none(path) is None
    result = survey(slices, cache)
    assert torch.equal(samples(slices, decoded=result.decoded["train"]), samples(slices))


def test_a_file_cut_short_during_a_training_costs_time_alone(slices, cache, caplog):
    file = survey(slices, cache).decoded["train"]
    os.truncate(file.path, 3 * 256 * 256)
    assert torch.equal(samples(slices, decoded=file), samples(slices))
    assert "decoded again" in caplog.text


def test_a_kill_while_writing_leaves_nothing_that_is_believed(slices, cache):
    code = (
        "import os, sys; from pathlib import Path; import bodycomp.data.gray_cache as g\n"
        "from bodycomp.data.gray_cache import GrayCache\n"
        "from bodycomp.validation.slices import survey_slice_set\n"
        "append = g.GrayFileWriter.append\n"
        "def last(self, *slice):\n"
        "    append(self, *slice); self._stream.flush(); os.kill(os.getpid(), 9)\n"
        "g.GrayFileWriter.append = last\n"
        "cache = GrayCache(Path(sys.argv[2]), 10**9)\n"
        "survey_slice_set(Path(sys.argv[1]), levels=['L3'], cache=cache)"
    )
    command = [sys.executable, "-c", code, str(slices), str(cache.folder)]
    assert subprocess.run(command, check=False).returncode == -9
    (left,) = cache.folder.iterdir()
    assert left.suffix == ".part"
    assert cache.files(SIZE) == []
    old = time.time() - 2 * 24 * 3600
    os.utime(left, (old, old))
    survey(slices, cache)
    assert not left.exists()


def test_a_full_disk_is_a_warning(slices, cache, caplog, monkeypatch):
    """/dev/full takes no byte: writing to it fails as on a full disk."""
    begin = GrayFileWriter.__init__

    def on_a_full_disk(self, *arguments):
        begin(self, *arguments)
        self._stream.close()
        self._stream = open("/dev/full", "wb")  # noqa: PTH123, SIM115

    monkeypatch.setattr(GrayFileWriter, "__init__", on_a_full_disk)
    result = survey(slices, cache)
    assert result.decoded == {}
    assert result.issues == ()
    assert "No space left" in caplog.text
    assert "--cache_dir" in caplog.text
    assert names(cache) == []


def test_a_place_that_cannot_be_written_is_a_warning(slices, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    result = survey(slices, GrayCache(tmp_path / "file" / "cache", 10**9))
    assert result.decoded == {}
    assert "cannot be kept" in caplog.text


def test_without_a_cache_nothing_is_written(slices, cache):
    assert survey(slices, GrayCache(cache.folder, 0)).decoded == {}
    assert not cache.folder.exists()


def test_what_does_not_fit_is_not_kept_and_said(slices, cache, caplog):
    small = GrayCache(cache.folder, file_bytes(3, SIZE))
    assert list(survey(slices, small).decoded) == ["val"]
    assert "--cache_gb" in caplog.text


def test_the_least_recently_used_goes_first(cache, tmp_path):
    sets = [
        make_slice_set(tmp_path / str(i), {"train": 1, "val": 1}, sizes=[(32, 32)], seed=i)
        for i in range(3)
    ]
    limited = GrayCache(cache.folder, 4 * file_bytes(1, SIZE))
    first, second = (survey(folder, limited).decoded for folder in sets[:2])
    for age, files in ((3, first), (2, second)):
        for file in files.values():
            os.utime(file.path, (time.time() - age, time.time() - age))
    survey(sets[0], limited)  # used again, though made first
    survey(sets[2], limited)
    assert all(file.path.exists() for file in first.values())
    assert not any(file.path.exists() for file in second.values())
    gray = np.empty((1, *SIZE), np.uint8)
    second["train"].read([0], gray)  # who has it open goes on reading it


def test_two_runs_at_once_fill_one_cache(slices, cache):
    code = (
        "import sys; from pathlib import Path\n"
        "from bodycomp.data.gray_cache import GrayCache\n"
        "from bodycomp.validation.slices import survey_slice_set\n"
        "found = survey_slice_set(Path(sys.argv[1]), levels=['L3'],\n"
        "                         cache=GrayCache(Path(sys.argv[2]), 10**9))\n"
        "assert sorted(found.decoded) == ['train', 'val']"
    )
    command = [sys.executable, "-c", code, str(slices), str(cache.folder)]
    runs = [subprocess.Popen(command) for _ in range(2)]
    assert [run.wait(120) for run in runs] == [0, 0]
    assert len(names(cache)) == 2


def test_a_file_is_sent_to_other_processes_as_its_name(slices, cache):
    file = survey(slices, cache).decoded["train"]
    sent = pickle.dumps(file)
    assert len(sent) < 1000
    assert len(pickle.loads(sent)) == 5
    file.path.unlink()
    assert pickle.loads(sent) is None


def test_names_tell_nothing_of_the_training_set(slices, cache):
    survey(slices, cache)
    for name in names(cache):
        assert len(name) == 32 + len(".grey")
        int(name.removesuffix(".grey"), 16)


def test_the_command_shows_and_clears_the_cache(slices, cache, capsys):
    survey(slices, cache)
    assert main(["cache", "--cache_dir", str(cache.folder)]) == 0
    assert f"{cache.folder}: 2 files, 0.00 GB\n" == capsys.readouterr().out
    assert main(["cache", "--clear", "--cache_dir", str(cache.folder)]) == 0
    assert "2 files, 0.00 GB removed" in capsys.readouterr().out
    assert names(cache) == []


def test_the_command_looks_where_the_environment_says(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("BODYCOMP_CACHE", str(tmp_path / "named"))
    main(["cache"])
    assert f"{tmp_path / 'named'}: 0 files" in capsys.readouterr().out
    monkeypatch.delenv("BODYCOMP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    main(["cache"])
    assert f"{tmp_path / 'bodycomp' / 'slices'}: 0 files" in capsys.readouterr().out
