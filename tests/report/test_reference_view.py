"""What a page says and draws of a person beside references."""

from dataclasses import replace

import numpy as np
import pytest

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.reference.compare import compare_all
from bodycomp.reference.table import Curve, ReferenceTable, Stratum, shipped_references
from bodycomp.report.case_view import case_name, make_case_view, read_case_view, write_case_view
from bodycomp.report.page_content import PageCase, PageContent
from bodycomp.report.result_rows import SeriesKey
from bodycomp.report.review_page import write_review_page
from bodycomp.results import SeriesResult
from bodycomp.scan import Scan
from bodycomp.subject import Subject
from support.report_cases import cylinder, found_at

INDEX = "skeletal_muscle_index_cm2_m2"
WOMAN = Subject(1.65, 65.0, "F", "", 60.0)
CURVE = Curve(
    ages=tuple(np.arange(20.0, 81.0)),
    l=(1.0,) * 61,
    m=(40.0,) * 61,
    s=(0.1,) * 61,
    low={"5": (32.0,) * 61},
    high={"5": (35.0,) * 61},
)
OURS = ReferenceTable(
    key="ours",
    title="Ours",
    source="own people",
    population="staff",
    strata=(Stratum(INDEX, "L3", "F", 20, 81, curve=CURVE),),
)


def case_of(subject=WOMAN, value=36.0):
    tables = (*shipped_references(), OURS)
    found = compare_all(tables, "L3", {INDEX: value}, subject, has_agent=False)
    volume = cylinder(z=np.arange(40) * 2.5)
    level = found_at(volume, 20)
    level = replace(level, choice=replace(level.choice, level="L3"), references=found)
    result = SeriesResult(ABDOMINAL_TISSUES, (level,), {}, subject, references=tables)
    return make_case_view(Scan(volume), result, level, SeriesKey("study-1", "series-1"))


def curves_of(case):
    (view,) = case["references"]["views"]
    return {(line["reference"], line["percentile"]): line for line in view["curves"]}


def test_words_of_each_reference_with_its_people():
    (view,) = case_of()["references"]["views"]
    said = {one["reference"]: one["text"] or one["reason"] for one in view["said"]}
    assert said["tonnesen_2023"] == "z −1.4, percentile 7"  # (36 - 45.8) / 6.8
    assert said["van_der_werf_2018"] == "not below 30.7, 5th percentile"
    assert said["derstine_2018"] == "the reference is of people of 18 to below 41 years, not of 60"
    assert said["ours"] == "z −1.0, percentile 16"
    assert (view["title"], view["unit"], view["age"]) == ("Skeletal muscle index", "cm²/m²", 60.0)
    about = case_of()["references"]["sources"]["martin_2025"]["about"]
    assert "Lausanne" in about
    assert about.endswith("No diagnosis.")


def test_curves_are_those_of_the_persons_sex_and_bmi_at_all_ages():
    curves = curves_of(case_of())
    assert curves["van_der_werf_2018", None]["points"][:3] == [[20, 36.7], [30, 36.7], [30, 35.3]]
    assert curves["van_der_werf_2018_bmi", None]["points"][-1] == [80, 28.8]  # BMI 23.9
    assert curves["tonnesen_2023", 50]["points"][0] == [33, 48.2]
    assert curves["tonnesen_2023", 5]["points"][0] == [
        33,
        pytest.approx(48.2 - 1.645 * 7.1, abs=0.06),
    ]
    own = curves["ours", 5]
    assert own["points"][0] == [20, 33.4]
    assert own["points"][-1] == [80, 33.4]
    assert len(own["low"]) == len(own["high"]) == len(own["points"]) <= 25
    assert not any(reference == "derstine_2018" for reference, _ in curves)


def test_nothing_is_drawn_where_nothing_is_said_and_earlier_cases_are_read(tmp_path):
    assert curves_of(case_of(Subject(sex="F"))) == {}
    case = case_of()
    del case["references"]
    write_case_view(tmp_path / "case-L3.json", case)
    assert "references" not in read_case_view(tmp_path / "case-L3.json")


def test_the_page_draws_the_person_on_the_curves(chromium, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    write_case_view(tmp_path / case_name("L3"), case := case_of())
    content = PageContent(
        kind="analysis",
        title="A page",
        run_id="run-1",
        tiles=[],
        cases=[PageCase(case["cells"], tmp_path / case_name("L3"))],
    )
    write_review_page(tmp_path / "page.html", content)
    page, faults = chromium.new_page(bypass_csp=True), []  # to bring axe in
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    page.goto((tmp_path / "page.html").as_uri())
    page.locator("#table tbody th button").click()
    picture = page.locator(".reference-picture")
    assert picture.locator("path.curve").count() == 10  # 4 limits, 3 and 3 percentiles
    assert picture.locator("path.reference-band").count() == 1
    label = picture.locator("svg").get_attribute("aria-label")
    assert "Skeletal muscle index 36.0" in label
    dot = float(picture.locator("circle.person").get_attribute("cy"))
    ends = [path.get_attribute("d") for path in picture.locator("path.curve").all()[-3:]]
    heights = [float(end.split("L")[0].split()[1]) for end in ends]  # of ours: 5th, 50th, 95th
    assert heights[0] > dot > heights[1] > heights[2]  # y grows downwards
    assert "none is the normal one" in page.locator("#numbers").inner_text()
    assert [one["id"] for one in axe.run(page).response["violations"]] == []
    assert faults == []
    page.close()
