"""Tiny training sets and options, made once for all tests of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions
from support.factories import make_segmentation_set, make_slice_set
from support.no_pictures import leave_pictures_out
from support.small_slices import make_slices_small

COUNTS = {"train": 5, "val": 3, "test": 2}


@pytest.fixture(scope="session")
def segmentation_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_segmentation_set(tmp_path_factory.mktemp("segmentation"), COUNTS)


@pytest.fixture(scope="session")
def small_segmentation_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_slices_small(monkeypatch.setattr)
        return make_segmentation_set(tmp_path_factory.mktemp("small"), COUNTS)


@pytest.fixture(scope="session")
def slice_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_slice_set(
        tmp_path_factory.mktemp("slices"),
        {"train": 12, "val": 9, "test": 5},
        levels=("L3", "T8"),
        sizes=((64, 64),),
    )


@pytest.fixture
def pictures() -> None:
    """Keep the pictures of trainings; they are left out where nobody looks at them."""


@pytest.fixture(autouse=True)
def _pictures_if_asked_for(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    if "pictures" not in request.fixturenames:
        leave_pictures_out(monkeypatch.setattr)


@pytest.fixture(autouse=True)
def one_thread():
    """Sums of a tiny network depend on the number of threads; one is the fastest too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def unet_options(**changes) -> SegmentationOptions:
    values = {
        "name": "run",
        "epochs": 2,
        "batch_size": 2,
        "compression_channels": (2, 4),
        "decompression_channels": (2,),
    }
    return SegmentationOptions(**(values | changes))


@pytest.fixture
def tiny_unet(small_segmentation_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_slices_small(monkeypatch.setattr)
    return partial(unet_options, data_dir=small_segmentation_set, output_dir=tmp_path / "runs")


@pytest.fixture
def tiny_unet_512(segmentation_set: Path, tmp_path: Path):
    """Slices of the usual size, for memory and for trainings in other processes."""
    return partial(unet_options, data_dir=segmentation_set, output_dir=tmp_path / "runs")


@pytest.fixture
def tiny_densenet(slice_set: Path, tmp_path: Path):
    def options(**changes) -> SliceSelectionOptions:
        values = {
            "data_dir": slice_set,
            "output_dir": tmp_path / "runs",
            "name": "run",
            "epochs": 3,
            "batch_size": 4,
            "levels": ("L3", "T8"),
            "image_size": 64,
            "nb_blocks": 2,
            "nb_layers_per_block": 1,
            "nb_initial_filters": 4,
            "growth_rate": 4,
        }
        return SliceSelectionOptions(**(values | changes))

    return options


@pytest.fixture
def run_python():
    """Run code in a Python of its own, with one thread as the tests have."""

    def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run
