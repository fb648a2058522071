"""``plain_training TASK DATA_DIR MINUTES JUDGINGS OUT.csv [BATCH]``: a plain loop, with a clock.

The default network as one would write it first, trained as one would first: float32, operator by
operator, Adam at 1e-3, batches of 16 unless stated otherwise, no augmentation, no schedule, no
average. Loss, preprocessing and validation are those of bodycomp; validation is not timed.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.step_worker import plain_network
from bodycomp.data.datasets import Sample
from bodycomp.training.starting_point import task_for
from bodycomp.training.steps.evaluation_context import EvaluationContext
from bodycomp.training.task import Task
from bodycomp.training.task_options import SegmentationOptions, SliceSelectionOptions

RATE = 1e-3


def make_task(name: str, data_dir: Path) -> Task:
    kind = SegmentationOptions if name == "segmentation" else SliceSelectionOptions
    options = kind(data_dir=data_dir, output_dir=Path(), gpus=0, average=0.0)
    return task_for(options)


def endless(loader: DataLoader[Sample]) -> Iterator[Sample]:
    while True:
        yield from loader


def main(arguments: Sequence[str]) -> None:
    name, data_dir, out = arguments[0], Path(arguments[1]), Path(arguments[4])
    minutes, judgings = float(arguments[2]), int(arguments[3])
    batch = int(arguments[5]) if len(arguments) > 5 else 16
    torch.manual_seed(0)
    task = make_task(name, data_dir)
    network = plain_network("unet" if name == "segmentation" else "densenet")
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.1  # PyTorch's; Keras's 0.01 is unfair to short trainings
    splits = task.splits(task.card().preprocessing)
    context = EvaluationContext(torch.device("cpu"), "32-true", 16)
    batches = endless(DataLoader(splits.train, batch, shuffle=True, drop_last=True))
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    rows: list[dict[str, float | None]] = []
    spent_s, images_seen = 0.0, 0
    while spent_s < 60 * minutes:
        began = time.perf_counter()
        images, truth = next(batches)
        optimizer.zero_grad()
        torch.autograd.backward(task.loss(network(images), truth))
        optimizer.step()
        spent_s += time.perf_counter() - began
        images_seen += len(images)
        if spent_s >= 60 * minutes * (len(rows) + 1) / judgings:
            metrics = task.evaluate(network, splits.val, context).metrics
            rows.append({"minutes": spent_s / 60, "images": images_seen, **metrics})
            print(rows[-1], flush=True)
            with out.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
