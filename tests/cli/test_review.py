"""``review apply`` and ``remeasure`` from the command line, with real networks."""

from pathlib import Path

import numpy as np
import pytest

from bodycomp.cli import main
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from support.annotation_files import nifti_map
from support.reviewed_runs import PIXEL_CM2, ByDensity, Run, contents, level_document, widening


@pytest.fixture
def run(models: Path, tmp_path: Path) -> Run:
    """Results of networks with random weights, which are sure of nothing."""
    write_ct_series(tmp_path / "in", widening(), SeriesHeader(seed="one", patient_id="SECRET"))
    arguments = [tmp_path / "in", "--models", models, "--out", tmp_path / "out", "--no-previews"]
    assert main(["analyze", *map(str, arguments)]) == 0
    return Run(tmp_path, ByDensity())


def command(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def shown(run: Run, **cells: object) -> dict[str, object]:
    row = run.rows()[0]
    models = f"{row['slice_selection_model']}+{row['segmentation_model']}"
    return run.review_row(models=models, **cells)


def test_a_review_and_a_mask_from_the_command_line(
    run: Run, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    review = run.review(shown(run, verdict="accept", moved_to_slice=20, comment="here it is"))
    scans = run.place / "in"
    assert command("review", "apply", run.out, review, scans, "--models", models) == 0
    assert "measured where they were moved to: 1" in capsys.readouterr().out
    row = run.row()
    assert (row["slice_index"], row["corrected"], row["status"]) == ("20", "level", "found")
    assert command("review", "apply", run.out, review) == 0
    assert "what counted already: 1" in capsys.readouterr().out

    labels = np.zeros(widening().hu.shape, np.uint8)
    labels[20, 10:20, 10:20] = 1
    labels[20, 20:30, 10:20] = 2
    mask = nifti_map(run.place / "mask.nii.gz", labels, widening())
    given = ("--series", row["series"], "--mask", mask, "--by", "CD", "--reason", "bowel")
    assert command("remeasure", run.out, scans, *given) == 0
    assert "corrected (level; mask)" in capsys.readouterr().out
    assert float(run.row()["muscle_area_cm2"]) == pytest.approx(100 * PIXEL_CM2)
    assert run.row()["corrected_by"] == "CD"
    assert command("remeasure", run.out, scans, *given) == 0
    assert "nothing changed" in capsys.readouterr().out
    correction = level_document(run.folder())["correction"]
    assert (correction["by"], correction["reason"]) == ("CD", "bowel")


def test_the_networks_give_there_what_they_give_the_analysis(run: Run, models: Path) -> None:
    """The slice's mask is that of the same network run on the same pixels, digit for digit."""
    from bodycomp.analysis.loading import load_segmenter  # noqa: PLC0415

    review = run.review(shown(run, moved_to_slice=20))
    assert command("review", "apply", run.out, review, run.place / "in", "--models", models) == 0
    mask = load_segmenter(models)(widening(), [20])[20]
    for label, key in ((1, "muscle"), (2, "subcutaneous_fat"), (3, "visceral_fat")):
        expected = np.count_nonzero(mask == label) * PIXEL_CM2
        assert float(run.row()[f"{key}_area_cm2"]) == pytest.approx(expected, abs=1e-4)


def test_what_is_wrong_is_said_with_an_exit_code(
    run: Run, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run.out)
    review = run.review(shown(run, verdict="accept") | {"level": "T1"})
    assert command("review", "apply", run.out, review) == 1
    error = capsys.readouterr().err
    assert "review.csv line 2, column level: expected one of this run, found 'T1'" in error
    assert "Nothing was written." in error
    assert command("remeasure", run.out, "--series", "series-x", "--slice", 3, "--by", "A") == 1
    assert "expected a series of this run" in capsys.readouterr().err
    assert command("remeasure", run.out, "--series", "series-x", "--by", "A") == 2
    assert "expected a corrected mask or a place" in capsys.readouterr().err
    series = run.rows()[0]["series"]
    given = ("--series", series, "--slice", 3, "--by", "A")
    assert command("remeasure", run.out, *given, "--models", models) == 2
    assert "expected files or folders" in capsys.readouterr().err
    assert contents(run.out) == before
