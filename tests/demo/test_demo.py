"""The whole pipeline in small: cohort, both trainings, analysis, comparison."""

import json
from pathlib import Path

import pytest

from bodycomp.cli import main


@pytest.mark.slow
def test_the_demo_runs_through_and_leaves_what_it_promises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    few_slices = "113"
    patients = ("1", "1", "1")
    command = ["demo", str(out), "--seed", few_slices, "--minutes", "0.03", "--patients", *patients]
    assert main(command) == 0
    for network in ("segmentation", "slice-selection"):
        run = out / "models" / network
        for name in ("model/card.json", "metrics.csv", "curves.png", "examples.png"):
            assert (run / name).exists(), f"{network}/{name}"
    assert (out / "results" / "report.html").exists()
    assert (out / "evaluation" / "report.html").exists()
    evaluation = json.loads((out / "evaluation" / "evaluation.json").read_text())
    assert evaluation["slice_selection"]["cases"]["levels"]["L3"]["counts"]["present"] == 1
    printed = capsys.readouterr().out
    assert "found" in printed
    assert "evaluation/report.html" in printed
    assert "bodycomp analyze" in printed
    assert main(command) == 1
    assert "not empty" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--patients", "0", "1", "1"], ["--minutes", "-1"]])
def test_impossible_demos_are_refused(options: list[str], tmp_path: Path) -> None:
    assert main(["demo", str(tmp_path / "demo"), *options]) == 2
    assert not (tmp_path / "demo").exists()
