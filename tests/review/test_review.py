"""A review applied to a run: what counts afterwards, what stays, and what does not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import InputNotFoundError, ModelError, OutputError, ReviewError
from bodycomp.report.result_rows import REVIEW_COLUMNS
from bodycomp.review import session
from bodycomp.review.apply import apply_review
from bodycomp.review.options import CorrectionOptions, ReviewOptions
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.run import analyze_inputs
from support.reviewed_runs import (
    AT,
    PIXEL_CM2,
    ByDensity,
    LevelsAt,
    area_cm2,
    contents,
    level_document,
    make_run,
    table,
    tissue_labels,
    widening,
)

LATER = "2025-04-01T08:00:00+02:00"
REVIEW_FILES = ("reviews.jsonl", "reviewed.csv")


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """A run for reviews that are refused; each test sees that nothing was written."""
    return make_run(tmp_path_factory.mktemp("untouched"))


def test_verdicts_stand_beside_what_was_measured(run):
    before = contents(run.out)
    review = run.review(
        run.review_row(0, verdict="accept", comment="fine, really"),
        run.review_row(1, verdict="reject", comment='arms in the "field"\nof view'),
    )
    outcome = run.apply(review, inputs=())

    accepted, rejected = run.rows("reviewed.csv")
    original = run.rows()
    assert list(accepted)[: len(original[0])] == list(original[0])
    assert {name: accepted[name] for name in original[0]} == original[0]
    assert (accepted["verdict"], accepted["comment"]) == ("accept", "fine, really")
    assert (accepted["reviewer"], accepted["reviewed_at"]) == ("AB", AT)
    assert (rejected["status"], rejected["reason"]) == ("rejected", "rejected by reviewer")
    assert rejected["comment"] == 'arms in the "field"\nof view'
    kept = {"level_z_mm", "slice_index", "confidence", "manufacturer", "segmentation_model"}
    assert all(rejected[name] == original[1][name] for name in kept)
    measured = [
        name for name in original[0] if name.startswith(("muscle", "body", "noise", "high"))
    ]
    assert len(measured) > 10
    assert not any(rejected[name] for name in measured)
    assert {n: c for n, c in contents(run.out).items() if n not in REVIEW_FILES} == before
    assert (outcome.new, outcome.verdicts["reject"], outcome.moved) == (2, 1, 0)


@pytest.mark.parametrize(("range_mm", "intervals"), [(0.0, True), (18.0, False)])
def test_a_moved_level_is_what_the_analysis_would_have_measured_there(
    tmp_path, range_mm, intervals
):
    analysis = AnalysisOptions(range_mm=range_mm, intervals=intervals)
    run = make_run(tmp_path, patients=1, analysis=analysis)
    run.apply(run.review_row(verdict="accept", moved_to_slice=20, comment="one lower"))

    there = Analyzer(LevelsAt({"L3": 100.0}), ByDensity(), analysis)
    options = AnalyzeOptions(
        inputs=run.inputs,
        models_dir=tmp_path,
        out_dir=tmp_path / "there",
        range_mm=range_mm,
        intervals=intervals,
        pseudonym_key=tmp_path / "out.pseudonym-key",
        previews=False,
        workers=0,
    )
    analyze_inputs(options, analyzer=there)
    (expected,) = table(tmp_path / "there" / "results.csv")
    curve = ("reason", "level_z_mm", "offset_mm", "crossings", "confidence", "confidence_basis")
    found = run.row()
    for name in expected.keys() - set(curve):
        assert found[name] == expected[name], name
    assert float(found["level_z_mm"]) == 100.0
    assert (found["status"], found["reason"]) == ("found", "level moved by a reviewer")
    assert found["confidence"] == ""
    assert bool(found["muscle_area_low_cm2"]) is intervals
    assert int(found["slices_measured"]) == (3 if range_mm else 1)


def test_a_moved_level_says_who_moved_it_and_from_where(run):
    original = run.rows()[0]
    run.apply(run.review_row(verdict="accept", moved_to_slice=20, comment="one lower"))

    row = run.row()
    mask = tissue_labels(widening(0).hu[20])
    for label, key in ((1, "muscle"), (2, "subcutaneous_fat")):
        assert float(row[f"{key}_area_cm2"]) == pytest.approx(area_cm2(mask, label))
    assert (row["corrected"], row["corrected_from"]) == ("level", "slice_index 12 (z = 61.0 mm)")
    assert (row["corrected_by"], row["corrected_at"]) == ("AB", AT)
    level = level_document(run.folder())
    before = float(original["muscle_area_cm2"])
    assert level["correction"]["areas_before_cm2"]["muscle"] == pytest.approx(before)
    assert level["correction"]["slice_index_before"] == 12
    assert level["correction"]["reason"] == "one lower"
    assert level["correction"]["dice"]["muscle"]["value"] is None
    assert "moved" in level["correction"]["dice"]["muscle"]["reason"]
    first = json.loads((run.folder() / "results.json").read_text())["levels"][0]
    assert first["correction"] is None
    assert level["smoothed_offset_mm"] == first["smoothed_offset_mm"]
    assert run.rows()[0] == original


def test_applying_twice_changes_nothing(run):
    review = run.review(
        run.review_row(0, verdict="accept", moved_to_slice=20),
        run.review_row(1, verdict="reject"),
    )
    run.apply(review)
    before = contents(run.out)
    outcome = run.apply(review)
    assert (outcome.new, outcome.repeated) == (0, 2)
    assert contents(run.out) == before


def test_the_last_word_counts_in_whatever_order_it_comes(run):
    first = run.review(run.review_row(verdict="reject"), name="first.csv")
    last = run.review(
        run.review_row(verdict="accept", reviewer="CD", reviewed_at=LATER), name="last.csv"
    )
    run.apply(first)
    run.apply(last)
    assert (run.row()["verdict"], run.row()["reviewer"]) == ("accept", "CD")
    assert run.apply(first).older == 1
    assert (run.row()["verdict"], run.row()["reviewer"]) == ("accept", "CD")
    events = [json.loads(line) for line in (run.out / "reviews.jsonl").read_text().splitlines()]
    assert [(e["by"], e["verdict"]) for e in events] == [("AB", "reject"), ("CD", "accept")]


def test_a_review_of_the_networks_slice_restores_it_one_of_the_moved_slice_keeps_it(run):
    run.apply(run.review_row(moved_to_slice=20))
    kept = run.review_row(verdict="accept", slice_index=20, reviewed_at=LATER)
    run.apply(kept, inputs=())
    assert (run.row()["slice_index"], run.row()["verdict"]) == ("20", "accept")

    again = "2025-04-02T08:00:00+02:00"
    outcome = run.apply(run.review_row(verdict="accept", reviewed_at=again), inputs=())
    assert outcome.restored == 1
    assert {k: v for k, v in run.row().items() if k in run.rows()[0]} == run.rows()[0]
    assert run.row()["corrected"] == ""
    assert not (run.folder() / "corrected").exists()


def test_a_level_that_was_not_found_can_be_placed(tmp_path):
    run = make_run(tmp_path, levels={"L3": 400.0})
    assert run.rows()[0]["status"] == "absent"
    run.apply(run.review_row(moved_to_slice=7))
    row = run.row()
    assert (row["status"], row["slices_measured"], row["corrected_from"]) == (
        "found",
        "1",
        "not found",
    )
    mask = tissue_labels(widening(0).hu[7])
    assert float(row["muscle_area_cm2"]) == pytest.approx(area_cm2(mask, 1))


def test_a_level_is_measured_where_a_person_says_it_lies_whatever_the_masks_show(run):
    class Everywhere(ByDensity):
        def __call__(self, volume, slice_indices, progress=None):
            return {index: np.ones(volume.slice_shape, np.uint8) for index in slice_indices}

    run = replace(run, segmenter=Everywhere())
    run.apply(run.review_row(moved_to_slice=7))
    row = run.row()
    assert (row["status"], row["slices_measured"]) == ("found", "1")
    assert float(row["muscle_area_cm2"]) == pytest.approx(40 * 64 * PIXEL_CM2)
    assert "labels_outside_body" in row["quality_flags"]


def test_levels_of_one_series_are_corrected_apart(tmp_path):
    run = make_run(tmp_path, levels={"T12": 120.0, "L3": 61.0}, patients=1)
    run.apply(run.review(run.review_row(0, moved_to_slice=25), run.review_row(1, verdict="reject")))
    thorax, lumbar = run.rows("reviewed.csv")
    assert (thorax["level"], thorax["slice_index"], thorax["corrected"]) == ("T12", "25", "level")
    assert (lumbar["status"], lumbar["corrected"]) == ("rejected", "")
    assert [p.name for p in (run.folder() / "corrected").iterdir()] == ["T12"]


def test_moves_wait_for_the_scans_if_asked(run):
    row = run.review_row(verdict="accept", moved_to_slice=20)
    outcome = run.apply(row, inputs=(), move=False)
    assert (outcome.waiting, run.row()["verdict"], run.row()["slice_index"]) == (1, "accept", "12")
    assert run.apply(row).moved == 1
    assert run.row()["slice_index"] == "20"


def test_a_rejected_case_is_not_measured_wherever_it_was_moved(run):
    outcome = run.apply(run.review_row(verdict="reject", moved_to_slice=20), inputs=())
    assert (outcome.rejected_changes, outcome.moved, run.row()["status"]) == (1, 0, "rejected")
    accepted = run.review_row(verdict="accept", moved_to_slice=20, reviewed_at=LATER)
    assert run.apply(accepted).moved == 1
    assert (run.row()["slice_index"], run.row()["status"]) == ("20", "found")


def test_a_review_as_spreadsheets_save_it(run):
    path = run.review(run.review_row(verdict="reject", comment="'=HYPERLINK(1)"))
    text = path.read_text().replace(",", ";")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    run.apply(path)
    assert run.row()["comment"] == "'=HYPERLINK(1)"  # guarded again in the table
    event = json.loads((run.out / "reviews.jsonl").read_text())
    assert event["comment"] == "=HYPERLINK(1)"


def test_reviewer_may_be_named_for_all_rows(run):
    run.apply(run.review_row(verdict="accept", reviewer=""), reviewer="EF")
    assert run.row()["reviewer"] == "EF"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"study": "study-unknown"}, "line 2, column study: expected one of this run"),
        ({"series": "series-unknown"}, "line 2, column series: expected one of this run"),
        ({"level": "T12"}, "line 2, column level: expected one of this run, found 'T12'"),
        ({"level": ""}, "line 2, column level: expected a name"),
        ({"models": "cccccccccccc+bbbbbbbbbbbb"}, "line 2, column models: expected aaaaaaaaaaaa"),
        ({"moved_to_slice": 30}, "column moved_to_slice: expected a slice from 0 to 29, found 30"),
        ({"moved_to_slice": -1}, "column moved_to_slice: expected the index of a slice"),
        ({"moved_to_slice": "20.5"}, "column moved_to_slice: expected the index of a slice"),
        ({"verdict": "perhaps"}, "column verdict: expected accept, reject or nothing"),
        ({"reviewer": ""}, "column reviewer: expected who reviewed"),
        ({"reviewed_at": "31.03.2025 09:41"}, "column reviewed_at: expected a time like"),
        ({"reviewed_at": "2025-03-31T09:41"}, "column reviewed_at: expected a time like"),
        ({"reviewed_at": "2999-01-01T00:00:00Z"}, "expected a time that has passed"),
        ({"slice_index": 13}, "column slice_index: expected 12, found 13"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(untouched, cells, message):
    before = contents(untouched.out)
    good = untouched.review_row(1, verdict="accept")
    with pytest.raises(ReviewError) as error:
        untouched.apply(untouched.review(untouched.review_row(0, verdict="accept") | cells, good))
    assert message in str(error.value)
    assert contents(untouched.out) == before


def test_every_fault_is_reported_at_once(untouched):
    rows = [
        untouched.review_row(0, verdict="no"),
        untouched.review_row(1, reviewed_at="?", moved_to_slice="x"),
    ]
    with pytest.raises(ReviewError) as error:
        untouched.apply(untouched.review(*rows))
    assert [part in str(error.value) for part in ("line 2", "line 3")] == [True, True]
    assert str(error.value).count("expected") == 3


def test_two_rows_of_one_case_are_refused(untouched):
    rows = [untouched.review_row(verdict=verdict) for verdict in ("accept", "reject")]
    message = r"line 3, column level: expected one row per case, found .* in line 2, too"
    with pytest.raises(ReviewError, match=message):
        untouched.apply(untouched.review(*rows))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"study,series,level\n", "missing: verdict, comment"),
        (b"", "found nothing"),
        ("study\n".encode("utf-16"), "UTF-8"),
        (b"\x00\x01\x02", "columns of a review"),
    ],
)
def test_a_file_that_is_no_review_is_refused(untouched, content, message):
    path = untouched.place / "review.csv"
    path.write_bytes(content)
    with pytest.raises(ReviewError, match=message):
        untouched.apply(path)


def test_missing_things_are_named(run, tmp_path):
    with pytest.raises(InputNotFoundError, match="expected a review"):
        run.apply(tmp_path / "gone.csv")
    review = run.review(run.review_row(moved_to_slice=20))
    scans = CorrectionOptions(out_dir=tmp_path / "in")
    with pytest.raises(InputNotFoundError, match="expected the results of a run"):
        apply_review(ReviewOptions(review=review, scans=scans))
    with pytest.raises(ReviewError, match="expected the scans, to measure 1 levels"):
        run.apply(review, inputs=())
    with pytest.raises(ReviewError, match="expected the scans of series-"):
        run.apply(review, inputs=(tmp_path / "in" / "1",))
    with pytest.raises(ReviewError, match="expected the models of the run"):
        given = CorrectionOptions(out_dir=run.out, inputs=run.inputs)
        apply_review(ReviewOptions(review=review, scans=given))
    (tmp_path / "other-key").write_text("ab" * 32)
    with pytest.raises(ReviewError, match="expected the pseudonym key of the run"):
        run.apply(review, pseudonym_key=tmp_path / "other-key")
    (tmp_path / "out.pseudonym-key").unlink()
    with pytest.raises(InputNotFoundError, match="expected a pseudonym key"):
        run.apply(review)
    assert not (tmp_path / "out.pseudonym-key").exists()
    assert not (run.out / "reviewed.csv").exists()


def test_another_model_is_refused(run):
    run.segmenter.digest = "dddddddddddd"
    with pytest.raises(ModelError, match="expected the segmentation model bbbbbbbbbbbb"):
        run.apply(run.review_row(moved_to_slice=20))


def test_a_failure_while_measuring_leaves_nothing(run, monkeypatch):
    before = contents(run.out)
    review = run.review(run.review_row(0, moved_to_slice=20), run.review_row(1, moved_to_slice=20))

    def fail_at_the_second(self, volume, indices, progress=None):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return {index: tissue_labels(volume.hu[index]) for index in indices}

    calls = []
    monkeypatch.setattr(ByDensity, "__call__", fail_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run.apply(review)
    assert contents(run.out) == before
    assert not list(run.out.rglob(".*"))


@pytest.mark.parametrize("moment", ["before the history", "after the history", "in the folders"])
def test_a_kill_leaves_all_or_nothing(run, monkeypatch, moment):
    before = contents(run.out)
    review = run.review(run.review_row(0, moved_to_slice=20), run.review_row(1, moved_to_slice=3))

    class Killed(BaseException):
        pass

    def kill(*_args):
        raise Killed

    settle = session.settle
    with monkeypatch.context() as patch:
        if moment == "before the history":
            patch.setattr(session, "write_history", kill)
        elif moment == "in the folders":
            patch.setattr("bodycomp.review.session.write_table", kill)
        stop = {"after the history": 1, "before the history": 1, "in the folders": 2}[moment]
        calls = []

        def settle_until_killed(*args):
            calls.append(1)
            if len(calls) > stop:
                raise Killed
            settle(*args)

        patch.setattr(session, "settle", settle_until_killed)
        with pytest.raises(Killed):
            run.apply(review)

    run.apply(run.review(run.review_row(0, reviewed_at="2020-01-01T00:00:00Z")), inputs=())
    if moment == "before the history":
        assert contents(run.out, "reviewed.csv", "reviews.jsonl") == before
        return
    assert [row["slice_index"] for row in run.rows("reviewed.csv")] == ["20", "3"]
    assert all((run.folder(n) / "corrected" / "L3" / "results.json").exists() for n in (0, 1))
    assert not list(run.out.rglob(".*"))


def test_nothing_else_may_write_meanwhile(run):
    from bodycomp.study.measured_run import opened_run  # noqa: PLC0415

    with opened_run(run.out), pytest.raises(OutputError, match="another run is writing"):
        run.apply(run.review_row(verdict="accept"))


def test_what_is_written_names_nobody(run, caplog):
    caplog.set_level("DEBUG")
    run.apply(run.review_row(moved_to_slice=20))
    written = contents(run.out)
    for name, content in written.items():
        for secret in (b"SECRET", b"Doe", str(run.place).encode()):
            assert secret not in content, name
    assert "SECRET" not in caplog.text


def test_identifiers_that_the_run_kept_stay_in_corrected_rows(tmp_path):
    run = make_run(tmp_path, patients=1, identifiers=True)
    run.apply(run.review_row(moved_to_slice=20))
    assert (run.row()["patient_id"], run.row()["corrected"]) == ("SECRET-0", "level")
    assert list(run.row()) == [*run.rows()[0], *REVIEW_COLUMNS]


def test_a_later_run_keeps_reviews_or_says_that_it_would_lose_them(run, tmp_path):
    run.apply(run.review_row(verdict="reject"))
    analyzer = Analyzer(LevelsAt({"L3": 61.0}), ByDensity(), AnalysisOptions())
    options = {"inputs": run.inputs, "models_dir": tmp_path, "out_dir": run.out, "previews": False}
    options["workers"] = 0
    with pytest.raises(OutputError, match=r"reviews\.jsonl"):
        analyze_inputs(AnalyzeOptions(**options, overwrite=True), analyzer=analyzer)
    write_ct_series(run.place / "in" / "new", widening(2), SeriesHeader(seed="new"))
    analyze_inputs(AnalyzeOptions(**options, resume=True), analyzer=analyzer)
    session.refresh_reviewed(run.out)
    assert [row["verdict"] for row in run.rows("reviewed.csv")] == ["reject", "", ""]


def test_a_result_that_was_measured_anew_waits_to_be_reviewed_anew(run):
    run.apply(run.review_row(verdict="reject"))
    journal = run.out / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    (rows,) = lines[0]["analysed"].values()
    rows[0]["muscle_area_cm2"] += 1
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run.apply(run.review_row(1, verdict="accept"), inputs=())
    assert [row["verdict"] for row in run.rows("reviewed.csv")] == ["", "accept"]
