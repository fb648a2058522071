"""Stand-in models with known faults on small annotated scans: the numbers must name the faults."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bodycomp.analysis.pipeline import Analyzer
from bodycomp.errors import CasesError, OutputError, RunInterruptedError, UsageError
from bodycomp.nifti import write_nifti_labels
from support.annotated_cases import LABELS, case_row, make_cases, make_volume, write_table
from support.faulty_models import (
    L3_Z_MM,
    BlindScorer,
    Scorer,
    Segmenter,
    column,
    read_csv,
    run,
    without_a_row,
)

CASES = 12


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cases(tmp_path_factory.mktemp("cases"), CASES)


@pytest.fixture(scope="module")
def shifted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation of models 7 mm too high that lose a row of each mask."""
    out = tmp_path_factory.mktemp("shifted") / "out"
    run(table, out, Analyzer(Scorer(7.0), Segmenter(CASES, without_a_row)), by=("site",))
    return out


def read(out: Path) -> dict:
    return json.loads((out / "evaluation.json").read_text())


def value(number: dict) -> float | None:
    return number["value"]


def test_perfect_models_have_no_error(table: Path, tmp_path: Path) -> None:
    run(table, tmp_path / "out", Analyzer(Scorer(), Segmenter(CASES)))
    document = read(tmp_path / "out")
    level = document["slice_selection"]["cases"]["levels"]["L3"]
    assert level["counts"]["present_found"] == CASES
    assert value(level["metrics"]["within_5_mm"]) == 1
    assert value(level["metrics"]["p90_absolute_error_mm"]) == pytest.approx(0, abs=0.3)
    for tissue in document["end_to_end"]["L3"]["tissues"].values():
        assert value(tissue["area"]["mean_absolute_error_cm2"]) == 0
        assert value(tissue["mean_hu"]["mean_absolute_error_hu"]) == 0
        assert value(tissue["area"]["icc_2_1"]) == pytest.approx(1)
        assert value(tissue["segmentation"]["mean_dice"]) == 1
        assert value(tissue["parts"]["total_mean_absolute_error_cm2"]) == 0
        assert value(tissue["parts"]["slice_share"]) is None
        assert tissue["parts"]["slice_share"]["reason"]


def test_a_model_that_is_7_mm_too_high_is_said_to_be(shifted: Path) -> None:
    metrics = read(shifted)["slice_selection"]["cases"]["levels"]["L3"]["metrics"]
    for name in ("mean_error_mm", "median_error_mm", "median_absolute_error_mm"):
        assert value(metrics[name]) == pytest.approx(7, abs=0.3)
        assert metrics[name]["low"] <= value(metrics[name]) <= metrics[name]["high"]
    assert value(metrics["within_5_mm"]) == 0
    assert value(metrics["within_10_mm"]) == 1
    assert metrics["within_10_mm"]["low"] < 1


def test_errors_of_segmentation_and_slice_add_up_case_by_case(shifted: Path) -> None:
    rows = read_csv(shifted / "end_to_end.csv")
    assert len(rows) == 3 * CASES
    parts = {name: column(rows, f"{name}_error_cm2") for name in ("segmentation", "slice", "total")}
    assert parts["segmentation"] + parts["slice"] == pytest.approx(parts["total"], abs=2e-4)
    assert (parts["segmentation"] <= 0).all()
    assert np.abs(parts["slice"]).max() > 0
    measured = column(rows, "measured_area_cm2") - column(rows, "true_area_cm2")
    assert measured == pytest.approx(parts["total"], abs=2e-4)


@pytest.mark.parametrize("tissue", ["muscle", "subcutaneous_fat", "visceral_fat"])
def test_numbers_are_those_of_the_table(shifted: Path, tissue: str) -> None:
    """Recomputed from ``end_to_end.csv`` by NumPy and SciPy alone."""
    rows = [row for row in read_csv(shifted / "end_to_end.csv") if row["tissue"] == tissue]
    found, true = column(rows, "measured_area_cm2"), column(rows, "true_area_cm2")
    numbers = read(shifted)["end_to_end"]["L3"]["tissues"][tissue]
    error, area = found - true, numbers["area"]
    spread = 1.96 * error.std(ddof=1)
    assert value(area["bias_cm2"]) == pytest.approx(error.mean(), abs=1e-3)
    assert value(area["lower_limit_cm2"]) == pytest.approx(error.mean() - spread, abs=1e-3)
    assert value(area["upper_limit_cm2"]) == pytest.approx(error.mean() + spread, abs=1e-3)
    assert value(area["pearson"]) == pytest.approx(stats.pearsonr(found, true)[0], abs=1e-3)
    both = np.cov(found, true, bias=True)
    lin = 2 * both[0, 1] / (both[0, 0] + both[1, 1] + error.mean() ** 2)
    assert value(area["lin_concordance"]) == pytest.approx(lin, abs=1e-3)
    of_segmentation, of_slice = (
        np.abs(column(rows, f"{part}_error_cm2")).mean() for part in ("segmentation", "slice")
    )
    parts = numbers["parts"]
    assert value(parts["segmentation_mean_absolute_error_cm2"]) == pytest.approx(
        of_segmentation, abs=1e-3
    )
    assert value(parts["slice_share"]) == pytest.approx(
        of_slice / (of_segmentation + of_slice), abs=1e-3
    )
    assert value(parts["segmentation_share"]) + value(parts["slice_share"]) == pytest.approx(1)
    assert area["bias_cm2"]["n"] == area["bias_cm2"]["patients"] == CASES


def test_a_level_that_is_not_there_and_found_is_a_false_finding(
    table: Path, tmp_path: Path
) -> None:
    """T5 was marked 700 mm above the scans."""
    run(table, tmp_path / "out", Analyzer(Scorer(t5_z_mm=L3_Z_MM + 20), Segmenter(CASES)))
    levels = read(tmp_path / "out")["slice_selection"]["cases"]["levels"]
    counts = {name: levels[name]["counts"] for name in ("L3", "T5")}
    rows = read_csv(tmp_path / "out" / "slice_selection.csv")
    found = sum(row["level"] == "T5" and row["status"] == "found" for row in rows)
    assert (counts["T5"]["absent"], counts["T5"]["absent_found"]) == (CASES, found)
    assert (counts["T5"]["present"], counts["L3"]["absent"]) == (0, 0)
    assert value(levels["L3"]["metrics"]["false_findings"]) is None
    assert value(levels["T5"]["metrics"]["found"]) is None
    assert value(levels["T5"]["metrics"]["false_findings"]) == pytest.approx(found / CASES)


def test_levels_that_are_not_found_are_counted_and_named(table: Path, tmp_path: Path) -> None:
    run(table, tmp_path / "out", Analyzer(BlindScorer(), Segmenter(CASES)))
    document = read(tmp_path / "out")
    level = document["slice_selection"]["cases"]["levels"]["L3"]
    assert level["counts"]["present"] == CASES
    assert level["counts"]["present_uncertain"] + level["counts"]["present_called_absent"] == CASES
    assert value(level["metrics"]["found"]) == value(level["metrics"]["within_10_mm"]) == 0
    assert level["metrics"]["median_absolute_error_mm"]["reason"]
    counts = document["end_to_end"]["L3"]["counts"]
    assert (counts["cases"], counts["measured"], counts["not_found"]) == (CASES, 0, CASES)
    assert len(set(counts["cases_not_found"])) == CASES
    muscle = document["end_to_end"]["L3"]["tissues"]["muscle"]
    assert value(muscle["area"]["bias_cm2"]) is None
    assert value(muscle["segmentation"]["mean_dice"]) == 1  # at the true level, found or not


def test_a_case_that_cannot_be_read_is_refused_with_its_reason(tmp_path: Path) -> None:
    table = make_cases(tmp_path, 3)
    (tmp_path / "case-1" / "mask.nii.gz").write_bytes(b"no NIfTI")
    evaluation = run(table, tmp_path / "out", Analyzer(Scorer(), Segmenter(3)))
    assert [refused.where for refused in evaluation.refused] == ["row 3"]
    assert read(tmp_path / "out")["data"]["cases"] == 2
    (refused,) = read_csv(tmp_path / "out" / "refused.csv")
    assert refused["reason"]
    assert "case-1" not in refused["reason"]
    assert any("1 case was refused" in warning for warning in evaluation.warnings)


def test_an_evaluation_without_any_case_leaves_nothing(tmp_path: Path) -> None:
    table = make_cases(tmp_path, 1)
    (tmp_path / "case-0" / "mask.nii.gz").write_bytes(b"no NIfTI")
    with pytest.raises(CasesError, match="every case is refused"):
        run(table, tmp_path / "out", Analyzer(Scorer(), Segmenter(1)))
    assert not (tmp_path / "out").exists()


def test_nothing_tells_who_the_patients_are_unless_asked(table: Path, tmp_path: Path) -> None:
    for identifiers in (False, True):
        out = tmp_path / str(identifiers)
        run(table, out, Analyzer(Scorer(), Segmenter(CASES)), identifiers=identifiers)
        content = "".join(path.read_text() for path in out.iterdir())
        content = content.replace('id="case-7"', "")  # the page numbers its own elements
        assert ("case-7" in content) is identifiers


def test_split_test_is_evaluated_where_there_is_one(tmp_path: Path) -> None:
    make_cases(tmp_path, 3)
    splits = ("train", "test", "test")
    rows = [case_row(f"case-{i}", split=split) for i, split in enumerate(splits)]
    table = write_table(tmp_path / "split.csv", rows)
    analyzer = Analyzer(Scorer(), Segmenter(3))
    run(table, tmp_path / "out", analyzer)
    data = read(tmp_path / "out")["data"]["parts"]["cases"]
    assert (data["split"], data["cases"]) == ("test", 2)
    warnings = run(table, tmp_path / "train", analyzer, split="train").warnings
    assert any("trained on" in warning for warning in warnings)
    with pytest.raises(UsageError, match="expected cases of the split val"):
        run(table, tmp_path / "val", analyzer, split="val")


def test_a_mask_that_lies_elsewhere_is_not_taken_for_the_level(tmp_path: Path) -> None:
    """The masks reach from slice 4 to 8; the level is marked at slice 11."""
    table = make_cases(tmp_path, 2)
    text = (tmp_path / "levels.csv").read_text()
    (tmp_path / "levels.csv").write_text(text.replace(str(L3_Z_MM), "-146.0"))
    run(table, tmp_path / "out", Analyzer(Scorer(), Segmenter(2)))
    assert "end_to_end" not in read(tmp_path / "out")
    assert {row["levels_without_mask"] for row in read_csv(tmp_path / "out" / "cases.csv")} == {
        "L3"
    }


def test_subgroups_share_out_all_cases_and_warn_where_few(shifted: Path) -> None:
    document = read(shifted)
    groups = {entry["group"]: entry for entry in document["subgroups"]}
    assert set(groups) == {"a", "b"}
    assert sum(group["cases"] for group in groups.values()) == CASES
    assert all("too few" in group["warning"] for group in groups.values())
    rows = [
        row
        for row in read_csv(shifted / "end_to_end.csv")
        if row["tissue"] == "muscle" and row["case"] in _cases_of(shifted, "a")
    ]
    bias = column(rows, "total_error_cm2").mean()
    of_group = groups["a"]["end_to_end"]["L3"]["tissues"]["muscle"]
    assert value(of_group["area"]["bias_cm2"]) == pytest.approx(bias, abs=1e-3)


def _cases_of(out: Path, group: str) -> set[str]:
    return {row["case"] for row in read_csv(out / "cases.csv") if row["group_site"] == group}


def test_the_better_of_two_models_is_named_where_the_interval_allows(
    table: Path, tmp_path: Path
) -> None:
    good = Analyzer(Scorer(), Segmenter(CASES))
    bad = Analyzer(Scorer(7.0, digest="other"), Segmenter(CASES, without_a_row))
    run(table, tmp_path / "out", good, bad)
    document = read(tmp_path / "out")
    assert document["against"]["slice_selection"] == "other"
    levels = document["comparison"]["slice_selection"]["cases"]["L3"]
    error = levels["mean_absolute_error_mm"]
    assert error["better"] == "models"
    assert value(error["difference"]) == pytest.approx(-7, abs=0.5)
    assert error["difference"]["high"] < 0
    fat = document["comparison"]["end_to_end"]["L3"]["subcutaneous_fat"]
    dice = fat["segmentation"]["mean_dice"]
    assert dice["better"] == "models"
    assert dice["models"] == 1 > dice["against"]
    assert {row["models"] for row in read_csv(tmp_path / "out" / "end_to_end.csv")} == {
        "models",
        "against",
    }


def test_a_model_is_not_better_than_itself(table: Path, tmp_path: Path) -> None:
    same = Analyzer(Scorer(7.0), Segmenter(CASES, without_a_row))
    run(table, tmp_path / "out", same, same)
    found = _comparisons(read(tmp_path / "out")["comparison"])
    assert {one["better"] for one in found} == {"undecided"}
    assert {value(one["difference"]) for one in found} <= {0, None}


def _comparisons(part: object) -> list[dict]:
    if isinstance(part, dict):
        if "better" in part:
            return [part]
        return [found for own in part.values() for found in _comparisons(own)]
    return []


def test_every_number_says_what_it_is_made_of(shifted: Path) -> None:
    numbers = _numbers(read(shifted))
    assert len(numbers) > 100
    for number in numbers:
        assert set(number) - {"reason"} == {"value", "low", "high", "unit", "n", "patients"}
        incomplete = number["value"] is None or number["low"] is None
        assert bool(number.get("reason")) == incomplete


def _numbers(part: object) -> list[dict]:
    if isinstance(part, dict):
        if "value" in part and "unit" in part:
            return [part]
        return [found for own in part.values() for found in _numbers(own)]
    return [found for own in part for found in _numbers(own)] if isinstance(part, list) else []


def test_only_an_earlier_evaluation_is_replaced(tmp_path: Path) -> None:
    table = make_cases(tmp_path, 1)
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious.txt").write_text("x")
    with pytest.raises(OutputError, match="not empty"):
        run(table, out, Analyzer(Scorer(), Segmenter(1)))
    assert (out / "precious.txt").exists()


def test_a_column_that_nobody_has_is_named(table: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found no shoe_size"):
        run(table, tmp_path / "out", Analyzer(Scorer(), Segmenter(CASES)), by=("shoe_size",))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_evaluation_and_refuses_no_case(
    table: Path, tmp_path: Path, number: signal.Signals
) -> None:
    class Interrupted(Segmenter):
        def __call__(self, *arguments, **options):
            signal.raise_signal(number)
            return super().__call__(*arguments, **options)

    with pytest.raises(RunInterruptedError, match=f"ended by {number.name}"):
        run(table, tmp_path / "out", Analyzer(Scorer(), Interrupted(CASES)))
    assert list(tmp_path.iterdir()) == []


def test_the_page_holds_every_case_and_its_truth(shifted: Path) -> None:
    page = (shifted / "report.html").read_text()
    for row in read_csv(shifted / "cases.csv"):
        assert row["case"] in page
    assert "not a medical device" in page
    assert sorted(path.name for path in shifted.iterdir()) == [
        "cases.csv",
        "end_to_end.csv",
        "evaluation.json",
        "report.html",
        "slice_selection.csv",
    ]


def test_a_slice_that_is_annotated_in_part_has_a_dice_and_no_true_area(tmp_path: Path) -> None:
    table = make_cases(tmp_path, 2)
    volume, labels = make_volume(0)
    labels[:, :20] = 255
    write_nifti_labels(tmp_path / "case-0" / "mask.nii.gz", volume, labels)
    meanings = (*LABELS, "255=not_annotated")
    run(table, tmp_path / "out", Analyzer(Scorer(), Segmenter(2)), labels=meanings)
    part, whole = (
        [row for row in read_csv(tmp_path / "out" / "end_to_end.csv") if row["case"] == case]
        for case in dict.fromkeys(r["case"] for r in read_csv(tmp_path / "out" / "end_to_end.csv"))
    )
    for row in part:
        assert (row["true_area_cm2"], row["total_error_cm2"], row["true_mean_hu"]) == ("", "", "")
        assert float(row["dice"]) == 1
        assert float(row["measured_area_cm2"]) > 0
    assert all(float(row["total_error_cm2"]) == 0 for row in whole)
    level = read(tmp_path / "out")["end_to_end"]["L3"]
    assert level["counts"]["partly_annotated"] == 1
    assert level["tissues"]["muscle"]["area"]["bias_cm2"]["n"] == 1
