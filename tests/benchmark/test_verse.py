"""The benchmark on VerSe from end to end, on a made-up copy, against NumPy on its own outputs."""

import csv
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import bodycomp
from bodycomp.benchmark.level_table import is_unusual, summed_up
from bodycomp.benchmark.options import VERSE_LEVELS, VerseBenchmark
from bodycomp.cli import main
from bodycomp.errors import OutputError, UsageError
from bodycomp.evaluation.options import BootstrapOptions
from support.no_pictures import leave_pictures_out
from support.public_sets import SPINE, verse_case

PAGE = (Path(__file__).parents[2] / "docs" / "public-data.md").read_text(encoding="utf-8")
LEVELS = SPINE[::-1]
QUICK = ["--jobs", "1", "-e", "1", "-g", "0", "--image_size", "64", "-L", *LEVELS]
UNUSUAL = {
    "sub-verse020": ("L6", *SPINE[:5]),
    "sub-verse021": ("L5", "L4", "L3", "L2", "L1", "T13"),
    "sub-verse022": ("L4", "L3", "L2", "L1", "T12"),  # the scan ends just below L4
}


@pytest.fixture(scope="module")
def verse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Usual spines in each split, and some in the test that have other numbers."""
    root = tmp_path_factory.mktemp("verse")
    for split, first, count in (("training", 0, 4), ("validation", 5, 2), ("test", 10, 2)):
        for number in range(first, first + count):
            verse_case(root, f"dataset-verse19{split}", f"sub-verse{number:03d}", number)
    for patient, names in UNUSUAL.items():
        verse_case(root, "dataset-verse19test", patient, int(patient[-3:]), names)
    return root


def commands() -> list[list[str]]:
    """What follows ``bodycomp`` in the commands of the guide."""
    section = PAGE.partition("\n## The benchmark on VerSe\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    return [shlex.split(line)[1:] for line in block.splitlines()]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_from_the_download_to_the_table(
    verse: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    leave_pictures_out(monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    Path("verse").symlink_to(verse)
    estimate, command = commands()
    assert [*command, "--dry-run"] == estimate
    out = Path(command[-1])
    assert main([*command, *QUICK]) == 0
    page = (out / "benchmark.md").read_text()
    assert capsys.readouterr().out.startswith(page)
    assert "Training: 6 patients" in page
    assert "the official test split, 5 of its 5 cases" in page

    table = {(row["spine"], row["level"]): row for row in rows_of(out / "benchmark.csv")}
    expected = {"usual": LEVELS, "unusual number": LEVELS[1:]}  # of which none has T12
    assert list(table) == [(s, n) for s, levels in expected.items() for n in ("all", *levels)]
    present = {place: int(row["present"]) for place, row in table.items()}
    assert present["usual", "L5"] == 2  # the third of the usual spines ends at L4
    assert present["usual", "L3"] == 3
    assert present["unusual number", "L4"] == 2
    assert present["unusual number", "all"] == 10

    # Every step is there: nothing is made anew.
    weights = next((out / "models").rglob("*.safetensors"))
    before = weights.stat().st_mtime_ns
    assert main([*command, *QUICK]) == 0
    assert weights.stat().st_mtime_ns == before
    assert (out / "benchmark.md").read_text() == page
    with pytest.raises(OutputError, match="licenses was 'all', now 'commercial'"):
        bodycomp.benchmark_verse("verse", out, licenses="commercial")


def test_rows_are_summed_up_as_by_numpy() -> None:
    rng = np.random.default_rng(3)
    errors, kinds = rng.normal(0, 8, 60), rng.integers(0, 4, 60)
    rows = [
        {
            "patient": str(number // 2),
            "level": ("L3", "L4")[number % 2],
            "present": "no" if kind == 0 else "yes",
            "status": "uncertain" if kind == 1 else "found",
            "error_mm": "" if kind == 1 else str(error),
        }
        for number, (error, kind) in enumerate(zip(errors, kinds, strict=True))
    ]
    rows.append({"patient": "0", "level": "L5", "present": "", "status": "found", "error_mm": ""})
    unusual = {"3", "4"}
    found = {(r.spine, r.level): r for r in summed_up(rows, unusual, BootstrapOptions())}
    assert len(found) == 6  # nobody says where L5 is
    is_usual = ~np.isin(np.arange(60) // 2, [3, 4])
    for level, own in (("all", is_usual), ("L4", is_usual & (np.arange(60) % 2 == 1))):
        row, distances = found["usual", level], np.abs(errors[own & (kinds > 1)])
        present = np.sum(own & (kinds > 0))
        expected = {
            "found": len(distances) / present,
            "within_10_mm": np.sum(distances <= 10) / present,
            "mean_absolute_error_mm": distances.mean(),
            "median_absolute_error_mm": np.median(distances),
            "false_findings": 1.0,
        }
        assert row.present == present
        assert {key: row.numbers[key]["value"] for key in expected} == pytest.approx(expected)
        assert all(n["low"] <= n["value"] <= n["high"] for n in row.numbers.values())


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ({"L4": "-90", "L5": "-55"}, False),
        ({"L4": "-90", "L5": ""}, True),  # four lumbar vertebrae
        ({"L4": "-50", "L5": ""}, False),  # L5 may lie below the scan
        ({"L5": "3", "L6": "38"}, True),
        ({"T12": "3", "T13": "-20"}, True),
        ({"T11": "3", "T12": "", "L1": "-20"}, True),
        ({"T11": "", "T12": "", "L1": "-20"}, False),
    ],
)
def test_spines_of_an_unusual_number(offsets: dict[str, str], expected: bool) -> None:
    assert is_unusual({f"ZOffset_{level}": text for level, text in offsets.items()}) == expected


def test_levels_go_from_head_to_feet_and_options_are_those_of_the_training(tmp_path: Path) -> None:
    places = {"folder": tmp_path, "out": tmp_path / "out"}
    assert (
        VerseBenchmark(**places).training().levels
        == VERSE_LEVELS
        == (
            *(f"C{n}" for n in range(1, 8)),
            *(f"T{n}" for n in range(1, 13)),
            *(f"L{n}" for n in range(1, 6)),
        )
    )
    for options in ({"levels": ("L3", "L1")}, {"epochs": 0}, {"arch": "unet"}, {"image_size": 70}):
        with pytest.raises(UsageError):
            VerseBenchmark(**places, **options)
