"""Cohorts: read ahead, written behind, durable, resumed, and never brought down by one file."""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.errors import InputNotFoundError, OutputError, UsageError
from bodycomp.study import writing
from bodycomp.study.inputs import read_input_list
from bodycomp.study.journal import JOURNAL_NAME, StudyRecord, open_journal
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.run import analyze_inputs
from bodycomp.study.writing import ReadAhead
from support.kill_harness import (
    differences,
    kill_and_resume,
    make_cohort,
)
from support.numbered_source import Numbered
from support.stand_ins import BodyIsMuscle, LevelAt

ANALYZER = Analyzer(LevelAt(), BodyIsMuscle(), AnalysisOptions())


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    make_cohort(tmp_path / "cohort", 5)  # the last one cannot be decoded
    (tmp_path / "key").write_text("cd" * 32)
    return tmp_path / "cohort"


def analyze(cohort: Path, out: str, analyzer: Analyzer = ANALYZER, **options):
    given = AnalyzeOptions(
        inputs=(cohort,),
        models_dir=cohort,
        out_dir=cohort.parent / out,
        pseudonym_key=cohort.parent / "key",
        previews=False,
        **{"workers": 0} | options,
    )
    return analyze_inputs(given, analyzer=analyzer)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def manifest(cohort: Path, out: str) -> dict:
    return json.loads((cohort.parent / out / "run.json").read_text())


def test_killed_cohort_ends_like_an_undisturbed_one(tmp_path) -> None:
    assert kill_and_resume(tmp_path, studies=8, kills=2) == []


def test_reading_ahead_and_writing_behind_change_nothing(cohort) -> None:
    analyze(cohort, "in turn", workers=0)
    report = analyze(cohort, "overlapped", workers=2)
    assert len(report.analyzed) == 4
    assert [refusal.kind for refusal in report.refused] == ["not readable"]
    assert differences(cohort.parent / "in turn", cohort.parent / "overlapped") == []


def test_a_report_reads_its_rows_from_the_run_and_from_no_other(cohort) -> None:
    report = analyze(cohort, "out")
    rows = [row for series in report.analyzed for row in series.rows]
    assert [row["study"] for row in rows] == [
        row["study"] for row in table(cohort.parent / "out" / "results.csv")
    ]
    (cohort.parent / "out" / JOURNAL_NAME).write_bytes(b"{}\n")
    with pytest.raises(OutputError, match="expected the record of study-"):
        _ = report.analyzed[0].rows


def test_manifest_tells_settings_counts_and_end(cohort) -> None:
    analyze(cohort, "out")
    document = manifest(cohort, "out")
    assert document["schema"] == "bodycomp.run"
    assert document["state"] == "complete"
    assert document["settings"]["models"] == {
        "slice_selection": "aaaaaaaaaaaa",
        "segmentation": "bbbbbbbbbbbb",
    }
    assert document["counts"]["series_analysed"] == 4
    assert document["counts"]["series_refused"] == 1
    assert str(cohort) not in json.dumps(document)


@dataclass
class Failing(LevelAt):
    """Fails at the third series, as Ctrl-C would."""

    seen: int = 0

    def __call__(self, volume, progress=None, slice_indices=None):
        self.seen += 1
        if self.seen == 3:
            raise KeyboardInterrupt
        return super().__call__(volume, progress, slice_indices)


@pytest.mark.parametrize("workers", [0, 1])
def test_interrupted_run_is_resumed_and_repeats_nothing(cohort, workers) -> None:
    with pytest.raises(KeyboardInterrupt):
        analyze(cohort, "out", replace(ANALYZER, scorer=Failing()), workers=workers)
    assert manifest(cohort, "out")["state"] == "interrupted"
    assert len(table(cohort.parent / "out" / "results.csv")) == 2
    assert not list((cohort.parent / "out").glob(".*.part"))

    counting = Failing(seen=10)
    report = analyze(cohort, "out", replace(ANALYZER, scorer=counting), resume=True)
    assert (report.resumed_count, len(report.analyzed), counting.seen) == (2, 4, 12)
    analyze(cohort, "undisturbed")
    assert differences(cohort.parent / "out", cohort.parent / "undisturbed") == []


def test_rows_are_in_the_table_during_the_run(cohort) -> None:
    seen = []

    class Looking(LevelAt):
        def __call__(self, volume, progress=None, slice_indices=None):
            seen.append(len(table(cohort.parent / "out" / "results.csv")))
            return super().__call__(volume, progress, slice_indices)

    analyze(cohort, "out", replace(ANALYZER, scorer=Looking()))
    assert seen == [0, 1, 2, 3]


def test_resumed_run_takes_up_new_and_changed_studies_and_keeps_the_rest(cohort) -> None:
    first = analyze(cohort, "out")
    make_cohort(cohort / "later", 6)
    for path in (cohort / "later").glob("00[0-4]/*"):
        path.unlink()
    next((cohort / "000").iterdir()).unlink()  # one slice less
    counting = Failing(seen=10)
    report = analyze(cohort, "out", replace(ANALYZER, scorer=counting), resume=True)
    assert counting.seen == 12
    assert len(report.analyzed) == 5
    assert {item.study for item in first.analyzed} < {item.study for item in report.analyzed}


def test_removed_results_are_made_again(cohort) -> None:
    first = analyze(cohort, "out").analyzed[0]
    (first.folder / "results.json").unlink()
    for path in first.folder.iterdir():
        path.unlink()
    first.folder.rmdir()
    analyze(cohort, "out", resume=True)
    assert (first.folder / "results.json").exists()


def test_other_settings_do_not_go_on_with_a_run(cohort, tmp_path) -> None:
    analyze(cohort, "out")
    with pytest.raises(OutputError, match=r"range_mm: 0\.0, now 10\.0"):
        analyze(cohort, "out", range_mm=10.0, resume=True)
    other = replace(ANALYZER, scorer=LevelAt(digest="cccccccccccc"))
    with pytest.raises(OutputError, match="models"):
        analyze(cohort, "out", other, resume=True)
    elsewhere = replace(ANALYZER, scorer=LevelAt(runs_as="bf16 on cpu"))
    with pytest.raises(OutputError, match=r"engines: .*'reference on cpu'.*, now .*'bf16 on cpu'"):
        analyze(cohort, "out", elsewhere, resume=True)
    for name in ("intervals", "full"):
        with pytest.raises(OutputError, match=f"{name}: False, now True"):
            analyze(cohort, "out", resume=True, **{name: True})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(OutputError, match="results of an earlier run"):
        analyze(cohort, "mine", resume=True)
    with pytest.raises(UsageError, match="found both"):
        analyze(cohort, "out", resume=True, overwrite=True)


def test_two_runs_never_share_a_folder(cohort) -> None:
    analyze(cohort, "out")
    with (
        open_journal(cohort.parent / "out" / JOURNAL_NAME, StudyRecord),
        pytest.raises(OutputError, match="another run"),
    ):
        analyze(cohort, "out", resume=True)


@pytest.mark.parametrize("damage", [b'{"study": "st', b"\0\0\0\0", b'{"study": 3}\n'])
def test_torn_journal_loses_the_torn_line_alone(cohort, damage) -> None:
    analyze(cohort, "out")
    path = cohort.parent / "out" / JOURNAL_NAME
    whole = path.read_bytes()
    path.write_bytes(whole + damage)
    with open_journal(path, StudyRecord) as journal:
        assert len(journal.records) == 5
    assert path.read_bytes() == whole


def test_fault_while_writing_costs_one_series(cohort, monkeypatch) -> None:
    real = writing.write_series
    calls = iter(range(10))

    def odd(*arguments):
        if next(calls) == 1:
            raise IndexError("strange")
        return real(*arguments)

    monkeypatch.setattr(writing, "write_series", odd)
    report = analyze(cohort, "out", workers=1)
    assert len(report.analyzed) == 3
    assert sorted(refusal.kind for refusal in report.refused) == ["fault", "not readable"]


@pytest.mark.parametrize("workers", [0, 1])
def test_full_disk_ends_the_run_and_leaves_nothing_half_written(
    cohort, monkeypatch, workers
) -> None:
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "write_series", full)
    with pytest.raises(OSError, match="No space"):
        analyze(cohort, "out", workers=workers)
    assert manifest(cohort, "out")["state"] == "failed"
    assert table(cohort.parent / "out" / "results.csv") == []
    assert not list((cohort.parent / "out").rglob("*.part"))


def test_file_that_brings_a_decoder_down_costs_its_series_alone() -> None:
    sources = [Numbered(n, deadly=n == 1) for n in range(4)]
    found = []
    with ReadAhead(sources, 2) as ahead:
        for source in sources:
            try:
                found.append(ahead.take(source))
            except Exception as error:
                found.append(str(error).split(",")[0])
    ended = "reading it ended the process"
    assert found == [0, ended, 2, 3]


def test_parquet_holds_the_table_with_types(cohort) -> None:
    analyze(cohort, "out", parquet=True)
    columns = pyarrow.parquet.read_table(cohort.parent / "out" / "results.parquet").to_pydict()
    rows = table(cohort.parent / "out" / "results.csv")
    assert list(columns) == list(rows[0])
    assert columns["study"] == [row["study"] for row in rows]
    np.testing.assert_allclose(
        columns["muscle_area_cm2"], [float(row["muscle_area_cm2"]) for row in rows], atol=1e-4
    )
    assert columns["slices"] == [12] * 4


def test_list_of_inputs_names_studies_by_row(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    path = tmp_path / "list.csv"
    path.write_text(f"site,input\nx,a\ny,\nz,{tmp_path / 'b'}\n")
    assert read_input_list(path) == (tmp_path / "a", tmp_path / "b")

    for text, message in (
        ("path\na\n", "column 'input'"),
        ("", "found nothing"),
        ("input\n\n", "at least one path"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=message):
            read_input_list(path)
    path.write_text("input\na\ngone\n")
    with pytest.raises(InputNotFoundError, match=r"line 3: .*gone"):
        read_input_list(path)
