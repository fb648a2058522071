"""Files of the earlier implementation become models that the other commands take."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bodycomp.analysis.loading import load_analyzer
from bodycomp.cli import main
from bodycomp.networks.checkpoint import load_model
from bodycomp.training.starting_point import starting_network, task_for
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions

LEGACY = Path(__file__).parents[2] / "../shared/legacy"
needs_legacy = pytest.mark.skipif(
    not LEGACY.is_dir(), reason="the folder of earlier weights is not here"
)
NAMED = {
    "unet_small_l3": [],
    "unet_small_elu_2conv_thoracic": ["--activation", "elu", "--thoracic"],
    "densenet_small_l3": [],
    "densenet_small_4levels": ["--levels", "T5", "T8", "T10", "L3"],
    "densenet_small_elu_nobn": ["--activation", "elu"],
}


def take_over(name, out, *options):
    return main(["import-keras", str(LEGACY / name), "--out", str(out), *options])


@needs_legacy
@pytest.mark.parametrize("suffix", [".hdf5", ".weights.hdf5"])
@pytest.mark.parametrize("name", NAMED)
def test_an_imported_model_gives_the_earlier_outputs(tmp_path, name, suffix):
    assert take_over(name + suffix, tmp_path / "model", *NAMED[name]) == 0

    model = load_model(tmp_path / "model")
    known = np.load(LEGACY / f"{name}.npz")
    with torch.no_grad():
        logits = model.network(torch.from_numpy(np.moveaxis(known["x"], -1, 1).copy()))
    if model.card.task == "segmentation":
        found = logits.softmax(1).movedim(1, -1)
    else:
        found = logits.sigmoid()
    np.testing.assert_allclose(found.numpy(), known["y"], rtol=0, atol=1e-5)


@needs_legacy
def test_two_imported_models_make_an_analyzer(tmp_path, capsys):
    take_over(
        "densenet_small_4levels.hdf5",
        tmp_path / "slice-selection",
        *["-L", "T5", "T8", "T10", "L3"],
    )
    take_over("unet_small_elu_2conv_thoracic.hdf5", tmp_path / "segmentation", "-t")
    analyzer = load_analyzer(tmp_path, device="cpu")
    assert analyzer.scorer.levels == ("T5", "T8", "T10", "L3")
    assert [tissue.key for tissue in analyzer.segmenter.tissues] == ["muscle", "subcutaneous_fat"]
    assert "slice selection model (densenet, relu) for T5, T8, T10, L3" in capsys.readouterr().out
    assert main(["card", str(tmp_path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("the file that this model was imported from does not say") == 2
    assert "Not calibrated for this model" in shown


@needs_legacy
def test_trainings_start_from_imported_models(tmp_path):
    take_over("unet_small_l3.weights.hdf5", tmp_path / "unet")
    take_over("densenet_small_elu_nobn.weights.hdf5", tmp_path / "densenet", "--activation", "elu")
    for kind, name in ((SegmentationOptions, "unet"), (SliceSelectionOptions, "densenet")):
        folder = tmp_path / name
        card = json.loads((folder / "card.json").read_text())
        sizes = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in card["config"].items()
            if key in kind.__dataclass_fields__
        }
        if not card["config"].get("batch_norm", True):
            sizes["omit_batch_norm"] = True
        options = kind(data_dir=tmp_path, output_dir=tmp_path, load_weights=folder, **sizes)

        network, started = starting_network(task_for(options))

        assert started.preprocessing.input_max == 255
        weights = load_model(folder).network.state_dict()
        assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())


class TestRefusals:
    def refuse(self, capsys, arguments, *words, code=1):
        assert main(["import-keras", *map(str, arguments)]) == code
        err = capsys.readouterr().err
        for word in words:
            assert word in err

    def test_what_is_no_file(self, tmp_path, capsys):
        out = ["--out", tmp_path / "m"]
        self.refuse(capsys, [tmp_path / "no.hdf5", *out], "expected a Keras .hdf5 file", "nothing")
        self.refuse(capsys, [tmp_path, *out], "found a folder", "needs no import")
        (tmp_path / "new.keras").write_bytes(b"PK\x03\x04")
        self.refuse(capsys, [tmp_path / "new.keras", *out], "no Keras file")
        assert not (tmp_path / "m").exists()

    @needs_legacy
    def test_what_contradicts_the_file(self, tmp_path, capsys):
        out = ["--out", tmp_path / "m"]
        unet, four = LEGACY / "unet_small_l3.hdf5", LEGACY / "densenet_small_4levels.hdf5"
        self.refuse(
            capsys, [unet, "--thoracic", *out], "expected the classes muscle, subcutaneous_fat,"
        )
        self.refuse(
            capsys, [unet, "--tissues", "visceral_fat", "muscle", *out], "visceral_fat, muscle"
        )
        self.refuse(capsys, [four, "--thoracic", *out, "-L", "T5", "T8", "T10", "L3"], "a network")
        self.refuse(capsys, [four, *out], "expected the names of 4 levels")
        self.refuse(capsys, [four, *out, "-L", "T5", "l3"], "Did you mean L3?", code=2)
        self.refuse(capsys, [unet, "--activation", "elu", *out], "the file has relu")
        assert not (tmp_path / "m").exists()

    @needs_legacy
    def test_a_folder_with_content_is_kept(self, tmp_path, capsys):
        (tmp_path / "mine.txt").write_text("mine")
        self.refuse(capsys, [LEGACY / "unet_small_l3.hdf5", "--out", tmp_path], "error:")
        assert (tmp_path / "mine.txt").read_text() == "mine"
