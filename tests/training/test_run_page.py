"""The page of a training run: what there is of it, finished or not."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from bodycomp.cli import main
from bodycomp.training.run_page import is_run_folder, write_run_page

METRICS = """epoch,train_loss,learning_rate,val_loss,val_dice_mean,val_dice_muscle,images_per_s
0,0.8,0.002,0.23,0.96,0.93,8
1,0.1,1e-11,0.07,0.98,,9
"""


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "segmentation"
    folder.mkdir(parents=True)
    (folder / "args.json").write_text("{}")
    manifest = {"task": "segmentation", "exit_state": "interrupted", "best_epoch": 1}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "started": "2025-03-31"}))
    (folder / "metrics.csv").write_text(METRICS)
    (folder / "test_metrics.json").write_text('{"dice_mean": 0.98594}')
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "examples.png")
    return folder


def test_curves_numbers_and_examples_are_on_the_page(run):
    text = write_run_page(run).read_text("utf-8")
    data = json.loads(re.search(r'id="page-data">(.*?)</script>', text, re.DOTALL)[1])
    loss, dice, rate, speed = data["plots"]
    assert {point["series"] for point in loss["points"]} == {"training", "validation"}
    assert loss["y"]["logarithmic"]
    assert [point["y"] for point in dice["points"]] == [0.96, 0.98, 0.93]
    assert [point["y"] for point in rate["points"]] == [0.002]
    assert speed["title"] == "Speed of training"
    assert "<b>0.986</b>" in text
    assert "The training is interrupted" in text
    assert '<img class="whole" src="data:image/webp;base64,' in text


def test_the_command_tells_a_training_from_an_analysis(run, tmp_path):
    assert is_run_folder(run)
    assert main(["report", str(run), "-o", str(tmp_path / "page.html")]) == 0
    assert "Training for segmentation" in (tmp_path / "page.html").read_text("utf-8")


def test_a_run_without_an_epoch_has_no_page_yet(run, capsys):
    (run / "metrics.csv").unlink()
    assert main(["report", str(run)]) == 1
    assert "once the first epoch has been evaluated" in capsys.readouterr().err
