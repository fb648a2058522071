"""The benchmark on SAROS from end to end, on a made-up copy, against NumPy on its own outputs."""

import csv
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import bodycomp
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.benchmark.options import SarosBenchmark
from bodycomp.benchmark.table import dice_of_patients
from bodycomp.cli import main
from bodycomp.data.manifest import read_manifest
from bodycomp.errors import CasesError, InputNotFoundError, OutputError, UsageError
from support.no_pictures import leave_pictures_out
from support.public_sets import saros_case, saros_row, table
from support.small_slices import make_slices_small

PAGE = (Path(__file__).parents[2] / "docs" / "public-data.md").read_text(encoding="utf-8")
SPLITS = ("fold-1", "fold-2", "fold-3", "fold-4", "fold-5", "test")
CASES = 12
QUICK = ["--jobs", "1", "-e", "1", "-C", "2", "4", "-M", "2", "-g", "0"]


@pytest.fixture(scope="module")
def saros(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases of each fold and of the test, and a case of the test that was not downloaded."""
    root = tmp_path_factory.mktemp("saros")
    rows = [saros_row(number, SPLITS[number % len(SPLITS)]) for number in range(CASES)]
    for number in range(CASES):
        saros_case(root / "data" / f"case_{number:03d}", number)
    rows.append(saros_row(CASES, "test", tcia_collection="HNSCC"))
    table(root / "Segmentation-Info_09-29-2023.csv", rows)
    return root


def commands() -> list[list[str]]:
    """What follows ``bodycomp`` in the commands of the guide."""
    section = PAGE.partition("\n## The benchmark on SAROS\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    return [shlex.split(line)[1:] for line in block.splitlines()]


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    return 2 * float((mask & truth).sum()) / float(mask.sum() + truth.sum())


def check_numbers(out: Path, again: Path, patients: np.ndarray) -> None:
    """Compare the table with masks of the ensemble, by NumPy."""
    bodycomp.evaluate(
        out / "models",
        again,
        segmentation=out / "set",
        save_masks=True,
        device="cpu",
    )
    masks = np.load(again / "masks/test_masks.npy")[..., 0]
    truth = np.load(out / "set/test_masks.npy")[..., 0]
    with (out / "benchmark.csv").open(newline="") as stream:
        rows = {row["tissue"]: row for row in csv.DictReader(stream)}
    assert list(rows) == [tissue.key for tissue in ABDOMINAL_TISSUES]
    for tissue in ABDOMINAL_TISSUES:
        found, true = masks == tissue.label, truth == tissue.label
        by_patient = [dice(found[patients == p], true[patients == p]) for p in set(patients)]
        by_slice = [dice(*pair) for pair in zip(found, true, strict=True)]
        row = rows[tissue.key]
        assert float(row["dice"]) == pytest.approx(np.mean(by_patient), abs=2e-4)
        assert float(row["dice_median"]) == pytest.approx(np.median(by_patient), abs=2e-4)
        assert float(row["dice_slices"]) == pytest.approx(np.mean(by_slice), abs=2e-4)
        assert (row["patients"], row["slices"]) == ("2", "4")
        assert row["dice_low"] == ""  # two patients have no interval


@pytest.mark.slow
def test_from_the_download_to_the_table(
    saros: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    leave_pictures_out(monkeypatch.setattr)
    make_slices_small(monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    Path("saros").symlink_to(saros)
    estimate, command = commands()
    assert [*command, "--dry-run"] == estimate
    out = Path(command[-1])
    assert main([*estimate, *QUICK]) == 0
    assert {path.name for path in out.iterdir()} == {"benchmark.json", "set"}
    said = capsys.readouterr().out
    assert "in the first of 5 folds by source_split" in said
    assert " 1 epochs of each of 5 folds" in said
    assert f"bodycomp {shlex.join(command)} --jobs 1 --epochs 1" in said

    command += QUICK
    assert main(command) == 0
    page = (out / "benchmark.md").read_text()
    assert capsys.readouterr().out.startswith(page)
    assert "| muscle |" in page
    assert "2 of its 3 cases (set/source-cases.csv says why not all)" in page
    assert "10 patients, 20 slices, the 5 folds of SAROS" in page
    assert "> 0.89 (other test)" in page

    # The folds are those of the source, and none saw the test.
    manifest = read_manifest(out / "set")
    assert manifest is not None
    kept = json.loads((out / "models/segmentation/folds.json").read_text())
    for split in ("train", "val"):
        of_source = manifest.of(split).texts("source_split")
        assert [f"fold-{n}" for n in kept["fold_of_sample"][split].split()] == list(of_source)

    check_numbers(out, tmp_path / "again", np.array(manifest.of("test").texts("patient")))

    # Every step is there: nothing is made anew.
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    caplog.clear()
    assert main(command) == 0
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    changed = {path.name for path in after if before.get(path) != after[path]}
    assert changed <= {"benchmark.md", "benchmark.csv", "folds.csv"}

    # What asks for other cases is refused, and what was removed is made again.
    with pytest.raises(OutputError, match="licenses was 'all', now 'commercial'"):
        bodycomp.benchmark_saros("saros", out, licenses="commercial")
    (out / "evaluation" / "evaluation.json").unlink()
    (out / "evaluation" / "segmentation.csv").unlink()
    (out / "evaluation").rmdir()
    assert main(command) == 0
    assert (out / "benchmark.md").read_text() == page


def test_dice_of_a_patient_is_that_of_all_slices_together() -> None:
    slices = [
        {"patient": "a", "dice": "0.5", "area_cm2": "10", "true_area_cm2": "30"},
        {"patient": "a", "dice": "1", "area_cm2": "80", "true_area_cm2": "80"},
        {"patient": "a", "dice": "0.1", "area_cm2": "9", "true_area_cm2": ""},  # annotated in part
        {"patient": "b", "dice": "0", "area_cm2": "5", "true_area_cm2": "0"},
        {"patient": "c", "dice": "", "area_cm2": "0", "true_area_cm2": "0"},  # in neither mask
    ]
    assert dice_of_patients(slices) == {"a": 2 * (10 + 80) / 200, "b": 0.0}


def test_what_is_no_saros_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError):
        bodycomp.benchmark_saros(tmp_path / "nothing", tmp_path / "out")
    table(tmp_path / "info.csv", [saros_row(0, "fold-1")])
    with pytest.raises((InputNotFoundError, CasesError)):
        bodycomp.benchmark_saros(tmp_path, tmp_path.parent / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path.parent / "out").exists()


def test_a_folder_of_something_else_is_left_alone(saros: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        bodycomp.benchmark_saros(saros, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 0}, "--epochs"),
        ({"arch": "resnet"}, "--arch"),
        ({"licenses": "none"}, "--licenses"),
        ({"max_minutes": -1.0}, "--max_minutes"),
    ],
)
def test_options_are_those_of_preparation_and_training(options, said, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        SarosBenchmark(folder=tmp_path, out=tmp_path / "out", **options)
