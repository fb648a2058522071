"""A segmentation training set -> nnU-Net's folders, planned and preprocessed.

Runs in nnU-Net's environment: ``prepare.py DATA_DIR FOLDER``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

DATASET = "Dataset001_bodycomp"


def main(data_dir: Path, folder: Path) -> None:
    raw = folder / "raw" / DATASET
    names: dict[str, list[str]] = {}
    for split in ("train", "val"):
        images = np.load(data_dir / f"{split}_images.npy", mmap_mode="r")
        masks = np.load(data_dir / f"{split}_masks.npy", mmap_mode="r")
        names[split] = [f"{split}_{index:05d}" for index in range(len(images))]
        for name, image, mask in zip(names[split], images, masks, strict=True):
            _write(raw / "imagesTr" / f"{name}_0000.nii.gz", image[..., 0].astype(np.int16))
            _write(raw / "labelsTr" / f"{name}.nii.gz", mask[..., 0])
    labels = ("background", "muscle", "subcutaneous_fat", "visceral_fat")
    description = {
        "channel_names": {"0": "CT"},
        "labels": {label: index for index, label in enumerate(labels)},
        "numTraining": sum(map(len, names.values())),
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(description))
    paths = {f"nnUNet_{key}": str(folder / key) for key in ("raw", "preprocessed", "results")}
    subprocess.run(
        [
            *(Path(sys.executable).parent / "nnUNetv2_plan_and_preprocess", "-d", "1", "-c", "2d"),
            *("-np", "2", "-npfp", "2"),
        ],
        check=True,
        env=os.environ | paths,
    )
    splits = folder / "preprocessed" / DATASET / "splits_final.json"
    splits.write_text(json.dumps([{"train": names["train"], "val": names["val"]}]))


def _write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array.T, np.eye(4))  # type: ignore[no-untyped-call] # nibabel's own
    nib.save(image, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
