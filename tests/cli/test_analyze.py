"""``bodycomp analyze`` from the command line: what goes wrong is said, with an exit code."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.cli import main
from bodycomp.cli.analyze import _reasons, _table
from bodycomp.study.options import AnalyzedSeries, StudyReport
from support.kill_harness import TABLES, make_cohort


def analyze(*arguments: object) -> int:
    return main(["analyze", *(str(argument) for argument in arguments)])


def test_a_folder_without_ct_fails_and_says_so(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("not a scan")
    assert analyze(tmp_path / "in", "--models", models, "--out", tmp_path / "out") == 1
    assert "expected" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_input_is_named(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert analyze(tmp_path / "gone", "--models", models, "--out", tmp_path / "out") == 1
    assert "gone" in capsys.readouterr().err


def test_missing_models_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze(tmp_path, "--models", tmp_path / "none", "--out", tmp_path / "out") == 1
    assert "slice-selection" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["analyze", "prepare"])
def test_identifiers_are_asked_for_by_one_name(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prepare", "segmentation"] if command == "prepare" else ["analyze"]
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    shown = capsys.readouterr().out
    assert "--keep-identifiers" in shown
    assert " --identifiers" not in shown


def test_a_negative_range_is_a_usage_error(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = analyze(tmp_path, "-m", models, "-o", tmp_path / "out", "--range", "-5")
    assert code == 2
    assert "-5" in capsys.readouterr().err


def test_a_list_names_the_inputs(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cohort(tmp_path / "cohort", 3)
    (tmp_path / "list.csv").write_text("site,input\nx,cohort/000\ny,cohort/002\n")
    given = ["--list", tmp_path / "list.csv", "-m", models, "--no-previews", "--device", "cpu"]
    assert analyze(*given, "-o", tmp_path / "out") == 0
    assert "2 series measured" in capsys.readouterr().out
    (tmp_path / "list.csv").write_text("site,input\nx,gone\n")
    assert analyze(*given, "-o", tmp_path / "other") == 1
    assert "line 2" in capsys.readouterr().err


def test_sigterm_ends_in_good_order_and_resume_goes_on(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cohort(tmp_path / "cohort", 9)
    out = tmp_path / "out"
    given = [tmp_path / "cohort", "-m", models, "-o", out, "--device", "cpu"]
    command = [sys.executable, "-m", "bodycomp", "analyze", *map(str, given), "--workers", "0"]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    journal = out / "journal.jsonl"  # a study is finished when it stands there
    while process.poll() is None and not (journal.is_file() and journal.stat().st_size):
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 143, said
    assert "--resume" in said
    assert "Traceback" not in said
    assert json.loads((out / "run.json").read_text())["state"] == "interrupted"
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]

    assert analyze(*given, "--resume", "--range", "10") == 1
    assert "range_mm: 0.0, now 10.0" in capsys.readouterr().err
    assert analyze(*given, "--resume") == 0
    assert json.loads((out / "run.json").read_text())["counts"]["studies_finished_before"] >= 1
    capsys.readouterr()
    whole = tmp_path / "whole"
    (tmp_path / "whole.pseudonym-key").write_text((tmp_path / "out.pseudonym-key").read_text())
    assert analyze(*given[:3], "-o", whole, "--device", "cpu") == 0
    for name in TABLES:
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_a_resumed_run_takes_new_rows_into_the_reviewed_table(models: Path, tmp_path: Path) -> None:
    make_cohort(tmp_path / "cohort", 2)
    first, second = sorted((tmp_path / "cohort").iterdir())
    out = tmp_path / "out"
    given = ["--models", models, "--out", out, "--no-previews", "--device", "cpu"]
    assert analyze(first, *given) == 0
    (row,) = _rows(out / "results.csv")
    digests = f"{row['slice_selection_model']}+{row['segmentation_model']}"
    review = {name: row[name] for name in ("study", "series", "level", "slice_index")} | {
        "verdict": "reject",
        "comment": "",
        "moved_to_slice": "",
        "reviewer": "AB",
        "reviewed_at": "2025-03-31T09:41:00+02:00",
        "models": digests,
    }
    path = tmp_path / "review.csv"
    path.write_text(f"{','.join(review)}\n{','.join(review.values())}\n")
    assert main(["review", "apply", str(out), str(path)]) == 0
    assert analyze(first, second, *given, "--resume") == 0
    assert sorted(row["verdict"] for row in _rows(out / "reviewed.csv")) == ["", "reject"]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_table_of_the_terminal_fits_into_80_columns() -> None:
    row = {"level": "T12", "status": "uncertain", "reason": "two positions fit almost equally well"}
    found = {"level": "L3", "status": "found", "reason": ""}
    for tissue in ABDOMINAL_TISSUES:
        row |= {f"{tissue.key}_area_cm2": None, f"{tissue.key}_mean_hu": None}
        found |= {f"{tissue.key}_area_cm2": 123.4, f"{tissue.key}_mean_hu": -105.6}
    study, name = "study-0123456789ab", "series-0123456789ab"
    known = SimpleNamespace(analyzed={name: (found, row)})
    series = AnalyzedSeries(Path(study, name), {study: known})
    report = StudyReport((series,), (), (), Path("out"), 1, 0)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(_table(report))
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    assert lines[-2].split("  ")[0] == "study-0123456789ab"
    assert lines[-2].count("123.4 -105.6") == 3
    assert len(lines) == 3 + 2  # three lines of headings, and one line per level
    assert "…" not in "".join(lines)
    assert list(_reasons(report)) == [
        "study-0123456789ab, T12 uncertain: two positions fit almost equally well"
    ]
