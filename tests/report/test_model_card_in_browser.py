"""The page of a model card as a browser shows it: narrow, dark, and to a screen reader."""

import pytest

from bodycomp.report.model_card_view import make_card_view, write_model_card_page
from support.model_cards import DIGEST, FULL, SEGMENTATION


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("card") / "card.html"
    write_model_card_page(
        path, [make_card_view(FULL, DIGEST), make_card_view(SEGMENTATION, DIGEST)]
    )
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_a_card_fits_every_width_and_reads_well(chromium, page_file, scheme, width):
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    asked = []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    assert asked == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_role("heading", name="<Demo> & co").is_visible()
    assert page.get_by_text("For research only, not a medical device.").count() == 3
    violations = axe.run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in violations] == []
    context.close()
