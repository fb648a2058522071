"""Train 2-D nnU-Net for some minutes and write its Dice as time goes by.

Runs in nnU-Net's environment, after ``prepare.py``: ``train.py FOLDER MINUTES JUDGINGS OUT.csv``.

Network, loss, augmentation, optimiser and rate are nnU-Net's own; three things are shortened: the
batch has ``BATCH`` slices, the fewest that nnU-Net plans, the polynomial schedule runs with the
time, and validation is left out of it. Dice is over all pixels of the validation slices, without
mirroring.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

DATASET = "Dataset001_bodycomp"
BATCH = 2
TISSUES = ("muscle", "subcutaneous_fat", "visceral_fat")


def main(folder: Path, minutes: float, judgings: int, out: Path) -> None:
    os.environ |= {f"nnUNet_{key}": str(folder / key) for key in ("raw", "preprocessed", "results")}
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_compile": "f"}
    import torch  # noqa: PLC0415 - nnU-Net reads its variables when it is imported
    from batchgenerators.utilities.file_and_folder_operations import load_json  # noqa: PLC0415
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer  # noqa: PLC0415

    torch.manual_seed(0)
    preprocessed = folder / "preprocessed" / DATASET
    plans = load_json(str(preprocessed / "nnUNetPlans.json")) | {"continue_training": False}
    plans["configurations"]["2d"]["batch_size"] = BATCH
    trainer = nnUNetTrainer(
        plans, "2d", 0, load_json(str(preprocessed / "dataset.json")), torch.device("cpu")
    )
    trainer.on_train_start()
    _, validation = trainer.get_tr_and_val_datasets()
    rows: list[dict[str, float]] = []
    spent_s, steps = 0.0, 0
    while spent_s < 60 * minutes:
        began = time.perf_counter()
        share = spent_s / (60 * minutes)
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer.initial_lr * (1 - share) ** 0.9
        trainer.network.train()
        trainer.train_step(next(trainer.dataloader_train))
        spent_s += time.perf_counter() - began
        steps += 1
        if spent_s >= 60 * minutes * (len(rows) + 1) / judgings:
            dice = validate(trainer, validation)
            rows.append({"minutes": spent_s / 60, "images": steps * BATCH, **dice})
            print(rows[-1], flush=True)
            with out.open("w", newline="") as stream:
                writer = csv.DictWriter(stream, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
    for loader in multiprocessing.active_children():
        loader.kill()  # they load for ever
    os._exit(0)  # what waits for them would wait for ever, too


def validate(trainer: Any, validation: Any) -> dict[str, float]:
    """Return Dice per tissue over all pixels of the validation slices, and their mean."""
    import torch  # noqa: PLC0415

    trainer.network.eval()
    counts = np.zeros((len(TISSUES), 3))
    for name in validation.identifiers:
        data, mask, *_ = validation.load_case(name)
        with torch.no_grad():
            output = trainer.network(torch.from_numpy(np.array(data[:, 0]))[None].float())
        labels = (output[0] if isinstance(output, (list, tuple)) else output)[0].argmax(0).numpy()
        truth = np.array(mask)[0, 0]
        for index in range(len(TISSUES)):
            found, real = labels == index + 1, truth == index + 1
            counts[index] += (found & real).sum(), found.sum(), real.sum()
    dice = 2 * counts[:, 0] / (counts[:, 1] + counts[:, 2])
    return {"dice_mean": float(dice.mean())} | {
        f"dice_{tissue}": float(value) for tissue, value in zip(TISSUES, dice, strict=True)
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
