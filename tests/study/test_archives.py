"""Zip files: what is unpacked never outlives the run after, and names do not depend on where."""

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.errors import InputNotFoundError, OutputError
from bodycomp.study.journal import JOURNAL_NAME, StudyRecord, open_journal, refuse_running
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.out_folder import held_folder
from bodycomp.study.run import analyze_inputs
from bodycomp.study.sources import volume_source
from support.kill_harness import make_cohort, start
from support.stand_ins import BodyIsMuscle, LevelAt

ANALYZER = Analyzer(LevelAt(), BodyIsMuscle(), AnalysisOptions())


def zipped(folder: Path, studies: int) -> Path:
    make_cohort(folder / "cohort", studies)
    return Path(shutil.make_archive(str(folder / "studies"), "zip", folder / "cohort"))


def analyze(archive: Path, out: Path, **options):
    (archive.parent / "key").write_text("cd" * 32)
    given = AnalyzeOptions(
        inputs=(archive,),
        models_dir=archive,
        out_dir=out,
        pseudonym_key=archive.parent / "key",
        previews=False,
        **{"workers": 0} | options,
    )
    return analyze_inputs(given, analyzer=ANALYZER)


def unpacked(out: Path) -> list[Path]:
    return list(out.glob(".unpacked*"))


def wait_for_helpers(out: Path) -> None:
    """Helper processes of a killed run hold its journal until they have seen that it is gone."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with suppress(OutputError):
            return refuse_running(out / JOURNAL_NAME)
        time.sleep(0.05)
    pytest.fail("a helper process outlived its run")


def test_unpacked_scans_of_a_killed_run_are_removed_by_the_next_one(tmp_path, monkeypatch) -> None:
    archive, out, key = zipped(tmp_path, 8), tmp_path / "out", tmp_path / "key"
    key.write_text("cd" * 32)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    process = start(archive, out, key)
    while process.poll() is None and not (out / JOURNAL_NAME).exists():
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for_helpers(out)
    (left,) = unpacked(out)
    assert left.stat().st_mode & 0o777 == 0o700
    assert not [path for path in (tmp_path / "tmp").rglob("*.dcm") if path.is_file()]

    with pytest.raises(OutputError, match="not empty"):
        analyze(archive, out)  # refused, yet nobody's scans stay
    assert unpacked(out) == []
    assert start(archive, out, key).wait() == 0
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


def test_a_run_killed_while_it_unpacks_leaves_a_folder_like_a_new_one(tmp_path) -> None:
    out = tmp_path / "out"
    (out / ".unpacked.000001.part" / "0000").mkdir(parents=True)
    assert len(analyze(zipped(tmp_path, 1), out).analyzed) == 1
    assert unpacked(out) == []


def test_unpacked_scans_of_a_running_run_are_left_alone(tmp_path) -> None:
    archive, out = zipped(tmp_path, 1), tmp_path / "out"
    analyze(archive, out)
    (out / ".unpacked.000001.part").mkdir()
    with (
        open_journal(out / JOURNAL_NAME, StudyRecord),
        pytest.raises(OutputError, match="another run"),
    ):
        analyze(archive, out, resume=True)
    assert unpacked(out)


def test_what_a_run_unpacks_before_its_journal_opens_is_left_alone(tmp_path) -> None:
    archive, out = zipped(tmp_path, 1), tmp_path / "out"
    with held_folder(out):
        (out / ".unpacked.000001.part").mkdir()
        with pytest.raises(OutputError, match="another run"):
            analyze(archive, out)
        assert unpacked(out)
    assert len(analyze(archive, out).analyzed) == 1
    assert unpacked(out) == []


def test_archive_without_images_leaves_no_output_folder(tmp_path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no image")
    archive = Path(shutil.make_archive(str(tmp_path / "in"), "zip", tmp_path / "notes"))
    with pytest.raises(InputNotFoundError):
        analyze(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_of_series_without_uids_depend_on_the_place_in_the_archive(tmp_path) -> None:
    make_cohort(tmp_path / "cohort", 2)
    for path in (tmp_path / "cohort").rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID = dataset.SeriesInstanceUID = dataset.PatientID = ""
        dataset.save_as(path)
    archive = Path(shutil.make_archive(str(tmp_path / "in"), "zip", tmp_path / "cohort"))
    names = [
        [(item.study, item.series) for item in analyze(archive, tmp_path / out).analyzed]
        for out in ("a", "b")
    ]
    assert names[0] == names[1]
    assert len(set(names[0])) == 2
    assert analyze(archive, tmp_path / "a", resume=True).resumed_count == 2


def test_name_of_a_detached_nrrd_depends_on_its_content_alone(tmp_path) -> None:
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: raw\n"
        "endian: little\ndata file: voxels.raw\n\n"
    )
    names = []
    for place, value in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "scan.nhdr").write_text(header)
        (tmp_path / place / "voxels.raw").write_bytes(np.full(8, value, "<i2").tobytes())
        names.append(volume_source(tmp_path / place / "scan.nhdr", 1, 1).study)
    assert names[0] == names[1] != names[2]
