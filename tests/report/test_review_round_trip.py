"""A person's way from the page to corrected numbers and back: review, apply, look again."""

import pytest

from bodycomp.study.analysis_page import write_analysis_page
from support.reviewed_runs import Run, area_cm2, make_run, tissue_labels, widening

pytestmark = pytest.mark.slow


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def export(page, run: Run, name: str):
    with page.expect_download() as download:
        page.click("#export")
    download.value.save_as(run.place / name)
    return run.place / name


def test_what_a_person_does_on_the_page_is_what_counts_in_the_end(chromium, tmp_path):
    run = make_run(tmp_path, previews=True)
    moved, rejected = run.rows()
    page_file = write_analysis_page(run.out)
    context = chromium.new_context()
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.fill("#reviewer", "AB")
    page.get_by_role("button", name=moved["study"]).click()
    press(page, "ArrowUp", "m", "c")
    page.keyboard.type("=one higher")
    press(page, "Escape", "a", "Escape")
    page.get_by_role("button", name=rejected["study"]).click()
    press(page, "r", "Escape")
    outcome = run.apply(export(page, run, "review.csv"))

    assert (outcome.new, outcome.moved) == (2, 1)
    now, gone = run.rows("reviewed.csv")
    slice_index = int(now["slice_index"])
    assert slice_index > int(moved["slice_index"]) == 12
    widths = [tissue_labels(widening(number).hu[slice_index]) for number in (0, 1)]
    assert float(now["muscle_area_cm2"]) in [pytest.approx(area_cm2(w, 1)) for w in widths]
    assert (now["verdict"], now["comment"]) == ("accept", "'=one higher")
    assert (gone["status"], gone["muscle_area_cm2"]) == ("rejected", "")

    write_analysis_page(run.out)
    page.reload()
    page.get_by_role("button", name=moved["study"]).click()
    press(page, "c")
    page.keyboard.type(", seen again")
    press(page, "Escape", "Escape")
    again = run.apply(export(page, run, "again.csv"), inputs=())  # nothing is measured anew
    assert (again.new, again.moved, again.restored) == (1, 0, 0)
    assert run.row()["comment"].endswith("seen again")
    assert run.row()["slice_index"] == str(slice_index)
    context.close()
