"""``bodycomp prepare`` from the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from bodycomp.annotation.level_options import vertebra_labels
from bodycomp.cli import main
from bodycomp.errors import UsageError

MASKS, LEVELS = "prepare segmentation", "prepare slice-selection"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (f"{MASKS} cases.csv out --labels 1=bone", 2, "expected LABEL=TISSUE, found '1=bone'"),
        (f"{MASKS} cases.csv out --split 0.5 0.1 0.1", 2, "add up to 1"),
        (f"{MASKS} cases.csv out --labels 1=muscle --around l3", 2, "Did you mean L3?"),
        (f"{MASKS} cases.csv out --labels 1=muscle --spacing-mm 0", 2, "positive --spacing-mm"),
        (f"{LEVELS} cases.csv out -L L3 L3", 2, "level L3 is named twice"),
        (f"{LEVELS} cases.csv out --far-stride 0", 2, "--far-stride of at least 1"),
        (f"{LEVELS} cases.csv out --vertebra-labels 22=L3", 2, "such as L3=22"),
        (f"{LEVELS} cases.csv out --jobs 0", 2, "--jobs of at least 1"),
        (f"{LEVELS} cases.csv out --seed -1", 2, "--seed of at least 0"),
        (f"{LEVELS} cases.csv out", 1, "expected a cases table, found none"),
        ("prepare discover nowhere cases.csv", 1, "expected a folder of scans"),
        ("prepare discover . cases.xlsx", 2, "named .csv"),
    ],
)
def test_what_cannot_be_used_is_told_and_leaves_nothing(
    command: str,
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == code
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_labels_of_vertebrae() -> None:
    assert vertebra_labels(["L3=22", "T12 = 26"]) == {"L3": 22, "T12": 26}
    assert vertebra_labels(["L6=25", "T13=28"]) == {"L6": 25, "T13": 28}
    with pytest.raises(UsageError, match="found level 'l3'"):
        vertebra_labels(["l3=22"])


@pytest.mark.parametrize("name", ["", "segmentation", "slice-selection", "discover"])
def test_the_help_reads_no_images(name: str) -> None:
    code = (
        "import sys; from bodycomp.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print({'torch', 'pydicom', 'nibabel', 'yaml', 'scipy'} & set(sys.modules))"
    )
    arguments = ["prepare", *name.split(), "--help"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "set()"
    assert "usage: " in done.stdout
