import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from bodycomp.errors import ModelError, UsageError
from bodycomp.networks.checkpoint import load_model
from support import keras_reference
from support.keras_writer import KerasModelBuilder, small_densenet, small_unet, write_keras

LEGACY = Path(__file__).parents[2] / "../shared/legacy"
TOLERANCE_FLOAT64 = 2e-6  # the stored outputs are float32 themselves
TOLERANCE_FLOAT32 = 4e-6  # two float32 computations in different order

LEGACY_OPTIONS = {
    "unet_small_l3": {},
    "unet_small_elu_2conv_thoracic": {"activation": "elu"},
    "densenet_small_l3": {},
    "densenet_small_4levels": {"levels": ["T5", "T8", "T10", "L3"]},
    "densenet_small_elu_nobn": {"activation": "elu"},
}


def output(model, x: np.ndarray, dtype=torch.float32) -> np.ndarray:
    """Run (N, rows, columns, 1) images and apply the head, in Keras axis order."""
    batch = torch.from_numpy(np.moveaxis(x, -1, 1).copy()).to(dtype)
    with torch.no_grad():
        logits = model.network.to(dtype)(batch)
    if model.card.task == "segmentation":
        return logits.softmax(1).movedim(1, -1).numpy()
    return logits.sigmoid().numpy()


@pytest.mark.skipif(not LEGACY.is_dir(), reason="the folder of earlier weights is not here")
@pytest.mark.parametrize("suffix", [".hdf5", ".weights.hdf5"])
@pytest.mark.parametrize("name", LEGACY_OPTIONS)
class TestEarlierImplementation:
    def test_outputs_agree(self, name, suffix):
        known = np.load(LEGACY / f"{name}.npz")
        model = load_model(LEGACY / (name + suffix), **LEGACY_OPTIONS[name])
        np.testing.assert_allclose(
            output(model, known["x"]), known["y"], rtol=0, atol=TOLERANCE_FLOAT32
        )
        np.testing.assert_allclose(
            output(model, known["x"], torch.float64), known["y"], rtol=0, atol=TOLERANCE_FLOAT64
        )

    def test_card_tells_how_to_run_it(self, name, suffix):
        card = load_model(LEGACY / (name + suffix), **LEGACY_OPTIONS[name]).card
        assert card.preprocessing.input_max == 255
        if card.task == "segmentation":
            assert card.preprocessing.size == (512, 512)
            assert len(card.tissues) == (2 if "thoracic" in name else 3)
        else:
            assert card.levels == tuple(LEGACY_OPTIONS[name].get("levels", ["L3"]))
            assert card.target_scale_mm == 10.0


WAYS_OF_WRITING = [
    {},
    {"full": False},
    {"as_bytes": True},
    {"full": False, "as_bytes": True, "chunks": 3},
    {"chunks": 2},
]


@pytest.mark.parametrize("way", WAYS_OF_WRITING, ids=str)
@pytest.mark.parametrize("activation", ["relu", "elu", "tanh"])
def test_unet_agrees_with_an_independent_computation(tmp_path, way, activation):
    written = small_unet(seed=1, activation=activation)
    x = np.random.default_rng(2).uniform(0, 1, (6, 10, 1)).astype(np.float32)
    model = load_model(write_keras(tmp_path / "m.hdf5", written, **way), activation=activation)
    assert model.network.config.compression_channels == (3, 5)
    np.testing.assert_allclose(
        output(model, x[None])[0], keras_reference.run(written, x), atol=1e-6
    )


@pytest.mark.parametrize("way", WAYS_OF_WRITING, ids=str)
@pytest.mark.parametrize("size", [(16, 16), (17, 20), (19, 23)])
def test_densenet_agrees_with_an_independent_computation(tmp_path, way, size):
    written = small_densenet(seed=3, inner="relu", outer="elu")
    x = np.random.default_rng(4).uniform(0, 1, (*size, 1)).astype(np.float32)
    path = write_keras(tmp_path / "m.h5", written, **way)
    model = load_model(path, activation="elu", levels=["T12", "L3"])
    assert model.network.config.activations == ("relu", "elu")
    np.testing.assert_allclose(
        output(model, x[None])[0], keras_reference.run(written, x), atol=1e-6
    )


def test_layer_order_is_the_attribute_not_the_names(tmp_path):
    """Auto-numbered names sort as conv2d_10 < conv2d_9."""
    written = small_unet()
    renamed = {old: f"layer_{99 - i}" for i, old in enumerate(written.weights)}
    written.weights = {renamed[old]: weights for old, weights in written.weights.items()}
    model = load_model(write_keras(tmp_path / "m.hdf5", written, full=False))
    first = next(iter(written.weights.values()))  # the input layer, without weights
    assert first == {}
    kernel = model.network.down[0][0].conv.weight
    assert kernel.shape == (3, 1, 3, 3)


def test_a_full_model_says_its_activation(tmp_path):
    path = write_keras(tmp_path / "m.hdf5", small_unet(activation="elu"))
    assert load_model(path).card.config["activation"] == "elu"
    with pytest.raises(ModelError, match="expected activation relu, the file has elu"):
        load_model(path, activation="relu")


def test_activation_inside_early_blocks_comes_from_the_file(tmp_path):
    path = write_keras(tmp_path / "m.hdf5", small_densenet(inner="tanh", outer="elu"))
    model = load_model(path, levels=["T12", "L3"])
    assert model.card.config["block_activations"] == ("tanh", "elu")


def test_output_activation_may_stand_in_the_last_layer(tmp_path):
    written = small_unet()
    written.weights.pop(written.layers.pop()["config"]["name"])
    written.layers[-1]["config"]["activation"] = "softmax"
    assert load_model(write_keras(tmp_path / "m.hdf5", written)).card.task == "segmentation"


class TestLeakyRelu:
    def written(self, **config) -> KerasModelBuilder:
        model = small_unet(activation="leaky_relu")
        for layer in model.layers:
            if layer["config"].get("activation") == "leaky_relu":
                layer["class_name"] = "LeakyReLU"
                layer["config"] = {"name": layer["config"]["name"], **config}
        return model

    def test_layer_with_the_slope_of_the_function(self, tmp_path):
        path = write_keras(tmp_path / "m.hdf5", self.written(alpha=0.2))
        assert load_model(path).card.config["activation"] == "leaky_relu"

    def test_other_slope_is_refused(self, tmp_path):
        path = write_keras(tmp_path / "m.hdf5", self.written(alpha=0.3))
        with pytest.raises(ModelError, match=r"expected a slope of 0\.2, found 0\.3"):
            load_model(path)


class TestRefusals:
    def refuse(self, path, match, **options) -> None:
        with pytest.raises(ModelError, match=match) as caught:
            load_model(path, **options)
        assert str(path) in caught.value.message

    def test_no_hdf5(self, tmp_path):
        path = tmp_path / "m.hdf5"
        path.write_bytes(b"not an HDF5 file")
        self.refuse(path, "is damaged, truncated or no Keras file")

    @pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
    def test_truncated(self, tmp_path, part):
        path = write_keras(tmp_path / "m.hdf5", small_unet())
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * part)])
        self.refuse(path, "is damaged, truncated")

    def test_layer_without_its_weights(self, tmp_path):
        path = write_keras(tmp_path / "m.hdf5", small_unet())
        with h5py.File(path, "a") as file:
            del file["model_weights"]["conv2d_41"]
        self.refuse(path, "is damaged, truncated")

    def test_other_hdf5(self, tmp_path):
        path = tmp_path / "m.h5"
        with h5py.File(path, "w") as file:
            file["layers/conv2d/vars/0"] = np.zeros(3)
        self.refuse(path, "expected the attribute layer_names of a Keras 2 file")

    def test_other_network(self, tmp_path):
        written = small_unet()
        kernel = written.weights["conv2d_41"]["kernel"]
        written.weights["conv2d_41"]["kernel"] = np.repeat(kernel, 2, axis=2)  # two input channels
        self.refuse(
            write_keras(tmp_path / "m.hdf5", written),
            "expected the layers of a U-Net or a DenseNet",
        )

    def test_too_few_layers(self, tmp_path):
        written = KerasModelBuilder(np.random.default_rng(0))
        written.dense(written.add("InputLayer", []), 2, 2)
        self.refuse(write_keras(tmp_path / "m.hdf5", written), "found 1 kernels")

    def test_missing_bias(self, tmp_path):
        written = small_unet()
        del written.weights["conv2d_41"]["bias"]
        self.refuse(
            write_keras(tmp_path / "m.hdf5", written),
            "layer conv2d_41: expected kernel, bias, found kernel",
        )

    def test_missing_norm(self, tmp_path):
        written = small_unet()
        del written.weights["batchnormalizationv1_42"]
        path = write_keras(tmp_path / "m.hdf5", written, full=False)
        self.refuse(path, "expected 7 layers, found 6")

    def test_nan(self, tmp_path):
        written = small_unet()
        written.weights["conv2d_41"]["bias"][1] = np.nan
        self.refuse(
            write_keras(tmp_path / "m.hdf5", written), "bias:0 of layer conv2d_41 holds NaN"
        )

    def test_five_classes(self, tmp_path):
        path = write_keras(tmp_path / "m.hdf5", small_unet(classes=5))
        self.refuse(path, "expected 3 or 4 classes, found 5")

    def test_levels_not_named(self, tmp_path):
        path = write_keras(tmp_path / "m.hdf5", small_densenet())
        self.refuse(path, "expected the names of 2 levels, one per output, found none")
        self.refuse(path, "found T5", levels=["T5"])

    def test_levels_for_a_segmentation_network(self, tmp_path):
        path = write_keras(tmp_path / "m.hdf5", small_unet())
        self.refuse(path, "levels were named", levels=["L3"])

    def test_misspelled_vertebra(self, tmp_path):
        path = write_keras(tmp_path / "m.hdf5", small_densenet())
        with pytest.raises(UsageError, match="found level 'l3'"):
            load_model(path, levels=["T5", "l3"])

    def test_other_task(self, tmp_path):
        path = write_keras(tmp_path / "m.hdf5", small_unet())
        self.refuse(path, "expected a model for slice_selection", task="slice_selection")

    @pytest.mark.parametrize("config", ["{", "[]", '{"config": {"layers": []}}', '{"config": 1}'])
    def test_damaged_description(self, tmp_path, config):
        path = write_keras(tmp_path / "m.hdf5", small_unet())
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = config
        self.refuse(path, "model_config|damaged")

    CHANGES = (
        ("Conv2D", {"padding": "valid"}, "expected padding same, found valid"),
        ("Conv2D", {"dilation_rate": [2, 2]}, "expected dilation_rate"),
        ("Conv2D", {"activation": "relu"}, "expected no activation, found 'relu'"),
        ("BatchNormalizationV1", {"epsilon": 1e-5}, "expected epsilon 0.001, found 1e-05"),
        ("UpSampling2D", {"interpolation": "bilinear"}, "expected interpolation nearest"),
        ("Concatenate", {"axis": 1}, "expected axis 3, found 1"),
        ("Activation", {"activation": "softsign"}, "expected one activation throughout"),
    )

    @pytest.mark.parametrize(("kind", "change", "match"), CHANGES, ids=str)
    def test_settings_that_would_change_the_numbers(self, tmp_path, kind, change, match):
        written = small_unet()
        next(la for la in written.layers if la["class_name"] == kind)["config"].update(change)
        self.refuse(write_keras(tmp_path / "m.hdf5", written), match)

    def test_other_output(self, tmp_path):
        written = small_unet()
        written.layers[-1]["config"]["activation"] = "sigmoid"
        self.refuse(write_keras(tmp_path / "m.hdf5", written), "expected a softmax at the output")

    def test_skip_before_the_upsampled_features(self, tmp_path):
        written = small_unet()
        join = next(la for la in written.layers if la["class_name"] == "Concatenate")
        join["inbound_nodes"][0].reverse()
        self.refuse(
            write_keras(tmp_path / "m.hdf5", written), "expected the upsampled features first"
        )

    def test_unknown_activation(self, tmp_path):
        path = write_keras(tmp_path / "m.hdf5", small_unet(activation="softsign"))
        self.refuse(path, "unknown activation 'softsign'")

    def test_extra_layer(self, tmp_path):
        written = small_unet()
        written.add("Dropout", [written.layers[-1]["config"]["name"]], rate=0.5)
        self.refuse(write_keras(tmp_path / "m.hdf5", written), "expected 14 layers, found 15")

    def test_message_names_the_layer(self, tmp_path):
        written = small_unet()
        written.layers[4]["class_name"] = "AveragePooling2D"
        self.refuse(
            write_keras(tmp_path / "m.hdf5", written),
            re.escape("layer 4, 'maxpooling2d_44': expected MaxPooling2D, found AveragePooling2D"),
        )


def test_nothing_of_the_path_gets_into_the_card(tmp_path):
    path = write_keras(tmp_path / "patient_name.hdf5", small_unet())
    assert "patient_name" not in json.dumps(load_model(path).card.to_dict())
