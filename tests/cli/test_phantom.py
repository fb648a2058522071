"""``bodycomp phantom`` from the command line."""

from pathlib import Path

import pytest

from bodycomp.cli import main


def test_one_patient_without_dicom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "phantoms"
    assert main(["phantom", str(out), "--patients", "1", "--seed", "113", "--no-dicom"]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "cohort.csv",
        "segmentation",
        "slice-selection",
        "truth",
    ]
    assert "1 patients (0 train, 0 val, 1 test)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--patients", "0"], "--patients of at least 1"),
        (["--patients", "5", "--splits", "1", "1", "1"], "add up to 5"),
        (["--seed", "-3"], "--seed of at least 0"),
    ],
)
def test_impossible_cohorts_are_refused_and_leave_nothing(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["phantom", str(tmp_path / "out"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
