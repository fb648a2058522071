"""A case holds what a page needs to be judged by, and survives its file."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bodycomp.anatomy import ABDOMINAL_TISSUES, ALL_TISSUES, MUSCLE
from bodycomp.errors import OutputError
from bodycomp.imaging.orientation import OrientationTransform
from bodycomp.report.case_pictures import MASK_STEP, PICTURE_WINDOW
from bodycomp.report.case_view import CaseTruth, make_case_view, read_case_view, write_case_view
from bodycomp.report.page_content import PageCase
from bodycomp.report.result_rows import SeriesKey
from bodycomp.results import QualityFlag, Quantity, SeriesResult
from bodycomp.scan import Scan
from support.report_cases import cylinder, found_at, not_found

KEY = SeriesKey("study-1", "series-2")


def decoded(picture):
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        return np.asarray(image.convert("L"))


def case_of(volume, level, **more):
    result = SeriesResult(ABDOMINAL_TISSUES, (level,), {"segmentation": "5e9"})
    return make_case_view(Scan(volume), result, level, KEY, **more)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (0, 1, 0, -1, 0, 0)])
def test_pictures_are_in_the_standard_view_and_masks_lie_on_them(orientation):
    volume = cylinder(orientation)
    level = found_at(volume, 3)
    level.masks[3][20:44, 20:32] = 2  # the standard view must have it on the proper side
    case = case_of(volume, level)

    shown = case["slices"][case["shown"]]
    gray, mask = decoded(shown["picture"]), decoded(shown["mask"])
    expected = OrientationTransform.from_orientation(orientation).apply(level.masks[3])
    size_mm = np.array([1, 1]) * 4.0 * np.sqrt((expected > 0).sum())
    assert gray.shape == mask.shape
    assert set(np.unique(mask)) == {0, MASK_STEP, 2 * MASK_STEP}
    assert (mask > 0).sum() / mask.size == pytest.approx(
        np.prod(size_mm) / (mask.size * (4.0**2)), rel=0.25
    )
    first, second = (np.argwhere(mask == n * MASK_STEP).mean(axis=0) for n in (1, 2))
    ours = np.argwhere(expected == 1).mean(axis=0) - np.argwhere(expected == 2).mean(axis=0)
    assert np.allclose(np.sign(np.round(first - second)), np.sign(np.round(ours)))


def test_grays_follow_the_wide_window():
    volume = cylinder()
    case = case_of(volume, found_at(volume, 3))
    gray = decoded(case["slices"][case["shown"]]["picture"])
    middle = int(gray[gray.shape[0] // 2, gray.shape[1] // 4])
    assert middle == pytest.approx(int(PICTURE_WINDOW.to_gray(np.float32([40]))[0]), abs=6)


def test_a_found_level_shows_its_neighbors_and_their_places():
    volume = cylinder(z=np.arange(40) * 2.5)
    case = case_of(volume, found_at(volume, 20))
    places = np.array([image["z_mm"] for image in case["slices"]]) - 50.0
    assert case["curve"]["z_mm"] == {"first": 0.0, "step": 2.5}
    assert case["slices"][case["shown"]]["index"] == 20
    assert list(np.round(places / 5)) == [-6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6]


def test_a_level_that_was_not_found_shows_slices_of_the_whole_scan():
    volume = cylinder(z=np.arange(101) * 3.0)
    case = case_of(volume, not_found(volume))
    assert [image["index"] for image in case["slices"]] == [0, 12, 25, 38, 50, 62, 75, 88, 100]
    assert case["cells"]["status"] == "absent"


def test_a_truth_is_kept_on_its_own_slice():
    volume = cylinder(z=np.arange(40) * 2.5)
    mask = np.full(volume.slice_shape, MUSCLE.label, np.uint8)
    truth = CaseTruth({23: mask}, z_mm=58.0)
    case = case_of(volume, found_at(volume, 20), truth=truth)
    kept = {image["index"]: "truth" in image for image in case["slices"]}
    assert kept.pop(23)
    assert not any(kept.values())
    assert case["truth_z_mm"] == 58.0


def test_a_single_slice_and_an_empty_one_make_a_case(tmp_path):
    volume = cylinder(z=np.array([5.0]))
    volume = replace(volume, hu=np.full_like(volume.hu, -1000))
    case = case_of(volume, not_found(volume))
    write_case_view(tmp_path / "case-T5.json", case)
    assert len(read_case_view(tmp_path / "case-T5.json")["slices"]) == 1


def test_a_file_gives_back_the_case(tmp_path):
    volume = cylinder()
    found = replace(
        found_at(volume, 3),
        quantities={"noise_hu": Quantity(None, "no soft tissue")},
        flags=(QualityFlag("noise", "21.0 HU of noise", 21.0, 20.0, ("muscle_sd_hu",)),),
    )
    case = case_of(volume, found, truth=CaseTruth(z_mm=11.0))
    path = tmp_path / "case-L3.json"
    write_case_view(path, case)
    back = read_case_view(path)

    assert PageCase(back["cells"]).key == "study-1/series-2/L3"
    assert back | {"cells": {}} == case | {"cells": {}}
    assert back["cells"] == pytest.approx(case["cells"], abs=1e-4)
    assert back["reasons"] == {"noise_hu": "no soft tissue"}
    assert back["curve"]["z_mm"] == pytest.approx(volume.slice_z_mm, abs=0.01)


@pytest.mark.parametrize(
    "text", ["", "{}", '{"schema": "bodycomp.case", "schema_version": 2}', "[]"]
)
def test_a_damaged_file_is_refused_by_name(tmp_path, text):
    path = tmp_path / "case-L3.json"
    path.write_text(text)
    with pytest.raises(OutputError, match=r"case-L3\.json: expected a case"):
        read_case_view(path)


def test_labels_of_all_tissues_are_kept_and_can_be_corrected():
    volume = cylinder()
    level = found_at(volume, 3)
    last = max(tissue.label for tissue in ALL_TISSUES)
    level.masks[3][30, 20 : 20 + last] = range(1, last + 1)
    shown = next(image for image in case_of(volume, level)["slices"] if "mask" in image)
    kept = decoded(shown["mask"]) // shown["mask_step"]
    grid, (rows, columns) = shown["grid"], np.indices(kept.shape)
    numbers = grid["origin"] + rows * grid["down"] + columns * grid["across"]
    assert np.array_equal(kept, level.masks[3].ravel()[numbers])
    assert set(np.unique(kept)) == set(range(last + 1))
