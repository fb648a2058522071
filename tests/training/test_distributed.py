"""Two processes that share each batch against one process with the same batches, on the CPU."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
import torch

from bodycomp.training.fit import train_segmentation, train_slice_selection

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
        reason="this PyTorch has no gloo",
    ),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX processes"),
]


def read_rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def assert_equal_within_rounding(one: Path, two: Path, absolute: float = 1e-6) -> None:
    states = [
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (one, two)
    ]
    for name, weight in states[0]["state_dict"].items():
        torch.testing.assert_close(
            states[1]["state_dict"][name], weight, rtol=1e-3, atol=absolute, msg=name
        )
    for name, average in states[0]["bodycomp_average"].items():
        torch.testing.assert_close(
            states[1]["bodycomp_average"][name], average, rtol=1e-3, atol=absolute, msg=name
        )
    rows = [read_rows(run) for run in (one, two)]
    assert len(rows[0]) == len(rows[1])  # one writer
    for row, other in zip(*rows, strict=True):
        for key in row.keys() - {"images_per_s", "elapsed_s"}:
            assert float(other[key] or "nan") == pytest.approx(
                float(row[key] or "nan"), rel=1e-3, abs=10 * absolute, nan_ok=True
            ), key


def test_two_processes_train_as_one(tiny_densenet):
    """12 samples in batches of 5: uneven shares; 9 validation samples: uneven too."""
    changes = {"omit_batch_norm": True, "augmentation": False, "batch_size": 5, "precision": "32"}
    one = train_slice_selection(tiny_densenet(name="one", gpus=0, **changes))
    two = train_slice_selection(tiny_densenet(name="two", gpus=0, processes=2, **changes))
    assert_equal_within_rounding(one, two)
    manifest = json.loads((two / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["exit_state"] == "finished"
    assert "2 processes" in manifest["device"]


def test_two_processes_share_the_statistics_of_batch_norm(tiny_unet_512):
    """One batch has one sample for two processes: one of them takes part with weight 0.

    AdamW would hide the agreement: it makes full steps of the rounding noise that is the gradient
    of a bias before a batch norm.
    """
    changes = {"gpus": 0, "augmentation": False, "batch_size": 2, "epochs": 1, "precision": "32"}
    changes |= {"optimizer": "sgd", "learning_rate": 0.05}
    one = train_segmentation(tiny_unet_512(name="one", **changes))
    two = train_segmentation(tiny_unet_512(name="two", processes=2, **changes))
    # One process has the fused kernels, two have plain layers: rounding differs more.
    assert_equal_within_rounding(one, two, absolute=1e-4)
