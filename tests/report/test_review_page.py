"""The page's content: whole, inert, within its budget, and safe whatever text is in it."""

import base64
import hashlib
import json
import re
from dataclasses import replace

import pytest

from bodycomp.errors import OutputError
from bodycomp.report.model_card_numbers import evaluation_sections
from bodycomp.report.page import json_block
from bodycomp.report.page_content import PageCase
from bodycomp.report.review_page import write_review_page
from support.report_pages import HOSTILE, page_cases, page_content

BLOCK = re.compile(r'<script type="application/json" id="([^"]+)">(.*?)</script>', re.DOTALL)


def blocks(path):
    return {name: json.loads(text) for name, text in BLOCK.findall(path.read_text("utf-8"))}


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.html"
    write_review_page(path, page_content(tmp_path / "cases"))
    return path


def test_every_case_is_a_block_of_its_own(page):
    found = blocks(page)
    assert list(found) == ["page-data", *(f"case-{number}" for number in range(5))]
    assert found["case-0"]["cells"]["kernel"] == HOSTILE
    assert found["case-4"]["cells"]["study"] == HOSTILE
    priorities = [row["review_priority"] for row in found["page-data"]["rows"]]
    assert priorities == [10.0, 38.0, 50.0, 60.0, 100.0]


def test_text_from_outside_never_becomes_markup(page):
    html = page.read_text("utf-8")
    assert "<img src=x" not in html
    assert html.count("</script>") == 7  # data, script and five cases


def test_the_policy_allows_this_page_alone(page):
    html = page.read_text("utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_neighbors_are_left_out_to_keep_the_budget_and_the_page_says_so(tmp_path):
    content = page_content(tmp_path / "cases")
    whole, small = tmp_path / "whole.html", tmp_path / "small.html"
    write_review_page(whole, content)
    write_review_page(small, content, budget_bytes=sum(c.path is not None for c in content.cases))
    assert "To keep this page small" not in whole.read_text("utf-8")
    assert "at most 0 of its 10 neighbouring slices" in small.read_text("utf-8")
    for number, kept in ((0, [20]), (2, [20, 22])):  # what a person drew stays
        slices = blocks(small)[f"case-{number}"]["slices"]
        assert [one["index"] for one in slices] == kept
    assert [one["index"] for one in blocks(whole)["case-0"]["slices"]][5] == 20


def test_cells_given_with_a_case_count_before_its_file(tmp_path):
    content = page_content(tmp_path)
    first = content.cases[0]
    corrected = PageCase({**first.cells, "muscle_area_cm2": 1.0}, first.path)
    write_review_page(tmp_path / "p.html", replace(content, cases=[corrected]))
    assert blocks(tmp_path / "p.html")["case-0"]["cells"]["muscle_area_cm2"] == 1.0


def test_a_damaged_case_leaves_no_page(tmp_path):
    content = page_content(tmp_path / "cases")
    content.cases[1].path.write_text("{")
    with pytest.raises(OutputError, match=r"case-L3\.json"):
        write_review_page(tmp_path / "p.html", content)
    assert not (tmp_path / "p.html").exists()


def test_a_page_without_cases_is_a_page(tmp_path):
    content = replace(page_content(tmp_path), cases=(), plots=())
    write_review_page(tmp_path / "p.html", content)
    assert list(blocks(tmp_path / "p.html")) == ["page-data"]


def test_pictures_are_not_held_together(tmp_path, monkeypatch):
    read = []
    real = __import__("bodycomp.report.review_page", fromlist=["x"]).read_case_view
    monkeypatch.setattr(
        "bodycomp.report.review_page.read_case_view", lambda path: read.append(path) or real(path)
    )
    cases = page_cases(tmp_path)
    write_review_page(tmp_path / "p.html", replace(page_content(tmp_path), cases=cases))
    assert read[:4] == read[4:]  # once for the table, once while it is written


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "\u2028", "'\"&"])
def test_json_stays_inside_its_element(text):
    block = json_block({"a": text})
    assert "<" not in block
    assert "\u2028" not in block
    assert json.loads(block) == {"a": text}


def test_every_number_of_an_evaluation_is_in_a_table_or_says_why_not():
    number = {"value": 0.98, "low": 0.97, "high": 0.99, "unit": "1", "n": 12, "patients": 11}
    missing = {**number, "value": None, "low": None, "high": None, "reason": "no cases"}
    levels = {"L3": {"metrics": {"found": number, "false_findings": missing}}}
    evaluation = {
        "schema": "bodycomp.evaluation",
        "slice_selection": {"cases": {"levels": levels}},
        "subgroups": [
            {"column": "sex", "group": "F", "warning": "few", "slice_selection": {"levels": levels}}
        ],
    }
    positions, groups = evaluation_sections(evaluation)
    (table,) = positions.tables
    assert table.title == "In scans, L3"
    assert table.rows[0][1:] == ("0.980", "0.970 to 0.990", "12", "11")
    assert "no cases" in " ".join(table.notes)
    assert [one.title for one in groups.tables] == ["sex F (few), slice selection, L3"]
    assert evaluation_sections({}) == ()
