"""Correcting masks on the page: what was painted is what lies on the disk, pixel by pixel."""

import base64
import io
import shutil
import threading
from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from bodycomp.imaging.volume import Volume
from bodycomp.review.options import CorrectionOptions, ServeOptions
from bodycomp.review.serve import ReviewServer
from bodycomp.study.analysis_page import write_analysis_page
from support.reviewed_runs import Run, level_document, make_run, tissue_labels

pytestmark = pytest.mark.slow

COLORS = {(213, 94, 0): 1, (86, 180, 233): 2, (240, 228, 66): 3}
TURNED = (0, 1, 0, -1, 0, 0)
SLICES, LEVEL = 20, 9


def torso(seed: int, *, orientation=(1, 0, 0, 0, 1, 0), cut_off: bool = False) -> Volume:
    """Return a noisy ellipse of muscle in one of fat, on pixels that are no squares."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[-50:50, -70:70]
    middle = 40 if cut_off else 4
    away = np.hypot(rows / 38, (columns - middle) / 58)
    image = np.where(away < 0.7 - 0.03 * seed, 45.0, np.where(away < 1, -100.0, -1000.0))
    hu = np.repeat(image[None], SLICES, axis=0)
    hu[hu > -500] += rng.normal(0, 12, (hu > -500).sum())
    return Volume(hu.astype(np.int16), (1.5, 1.2), 5.0 * np.arange(SLICES), orientation)


def patients() -> list[Volume]:
    return [torso(0), torso(1, orientation=TURNED), torso(2, cut_off=True)]


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Run:
    """A run of a patient as scanners have them, a turned one and one that is cut off."""
    place = tmp_path_factory.mktemp("painted")
    run = make_run(place, volumes=patients(), levels={"L3": 5.0 * LEVEL}, previews=True)
    write_analysis_page(run.out)
    return run


@pytest.fixture
def run(measured, tmp_path) -> Run:
    shutil.copytree(measured.out, tmp_path / "out")
    shutil.copytree(measured.place / "in", tmp_path / "in")
    shutil.copy(measured.place / "out.pseudonym-key", tmp_path)
    return replace(measured, place=tmp_path)


@dataclass
class Painter:
    """A person with a page of a run."""

    page: object

    def open(self, study: str) -> None:
        self.page.locator(f"#table tr:has-text('{study}') button").click()
        self.page.wait_for_selector(".views-chart")
        self.page.wait_for_selector("#stage[aria-busy=false]")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where a share of the picture's width and height is on the screen."""
        self.page.locator("#stage").scroll_into_view_if_needed()
        box = self.page.locator("#canvas").bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def drag(self, *places: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(*place), steps=5)
        self.page.mouse.up()

    def click(self, *places: tuple[float, float]) -> None:
        for place in places:
            self.page.mouse.click(*self.at(*place))

    def labels(self) -> np.ndarray:
        """Return the (row, column) labels on the screen, by their colors."""
        self.page.locator("#opacity").fill("100")
        self.page.wait_for_timeout(100)
        uri = self.page.evaluate("document.getElementById('canvas').toDataURL()")
        with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as image:
            pixels = np.asarray(image.convert("RGB"))
        found = np.zeros(pixels.shape[:2], np.uint8)
        for color, label in COLORS.items():
            found[(pixels == color).all(axis=-1)] = label
        return found

    def number(self, tissue: str, column: int) -> float | None:
        cell = self.page.locator(f"#tissues tr:has-text('{tissue}') td").nth(column)
        shown = cell.get_attribute("title")
        return float(shown.replace("\u2212", "-")) if shown else None

    def export(self, run: Run):
        with self.page.expect_download() as download:
            self.page.click("#export")
        download.value.save_as(run.place / "review.csv")
        return run.place / "review.csv"


@pytest.fixture
def painter(chromium, run):
    faults, context = [], chromium.new_context()
    page = context.new_page()
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((run.out / "report.html").as_uri())
    page.fill("#reviewer", "AB")
    yield Painter(page)
    context.close()
    assert faults == []


def on_disk(folder, orientation) -> np.ndarray:
    """Return the labels of the level's slice as a reader sees it: right on the left, front up."""
    voxels = np.asarray(nib.load(folder / "labels.nii.gz").dataobj)[:, :, LEVEL].T
    return voxels if orientation != TURNED else voxels.T[:, ::-1]


def part_that_shows(whole: np.ndarray, part: np.ndarray) -> tuple[slice, slice]:
    """Return where a picture of a mask lies in the mask."""
    rows, columns = (np.flatnonzero((whole > 0).any(axis=axis))[0] for axis in (1, 0))
    top, left = (np.flatnonzero((part > 0).any(axis=axis))[0] for axis in (1, 0))
    return (
        slice(rows - top, rows - top + part.shape[0]),
        slice(columns - left, columns - left + part.shape[1]),
    )


def test_what_was_painted_lies_on_the_disk_pixel_by_pixel(painter, run):
    painted, windows, areas = {}, {}, {}
    for study in (row["study"] for row in run.rows()):
        painter.open(study)
        before = painter.labels()
        painter.press("b", "2")
        painter.drag((0.35, 0.4), (0.5, 0.5), (0.55, 0.7))
        painter.press("p", "3")
        painter.click((0.3, 0.6), (0.6, 0.75), (0.4, 0.85))
        painter.press("Enter", "e")
        painter.drag((0.7, 0.5), (0.8, 0.55))
        painter.press("b", "1", "l")  # in the limits of muscle alone
        painter.drag((0.5, 0.2), (0.9, 0.6))
        painter.press("l", "f", "1")
        painter.click((0.5, 0.5))
        painter.press("e")
        painter.drag((0.1, 0.5), (0.3, 0.5))
        painter.press("z")  # undone again
        painted[study] = painter.labels()
        assert (painted[study] != before).sum() > 300
        windows[study] = before
        names = ("Muscle", "Subcutaneous", "Visceral")
        areas[study] = {name: (painter.number(name, 0), painter.number(name, 1)) for name in names}
        painter.press("v", "Escape")

    outcome = run.apply(painter.export(run))
    assert (outcome.painted, outcome.moved) == (3, 0)
    assert [row["corrected"] for row in run.rows("reviewed.csv")] == ["mask"] * 3
    for number, row in enumerate(run.rows("reviewed.csv")):
        study, folder = row["study"], run.folder(number)
        volume = next(each for each in patients() if is_of(each, folder))
        networks = on_disk(folder, volume.orientation)
        now = on_disk(folder / "corrected" / "L3", volume.orientation)
        place = part_that_shows(networks, windows[study])
        assert np.array_equal(networks[place], windows[study])
        assert np.array_equal(now[place], painted[study])
        outside = now != networks
        outside[place] = False
        assert not outside.any()
        keys, compared = ("muscle", "subcutaneous_fat", "visceral_fat"), 0
        for name, key in zip(areas[study], keys, strict=True):
            area, mean = float(row[f"{key}_area_cm2"]), float(row[f"{key}_mean_hu"])
            assert areas[study][name][0] == pytest.approx(area, rel=1e-3)
            if areas[study][name][1] is not None:  # else air was painted, as at the edge
                compared += 1
                assert areas[study][name][1] == pytest.approx(mean, rel=1e-3, abs=0.05)
        said = level_document(folder)["correction"]
        assert compared >= 2
        assert (said["by"], said["what"]) == ("AB", ["mask"])
        assert said["mask_digest_before"] in row["corrected_from"]
        assert said["dice"]["muscle"]["value"] < 1


def is_of(volume: Volume, folder) -> bool:
    labels = np.asarray(nib.load(folder / "labels.nii.gz").dataobj)[:, :, LEVEL].T
    return np.array_equal(labels, tissue_labels(volume.hu[LEVEL]))


def test_a_painting_comes_back_and_is_applied_once(painter, run):
    study = run.rows()[0]["study"]
    painter.open(study)
    painter.press("b", "2", "]", " ", "Shift+ArrowRight", " ", "ArrowDown", " ")
    painted = painter.labels()
    painter.page.reload()
    painter.open(study)
    assert np.array_equal(painter.labels(), painted)
    assert painter.page.locator("#move").is_disabled()
    painter.press("Escape")
    review = painter.export(run)
    assert run.apply(review, move=False).waiting == 1
    assert run.apply(review).painted == 1
    again = run.apply(review, inputs=())
    assert (again.painted, again.repeated) == (0, 1)

    write_analysis_page(run.out)
    painter.page.reload()
    painter.open(study)
    assert np.array_equal(painter.labels(), painted)  # the corrected mask is the page's own now
    assert painter.page.locator("#tissues .painted").count() == 0
    painter.press("e", " ")
    further = painter.labels()
    painter.press("v", "Escape")
    assert run.apply(painter.export(run)).painted == 1
    labels = on_disk(run.folder() / "corrected" / "L3", torso(0).orientation)
    assert (labels > 0).sum() == (further > 0).sum() < (painted > 0).sum()


def test_a_served_page_saves_when_a_case_is_left(chromium, run):
    scans = CorrectionOptions(out_dir=run.out, inputs=run.inputs)
    server = ReviewServer(ServeOptions(scans=scans), run.segmenter)
    thread = threading.Thread(target=server.run)
    thread.start()
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.goto(server.address)
        painter = Painter(page)
        page.fill("#reviewer", "AB")
        painter.open(run.rows()[0]["study"])
        painter.press("b", "2", " ")
        painted = painter.labels()
        painter.press("v", "Escape")
        page.locator("#saved:text-is('saved')").wait_for()
        labels = on_disk(run.folder() / "corrected" / "L3", None)
        assert (labels == 2).sum() == (painted == 2).sum()
        assert run.row()["corrected_by"] == "AB"
    finally:
        context.close()
        server.close()
        thread.join()


def test_fingers_and_pens_paint_without_scrolling_or_pressure(chromium, run):
    context = chromium.new_context(viewport={"width": 400, "height": 700}, has_touch=True)
    page = context.new_page()
    page.goto((run.out / "report.html").as_uri())
    painter = Painter(page)
    painter.open(run.rows()[0]["study"])
    painter.press("b", "3")
    devtools = context.new_cdp_session(page)
    before = painter.labels()
    x, y = painter.at(0.5, 0.7)
    top = page.evaluate("document.getElementById('case').scrollTop")

    def touch(kind, *down):
        points = [{"x": x, "y": y - each} for each in down]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0)
    for step in range(1, 8):
        touch("touchMove", 15 * step)
    touch("touchEnd")
    assert page.evaluate("document.getElementById('case').scrollTop") == top
    assert (painter.labels() != before).sum() > 100

    counts = []
    for force, x in ((0.1, 0.4), (0.9, 0.6)):
        at = {"pointerType": "pen", "force": force, "button": "left", "clickCount": 1}
        (at["x"], at["y"]), start = painter.at(x, 0.7), painter.labels()
        devtools.send("Input.dispatchMouseEvent", at | {"type": "mousePressed"})
        devtools.send("Input.dispatchMouseEvent", at | {"type": "mouseReleased"})
        counts.append((painter.labels() != start).sum())
    assert min(counts) > 20
    assert counts[0] == pytest.approx(counts[1], rel=0.1)
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_axe_finds_nothing_while_one_paints(chromium, run, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = chromium.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        reduced_motion="reduce",
        bypass_csp=True,
    )
    page = context.new_page()
    page.goto((run.out / "report.html").as_uri())
    painter = Painter(page)
    painter.open(run.rows()[0]["study"])
    painter.press("b", "2", " ", "+")
    page.locator("#beside").check()
    found = axe.run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
