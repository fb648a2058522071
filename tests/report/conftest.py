"""A browser to look at pages with."""

import shutil

import pytest


@pytest.fixture(scope="session")
def chromium():
    """Yield a running headless browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium to open pages in: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
