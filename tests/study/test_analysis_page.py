"""The page that ``analyze`` leaves, and that ``bodycomp report`` writes again."""

import json
import re
from dataclasses import replace

import pytest

from bodycomp.cli import main
from bodycomp.dicom.write import write_ct_series
from bodycomp.study import analysis_page
from bodycomp.study.analysis_page import write_analysis_page
from support.reviewed_runs import make_run
from test_study import ANALYZER, HEADER, analyze, ct


@pytest.fixture
def results(tmp_path):
    write_ct_series(tmp_path / "in" / "a", ct(), HEADER)
    write_ct_series(tmp_path / "in" / "b", ct(), replace(HEADER, seed="two", patient_id="SECRET-8"))
    analyze(tmp_path, previews=True)
    return tmp_path / "out"


def page_data(path):
    text = path.read_text("utf-8")
    return json.loads(re.search(r'id="page-data">(.*?)</script>', text, re.DOTALL)[1])


def test_a_run_leaves_a_page_with_every_case_and_nothing_that_identifies(results):
    text = (results / "report.html").read_text("utf-8")
    data = page_data(results / "report.html")
    assert [row["status"] for row in data["rows"]] == ["found", "found"]
    assert [plot["kind"] for plot in data["plots"]] == ["scatter", "scatter", "histogram"]
    assert text.count('"slices":[') == 2
    for secret in ("SECRET", "Doe", str(results.parent)):
        assert secret not in text


def test_the_command_writes_the_same_page_without_the_scans(results, tmp_path, capsys):
    first = (results / "report.html").read_bytes()
    (tmp_path / "in").rename(tmp_path / "gone")
    assert main(["report", str(results), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == first
    assert "again.html" in capsys.readouterr().out


def test_reviews_are_kept_for_the_same_run_alone(results, tmp_path):
    first = page_data(results / "report.html")["run"]
    analyze(tmp_path, resume=True, previews=True)
    assert page_data(results / "report.html")["run"] == first
    analyze(tmp_path, overwrite=True, range_mm=20.0, previews=True)
    assert page_data(results / "report.html")["run"] != first


def test_without_pictures_the_table_is_there_and_the_page_says_so(results, tmp_path):
    analyze(tmp_path, overwrite=True, previews=False)
    text = (results / "report.html").read_text("utf-8")
    assert "No pictures were kept" in text
    assert len(page_data(results / "report.html")["rows"]) == 2


def test_no_page_if_none_is_wanted(tmp_path):
    write_ct_series(tmp_path / "in" / "a", ct(), HEADER)
    analyze(tmp_path, report=False, analyzer=ANALYZER)
    assert not (tmp_path / "out" / "report.html").exists()
    assert write_analysis_page(tmp_path / "out") == tmp_path / "out" / "report.html"


def test_a_folder_without_results_is_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 1
    assert "found no run.json" in capsys.readouterr().err


def test_a_corrected_case_is_shown_as_it_counts(tmp_path):
    run = make_run(tmp_path, previews=True)
    run.apply(run.review_row(moved_to_slice=20))
    write_analysis_page(run.out)
    moved, other = page_data(run.out / "report.html")["rows"]
    assert moved["slice_index"] == 20
    assert moved["muscle_area_cm2"] == float(run.row()["muscle_area_cm2"])
    assert other["slice_index"] == 12
    text = (run.out / "report.html").read_text("utf-8")
    assert "People corrected 1 of the cases" in text
    assert text.count('"slices":[') == 2


def test_many_cases_go_on_several_pages_worst_first(results, monkeypatch):
    table = results / "results.csv"
    first, second = (row["study"] for row in page_data(results / "report.html")["rows"])
    lines = table.read_text("utf-8").splitlines()
    (place,) = (n for n, line in enumerate(lines) if line.startswith(second))
    lines[place] = lines[place].replace(",found,", ',uncertain,"two\nlines, quoted"', 1)
    table.write_text("\n".join(lines) + "\n", "utf-8")
    monkeypatch.setattr(analysis_page, "CASES_OF_A_PAGE", 1)
    write_analysis_page(results)
    pages = [results / "report.html", results / "report-002.html"]
    shown = [page_data(page) for page in pages]
    assert [[row["study"] for row in data["rows"]] for data in shown] == [[second], [first]]
    assert shown[0]["run"] != shown[1]["run"]
    for page, other in zip(pages, reversed(pages), strict=True):
        text = page.read_text("utf-8")
        assert f'<a href="{other.name}">' in text
        assert "<b>1 of 2</b>" in text  # counts are of the whole run
    monkeypatch.undo()
    write_analysis_page(results)
    assert not pages[1].exists()
