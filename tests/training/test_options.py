"""Options that cannot be used are refused before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bodycomp.errors import UsageError
from bodycomp.training.fit import _warn_of_idle_devices
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions

PLACES = {"data_dir": Path("data"), "output_dir": Path("models")}


def test_both_kinds_survive_json():
    for options in (
        SegmentationOptions(**PLACES, name="a", load_weights=Path("m.hdf5"), thoracic=True),
        SegmentationOptions(**PLACES, arch="patch_unet", average=0.0, patience=3),
        SliceSelectionOptions(**PLACES, levels=("T5", "L3"), max_minutes=2.5),
        SliceSelectionOptions(**PLACES, arch="resnet", initializer="he_uniform"),
    ):
        values = json.loads(json.dumps(options.to_dict()))
        assert type(options).from_dict(values) == options


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (SegmentationOptions, {"epochs": 0}, "--epochs of at least 1, found 0"),
        (SegmentationOptions, {"batch_size": -1}, "--batch_size of at least 0"),
        (SegmentationOptions, {"learning_rate": 0.0}, "positive --learning_rate"),
        (SegmentationOptions, {"learning_rate": float("nan")}, "positive --learning_rate"),
        (SegmentationOptions, {"gpus": -1}, "--gpus of at least 0"),
        (SegmentationOptions, {"activation": "mish"}, "--activation to be one of relu, elu"),
        (SegmentationOptions, {"loss": "mse"}, "--loss to be one of dice_cross_entropy"),
        (SegmentationOptions, {"resume": True}, "--resume needs the name"),
        (SliceSelectionOptions, {"levels": ("l3",)}, "found level 'l3'"),
        (SliceSelectionOptions, {"levels": ("L3", "L3")}, "named twice"),
        (SliceSelectionOptions, {"image_size": 100}, "multiple of 32"),
        (SliceSelectionOptions, {"threshold": 0}, "positive --threshold"),
        (SliceSelectionOptions, {"initial_epoch": 100}, "--initial_epoch from 0 to 99"),
        (SliceSelectionOptions, {"max_minutes": -1}, "positive --max_minutes"),
        (SegmentationOptions, {"arch": "densenet"}, "--arch to be one of unet, patch_unet"),
        (
            SliceSelectionOptions,
            {"arch": "resnet", "omit_batch_norm": True},
            "--omit_batch_norm is an option of --arch densenet, found it with --arch resnet",
        ),
    ],
)
def test_refusals_name_option_and_value(kind, changes, message):
    with pytest.raises(UsageError, match=message):
        kind(**PLACES, **changes)


def test_an_architecture_brings_its_own_defaults():
    unet, patches = (SegmentationOptions(**PLACES, arch=a) for a in ("unet", "patch_unet"))
    assert len(unet.compression_channels) > len(patches.compression_channels)
    default, residual = (SliceSelectionOptions(**PLACES, arch=a) for a in ("densenet", "resnet"))
    assert (default.nb_blocks, default.initializer) == (4, "glorot_uniform")
    assert (residual.nb_blocks, residual.initializer) == (None, "he_normal")
    assert residual.network_values() == {"initializer": "he_normal"}


def test_batches_too_small_for_all_devices_are_warned_of(caplog):
    _warn_of_idle_devices(SegmentationOptions(**PLACES, gpus=8), 8)
    assert "a batch of 4 slices leaves some of the 8 devices without work" in caplog.text
    assert "32 would give each as many" in caplog.text
    caplog.clear()
    _warn_of_idle_devices(SegmentationOptions(**PLACES, gpus=8, batch_size=8), 8)
    assert not caplog.text
