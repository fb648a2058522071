"""Pictures: written whole, of a sane size, and with the pixels that matter."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bodycomp.anatomy import ABDOMINAL_TISSUES, MUSCLE
from bodycomp.imaging.volume import Volume
from bodycomp.report.learning_curves import write_learning_curves
from bodycomp.report.overlay import color_mask
from bodycomp.report.preview import PreviewText, write_preview
from bodycomp.report.training_examples import (
    SegmentationCase,
    SliceCase,
    write_segmentation_examples,
    write_slice_examples,
)
from bodycomp.results import MODEL_CAUTION_KEY, QualityFlag, SeriesResult
from support.report_cases import cylinder, found_at, not_found


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def near(pixels, color, tolerance=12):
    return int(np.all(np.abs(pixels - np.array(color)) <= tolerance, axis=2).sum())


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 1, 0, 0)])
def test_preview_shows_the_labels_in_their_color(tmp_path, orientation):
    volume = cylinder(orientation)
    level = found_at(volume, 3)
    result = SeriesResult(ABDOMINAL_TISSUES, (level, not_found(volume)), {})

    write_preview(tmp_path / "p.png", volume, result, level, PreviewText("study-1", "GE"))

    pixels = picture(tmp_path / "p.png")
    gray = 255 * (40 + 160) / 400
    mixed = 0.5 * np.array(MUSCLE.color) + 0.5 * gray
    assert near(pixels, mixed) > 5_000
    assert [path.name for path in tmp_path.iterdir()] == ["p.png"]


def test_preview_says_what_the_models_ask_to_say(tmp_path):
    volume = cylinder()
    level = found_at(volume, 3)
    flag = QualityFlag(MODEL_CAUTION_KEY, "not validated on your scanner", None, None, ())
    cautioned = replace(level, flags=(flag,))
    headers = []
    for shown in (level, cautioned):
        result = SeriesResult(ABDOMINAL_TISSUES, (shown,), {})
        write_preview(tmp_path / "p.png", volume, result, shown)
        headers.append(picture(tmp_path / "p.png")[:80])
    red = [near(header, (0xB3, 0x26, 0x1E)) for header in headers]
    assert red[0] == 0
    assert red[1] > 100


def test_preview_of_an_absent_level_shows_curve_and_slices(tmp_path):
    volume = cylinder()
    level = not_found(volume)

    write_preview(tmp_path / "p.png", volume, SeriesResult(ABDOMINAL_TISSUES, (level,), {}), level)

    pixels = picture(tmp_path / "p.png")
    assert near(pixels, (0xB3, 0x26, 0x1E)) > 300  # the verdict
    assert near(pixels, [255 * 200 / 400] * 3) > 5_000  # soft tissue of the slices shown


def test_preview_of_air_and_of_few_slices_does_not_fail(tmp_path):
    hu = np.full((2, 16, 16), -1000, np.int16)
    volume = Volume(hu, (1.0, 2.0), np.array([0.0, 700.0]))
    level = not_found(volume)
    write_preview(tmp_path / "p.png", volume, SeriesResult(ABDOMINAL_TISSUES, (level,), {}), level)
    assert (tmp_path / "p.png").stat().st_size > 10_000


def test_learning_curves_take_rows_as_csv_gives_them(tmp_path):
    rows = [
        {"epoch": str(n), "train_loss": f"{1 / (n + 1)}", "val_loss": "" if n % 2 else "0.5",
         "val_dice_muscle": "0.9", "val_dice_mean": "nan", "learning_rate": 1e-3, "note": "x"}
        for n in range(5)
    ]  # fmt: skip
    write_learning_curves(tmp_path / "curves.png", rows)
    pixels = picture(tmp_path / "curves.png")
    assert near(pixels, MUSCLE.color) > 100
    assert pixels.shape[1] > 3 * 400  # loss, Dice and learning rate side by side


def test_learning_curves_without_a_value_are_an_empty_picture(tmp_path):
    write_learning_curves(tmp_path / "curves.png", [])
    assert (tmp_path / "curves.png").exists()


def test_segmentation_examples_mark_where_masks_differ(tmp_path):
    truth = np.zeros((64, 64), np.uint8)
    truth[10:50, 10:50] = 1
    cases = [
        SegmentationCase("best", np.zeros((64, 64)), truth, truth, {"muscle": 1.0}),
        SegmentationCase("worst", np.zeros((64, 64)), truth, 0 * truth, {"muscle": None}),
    ]
    write_segmentation_examples(tmp_path / "e.png", cases)
    pixels = picture(tmp_path / "e.png")
    half = len(pixels) // 2
    blue = (0x1F, 0x6F, 0xFF)  # missed
    assert near(pixels[half:-40], blue) > 1_000
    assert near(pixels[:half], blue) == 0


def test_slice_examples_fill_a_grid(tmp_path):
    cases = [SliceCase(f"case {n}", np.zeros((32, 32)), "L3", 20.0 * n, -9.0) for n in range(5)]
    write_slice_examples(tmp_path / "s.png", cases)
    assert near(picture(tmp_path / "s.png"), (0x35, 0xE0, 0xD4)) > 5 * 10


def test_background_is_transparent():
    assert color_mask(np.array([[0, 1]], np.uint8))[0, :, 3].tolist() == [0, 128]


def test_no_window_and_no_global_figures():
    """In a process of its own: other libraries may import pyplot for themselves."""
    pictures = "learning_curves, bodycomp.report.preview, bodycomp.report.training_examples"
    code = f"import sys, bodycomp.report.{pictures}; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
