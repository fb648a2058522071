"""A person's way through the page, in a real browser: look, judge, export."""

import csv
import io
from dataclasses import replace
from datetime import datetime

import pytest

from bodycomp.report.review_page import write_review_page
from bodycomp.review.review_csv import read_review
from support.report_pages import HOSTILE, page_content

COLUMNS = (
    "study,series,level,verdict,comment,moved_to_slice,reviewer,reviewed_at,slice_index,models,"
    "masks,masks_from"
)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    write_review_page(folder / "page.html", page_content(folder / "cases"))
    return folder / "page.html"


@pytest.fixture
def opened(chromium, page_file):
    """Yield a function that opens the page; in the end nothing was complained of or asked for."""
    faults, contexts = [], []

    def tell(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            faults.append(request.url)

    def open_page(**options):
        contexts.append(chromium.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", tell)
        page.goto(page_file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def studies(page):
    return page.locator("#table tbody th button").all_inner_texts()


def exported(page):
    with page.expect_download() as download:
        page.click("#export")
    text = download.value.path().read_bytes().decode("utf-8")
    assert download.value.suggested_filename == "review.csv"
    return text, list(csv.DictReader(io.StringIO(text, newline="")))


def pixels(page):
    page.wait_for_timeout(150)
    return page.evaluate("document.getElementById('canvas').toDataURL()")


def violations(axe, page):
    found = axe.run(page).response["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found]


def test_the_case_of_highest_priority_comes_first_and_headings_sort(opened):
    page = opened()
    assert studies(page) == [HOSTILE, "study-3", "study-2", "study-1", "study-0"]
    heading = page.locator("thead th[data-key=confidence]")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert studies(page)[:3] == ["study-0", "study-1", "study-2"]
    heading.locator("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert studies(page)[:3] == ["study-2", "study-1", "study-0"]  # what is missing stays last
    assert page.locator("[aria-sort]").count() == 1


def test_a_case_without_the_number_that_orders_the_page_comes_first(chromium, tmp_path):
    content = replace(page_content(tmp_path / "cases"), order="confidence")
    write_review_page(tmp_path / "page.html", content)
    context = chromium.new_context()
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    assert set(studies(page)[:2]) == {HOSTILE, "study-3"}  # their level was not found
    assert studies(page)[2:] == ["study-0", "study-1", "study-2"]
    context.close()


def test_filters_narrow_the_table(opened):
    page = opened()
    page.select_option("#filter-status", "absent")
    assert studies(page) == ["study-3"]
    page.click("#clear-filters")
    page.select_option("#filter-flag", "noise")
    assert studies(page) == ["study-1"]
    page.click("#clear-filters")
    page.fill("#filter-text", "STUDY-2")
    assert studies(page) == ["study-2"]
    page.fill("#filter-text", "nothing like this")
    assert page.locator("#none-shown").is_visible()


def test_a_hostile_name_is_only_text(opened):
    page = opened()
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    assert HOSTILE in page.locator("#case-title").inner_text()
    assert page.title() == "A page of tests"
    assert "uncertain" in page.locator("#tissues").inner_text()


def test_window_overlay_and_tissues_change_the_picture(opened):
    page = opened()
    page.get_by_role("button", name="study-0").click()
    first = pixels(page)
    page.select_option("#preset", "2")
    fat = pixels(page)
    page.locator("#opacity").fill("0")
    bare = pixels(page)
    page.locator("#opacity").fill("80")
    page.locator("input[data-tissue=muscle]").uncheck()
    assert len({first, fat, bare}) == 3
    assert pixels(page) == bare
    page.locator("#window-level").fill("100")
    assert page.locator("#level-out").inner_text() == "100 HU"


def test_slices_are_gone_through_by_key_wheel_and_click(opened):
    page = opened()
    page.get_by_role("button", name="study-2").click()
    words = page.locator("#slice-words")
    assert words.inner_text() == "Slice 21 of 40, z = 50.0 mm, the level"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert words.inner_text() == "Slice 25 of 40, z = 60.0 mm, 10 mm above L3"
    page.locator("#stage").hover()
    page.mouse.wheel(0, 120)
    assert "55.0 mm" in words.inner_text()
    page.keyboard.press("0")
    assert "the level" in words.inner_text()
    box = page.locator(".views-chart").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + 18)
    assert words.inner_text().startswith("Slice 40 of 40")
    assert page.locator("#no-picture").is_visible()
    assert page.locator("#truth-label").is_visible()
    assert page.locator(".mark-line.truth").count() == 3


def test_a_case_is_moved_accepted_commented_and_exported(opened):
    page = opened()
    page.fill("#reviewer", "AB")
    page.get_by_role("button", name="study-2").click()
    for key in ("ArrowUp", "m", "c"):
        page.keyboard.press(key)
    page.keyboard.type('=cmd, "quoted"\nmoved')
    page.keyboard.press("Escape")
    assert page.locator("#case").is_visible()
    page.keyboard.press("a")  # goes on to the next case
    assert "study-1" in page.locator("#case-title").inner_text()
    page.keyboard.press("j")
    page.keyboard.press("r")
    page.keyboard.press("Escape")
    assert page.locator("#review-count").inner_text() == "2 of 5 reviewed"

    text, rows = exported(page)
    assert text.splitlines()[0] == COLUMNS
    rejected, moved = rows
    assert (moved["study"], moved["verdict"], moved["moved_to_slice"]) == (
        "study-2",
        "accept",
        "22",
    )
    assert moved["comment"] == '\'=cmd, "quoted"\nmoved'
    assert (moved["reviewer"], moved["slice_index"]) == ("AB", "20")
    assert moved["models"] == "aaaaaaaaaaaa+bbbbbbbbbbbb"
    assert datetime.fromisoformat(moved["reviewed_at"]).tzinfo is not None
    assert (rejected["study"], rejected["verdict"]) == ("study-0", "reject")


def test_the_export_is_read_by_the_command_that_applies_it(opened, tmp_path):
    page = opened()
    page.get_by_role("button", name="study-1").click()
    for key in ("ArrowDown", "m", "a", "Escape"):
        page.keyboard.press(key)
    page.get_by_role("button", name="</script>").click()
    page.keyboard.press("c")
    page.keyboard.type("+ seen")
    for _ in range(2):  # leave the field, then the case
        page.keyboard.press("Escape")
    (tmp_path / "review.csv").write_bytes(exported(page)[0].encode("utf-8"))
    moved, commented = read_review(tmp_path / "review.csv", reviewer="AB")
    assert (moved.case.study, moved.verdict) == ("study-1", "accept")
    assert (moved.shown_slice, moved.moved_to_slice) == (20, 18)
    assert moved.models == ("aaaaaaaaaaaa", "bbbbbbbbbbbb")
    assert (commented.case.study, commented.comment) == (HOSTILE, "+ seen")


def test_a_review_survives_the_page_and_comes_back_from_its_export(opened, tmp_path):
    page = opened()
    page.get_by_role("button", name="study-1").click()
    page.keyboard.press("r")
    page.keyboard.press("Escape")
    page.reload()
    page.locator("#table", has_text="rejected").wait_for()  # reviews are read after the table
    text, _ = exported(page)

    other = opened()
    foreign = text.splitlines()[-1].replace("aaaaaaaaaaaa", "cccccccccccc").replace("-1", "-0")
    (tmp_path / "review.csv").write_text(f"{text}{foreign}\r\n", newline="")
    other.set_input_files("#import-file", tmp_path / "review.csv")
    other.wait_for_function("document.getElementById('review-count').textContent.startsWith('1')")
    assert "1 rows belong to another run" in other.locator("#shown-count").inner_text()
    assert exported(other)[1] == exported(page)[1]


def test_a_rejected_case_is_not_moved_and_a_moved_one_not_rejected(opened):
    page = opened()
    page.get_by_role("button", name="study-0").click()
    for key in ("ArrowUp", "m", "r"):
        page.keyboard.press(key)
    assert page.locator("#moved-words").inner_text() == ""
    page.keyboard.press("m")
    assert page.locator("#reject").get_attribute("aria-pressed") == "false"
    assert "moved to slice 23" in page.locator("#moved-words").inner_text()


def test_points_of_plots_lead_to_their_case_by_mouse_and_by_key(opened):
    page = opened()
    page.locator(".plot-card").first.locator("circle").nth(1).click()
    assert "study-1" in page.locator("#case-title").inner_text()
    page.keyboard.press("Escape")
    stage = page.locator(".plot-stage").first
    page.wait_for_function("!document.getElementById('case').open")
    assert stage.evaluate("element => element === document.activeElement")
    for key in ("ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert "study-2" in page.locator("#case-title").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_axe_finds_nothing(opened, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        reduced_motion="reduce",
        bypass_csp=True,  # to bring axe in
    )
    page.click(".models summary")
    assert violations(axe, page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="study-2").click()
    page.wait_for_selector(".views-chart")
    assert violations(axe, page) == []
    page.keyboard.press("?")
    assert violations(axe, page) == []


def test_the_policy_stops_scripts_that_are_not_the_page_s_own(chromium, page_file, tmp_path):
    page = chromium.new_page()
    changed = tmp_path / "changed.html"
    text = page_file.read_text("utf-8")
    changed.write_text(text.replace("</body>", '<script>document.title = "pwned"</script></body>'))
    page.goto(changed.as_uri())
    assert page.title() == "A page of tests"
    page.close()
