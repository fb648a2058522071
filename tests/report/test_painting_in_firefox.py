"""The page in the other browser: what mouse and finger paint there is what a review would hold."""

import json
import shutil

import pytest

from bodycomp.review.painting import Painting
from bodycomp.study.analysis_page import write_analysis_page
from support.firefox import Firefox
from support.reviewed_runs import make_run

pytestmark = pytest.mark.slow
STORED = (
    "return Object.entries(localStorage).find(([key]) => key.startsWith('bodycomp-review:'))?.[1]"
)
BOX = "const box = document.getElementById('canvas').getBoundingClientRect(); return [box.x, box.y]"


def test_firefox_paints_by_mouse_and_finger(tmp_path):
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("no Firefox to open pages in: apt-get install firefox-esr")
    run = make_run(tmp_path, patients=1, previews=True)
    page = write_analysis_page(run.out)
    (tmp_path / "profile").mkdir()
    browser = Firefox(program, tmp_path / "profile")
    try:
        browser.do("WebDriver:Navigate", url=page.as_uri())
        browser.run("document.querySelector('#table tbody button').click()")
        browser.wait("document.querySelector('[data-tool=brush]:enabled')")
        browser.run(
            "document.querySelector('[data-tool=brush]').click(); "
            "document.getElementById('paint-tissue').selectedIndex = 2; "
            "document.getElementById('paint-tissue').dispatchEvent(new Event('change'))"
        )
        x, y = browser.run(BOX)
        counts = []
        for kind, down in (("mouse", 60), ("touch", 140)):
            browser.drag(kind, (x + 100, y + down), (x + 200, y + down), (x + 250, y + down + 20))
            (said,) = json.loads(browser.run(STORED)).values()
            ((index, runs),) = said["painted"]["slices"].items()
            painting = Painting.parse(f"{index}:{runs}", said["painted"]["from"])
            counts.append(sum(each.count for each in painting.slices[0].runs))
            assert {each.label for each in painting.slices[0].runs} == {3}
        assert 0 < counts[0] < counts[1]
        assert browser.run("return document.querySelector('#tissues .painted') !== null")
    finally:
        browser.close()
