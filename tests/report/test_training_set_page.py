"""The page of a training set: self-contained, honest about what was found, worth looking at."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.cli import main
from bodycomp.data.arrays import open_array
from bodycomp.data.issues import Issue
from bodycomp.data.manifest import MANIFEST_NAME
from bodycomp.data.slice_set import open_slice_split
from bodycomp.errors import UsageError
from bodycomp.report.histogram import BASE, LEFT, RIGHT, TOP, Histogram, draw_histogram
from bodycomp.report.offset_ladder import OFFSETS_MM, ladder_rows
from bodycomp.report.page import photo_uri, stencil_uri
from bodycomp.report.page_options import PageOptions
from bodycomp.report.sample_choice import (
    Suspicion,
    choose_random,
    choose_suspicious,
    unusual,
)
from bodycomp.report.training_set_page import write_training_set_page
from bodycomp.validation.validate import Validation, validate_training_set
from support.factories import make_segmentation_set, make_slice_set


@pytest.mark.parametrize("name", ["random", "suspicious", "seed"])
def test_numbers_of_samples_are_not_negative(name: str) -> None:
    with pytest.raises(UsageError, match=f"expected --{name} of at least 0, found -1"):
        PageOptions(**{name: -1})


class Reader(HTMLParser):
    """Gathers what a page would load, its identifiers and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"src", "href", "data", "srcset", "action"}:
                (self.links if tag == "a" else self.sources).append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words += data


def picture(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masks")
    make_segmentation_set(folder, {"train": 6, "val": 5})
    return folder


@pytest.fixture(scope="module")
def offsets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = {"train": 40, "val": 20, "test": 10}
    return make_slice_set(tmp_path_factory.mktemp("offsets"), counts, levels=("L3", "T12"))


def page_of(data_dir: Path, out: Path, **options: int) -> tuple[str, Reader]:
    write_training_set_page(out, validate_training_set(data_dir), PageOptions(**options))
    text = out.read_text(encoding="utf-8")
    return text, Reader(text)


def test_the_page_needs_neither_files_nor_network(masks, offsets, tmp_path):
    for number, data_dir in enumerate((masks, offsets)):
        text, page = page_of(data_dir, tmp_path / f"{number}.html")
        assert page.sources
        assert all(source.startswith("data:image/") for source in page.sources)
        assert not re.search(r"url\(|@import|https?:", text)
        assert len(page.ids) == len(set(page.ids))
        assert all(link[1:] in page.ids for link in page.links)


def test_stencils_are_those_of_the_masks(masks, tmp_path):
    text, _ = page_of(masks, tmp_path / "page.html")
    stored = open_array(masks / "train_masks.npy")[2, :, :, 0]
    figure = text.partition('id="train-2"')[2].partition("</figure>")[0]
    for tissue in ABDOMINAL_TISSUES:
        (uri,) = re.findall(rf'class="stencil {tissue.key}" src="([^"]+)"', figure)
        drawn = np.asarray(picture(uri).convert("RGBA"))
        np.testing.assert_array_equal(drawn[..., 3] > 0, stored == tissue.label)
        assert {tuple(color) for color in drawn[stored == tissue.label]} == {(*tissue.color, 255)}


def test_issues_are_listed_and_lead_to_their_samples(masks, tmp_path):
    checked = validate_training_set(masks)
    issue = Issue(
        *("warning", "train_masks.npy, sample 4", "expected <b>less</b>, found more", "Look."),
        *("planted", "train", 4),
    )
    planted = Validation(checked.kind, masks, (issue,), checked.facts)
    write_training_set_page(tmp_path / "page.html", planted)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Reader(text)
    assert "#train-4" in page.links
    assert "<b>less</b>" not in text  # what comes from files is not markup
    assert "expected <b>less</b>, found more" in page.words
    assert "planted" in text.partition('id="train-4"')[2].partition("</figure>")[0]
    assert page.ids.count("train-4") == 1


def test_areas_are_in_cm2_where_a_manifest_tells_the_spacing(masks, tmp_path):
    copied = tmp_path / "set"
    copied.mkdir()
    for file in masks.iterdir():
        (copied / file.name).symlink_to(file)
    rows = [
        f"{split},{index},p{index},0.8,0.5"
        for split, count in (("train", 6), ("val", 5))
        for index in range(count)
    ]
    header = "split,index,patient,row_spacing_mm,column_spacing_mm"
    (copied / MANIFEST_NAME).write_text("\n".join([header, *rows]) + "\n")
    _, page = page_of(copied, tmp_path / "page.html")
    pixels = int((open_array(masks / "train_masks.npy")[0] == 1).sum())
    assert f"Muscle {pixels * 0.004:.3g} cm²" in page.words
    assert "of 6 patients" in page.words


def test_a_set_with_errors_still_makes_a_page(masks, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in masks.iterdir():
        (broken / file.name).write_bytes(file.read_bytes()[: 100 if "val" in file.name else None])
    _, page = page_of(broken, tmp_path / "page.html")
    assert "truncated" in page.words or "cannot be read" in page.words
    assert "train-0" in page.ids


def test_slices_stand_in_the_order_of_their_offsets(offsets, tmp_path):
    text, _ = page_of(offsets, tmp_path / "page.html")
    ladder = text.partition("Slices by their offset from L3")[2].partition("</section>")[0]
    told = [float(words) for words in re.findall(r'alt="train \d+, ([+-][\d.]+) mm"', ladder)]
    assert told == sorted(told)
    split = open_slice_split(offsets, "train", ["L3"])
    assert split is not None
    (row,) = ladder_rows({"train": split}, 0)
    for wanted, index in zip(OFFSETS_MM, row.slices, strict=True):
        distances = np.abs(split.offsets_mm[:, 0] - wanted)
        assert distances.min() > 15 if index is None else distances[index] == distances.min()


def test_random_samples_come_from_every_split_and_many_patients():
    patients = {"train": [f"p{i // 10}" for i in range(100)], "val": [f"q{i}" for i in range(3)]}
    chosen = choose_random({"train": 100, "val": 3, "test": 50}, patients, 20).samples
    assert {split for split, _ in chosen} == {"train", "val", "test"}
    drawn = [patients["train"][index] for split, index in chosen if split == "train"]
    assert len(drawn) > 10
    assert len(set(drawn)) == 10
    assert chosen == choose_random({"train": 100, "val": 3, "test": 50}, patients, 20).samples


def test_no_rule_crowds_out_another():
    many = [Suspicion(("train", i), "common", "warning") for i in range(100)]
    rare = [Suspicion(("train", 50), "rare", "warning"), Suspicion(("val", 1), "grave", "error")]
    chosen = choose_suspicious([*many, *rare], 4)
    assert chosen.samples[0] == ("val", 1)
    assert len(chosen.samples) == 4
    assert ("train", 50) in chosen.samples
    assert {reason.code for reason in chosen.reasons["train", 50]} == {"common", "rare"}


def test_unusual_numbers_are_those_far_from_the_median():
    values = {"train": np.array([1.0, 2, 3, 2, 1, 2, np.nan]), "val": np.array([2.0, 40, 3])}
    assert [found.sample for found in unusual("area", values)] == [("val", 1)]
    assert unusual("area", {"train": np.full(5, 2.0)}) == []
    assert unusual("area", {"train": np.full(5, np.nan)}) == []


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), max_size=60),
    st.lists(st.one_of(st.floats(-1e3, 1e3, width=32), st.just(float("nan"))), max_size=60),
)
def test_any_numbers_stay_inside_the_chart(one: list[float], other: list[float]) -> None:
    drawing = draw_histogram(Histogram("t", "u", {"a": np.array(one), "b": np.array(other)}))
    if drawing is None:
        assert not np.isfinite([*one, *other]).any()
        return
    for _, path, _ in drawing.outlines:
        across = [float(x) for x in re.findall(r"H([\d.-]+)", path)]
        heights = [float(y) for y in re.findall(r"V([\d.-]+)", path)]
        assert across == sorted(across)
        assert across[-1] == RIGHT
        assert across[0] > LEFT
        assert all(TOP <= y <= BASE for y in heights)
    assert all(LEFT <= place <= RIGHT for place, _ in drawing.ticks)


def test_photographs_keep_their_size_and_almost_their_grays():
    gray = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    back = picture(photo_uri(gray)).convert("L")
    assert back.size == (256, 64)
    assert np.abs(np.asarray(back).astype(int) - gray).max() <= 8
    mask = gray > 100
    drawn = np.asarray(picture(stencil_uri(mask, (1, 2, 3))).convert("RGBA"))
    np.testing.assert_array_equal(drawn[..., 3] > 0, mask)


def test_the_command_writes_the_page_beside_the_set(masks, tmp_path, capsys):
    linked = tmp_path / "my-set"
    linked.symlink_to(masks)
    out = tmp_path / "page.html"
    assert main(["show", str(linked), "--out", str(out), "--random", "4"]) == 0
    assert "0 errors" in capsys.readouterr().out
    assert out.is_file()
    assert main(["show", str(tmp_path / "nothing"), "--out", str(tmp_path / "no.html")]) == 1
    assert not (tmp_path / "no.html").exists()
    assert "expected" in capsys.readouterr().err
