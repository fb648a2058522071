"""Suggest, outline, prepare, fine-tune, suggest again: on phantoms, whose truth is outlined."""

import nibabel
import numpy as np
import pytest

import bodycomp
from bodycomp.nifti import write_nifti_labels, write_nifti_volume
from support.annotation_files import small_phantom
from support.factories import make_segmentation_set
from support.no_pictures import leave_pictures_out
from support.small_slices import make_slices_small

PATIENTS = 4
TINY = {"compression_channels": (2, 4), "decompression_channels": (2,)}


@pytest.fixture
def cohort(tmp_path):
    """Phantoms as NIfTI, and their truth elsewhere, by the HU of the slices."""
    truth = {}
    for number in range(PATIENTS):
        volume, labels = small_phantom(slices=10, matrix=64, seed=number)
        write_nifti_volume(tmp_path / "scans" / f"{number}.nii.gz", volume)
        write_nifti_labels(tmp_path / "truth.nii.gz", volume, labels)
        drawn = np.asarray(nibabel.load(tmp_path / "truth.nii.gz").dataobj)
        read = np.asarray(nibabel.load(tmp_path / "scans" / f"{number}.nii.gz").dataobj)
        for plane in range(10):
            truth[read[..., plane].tobytes()] = drawn[..., plane]
    return truth


def outline(folder, truth):
    """Draw what is true where the model has an outline, as a person does, and save it."""
    scan, start = (nibabel.load(folder / f"{name}.nii.gz") for name in ("scan", "start"))
    labels = np.asarray(start.dataobj).copy()
    (plane,) = np.unique(np.nonzero(labels)[2])
    labels[..., plane] = truth[np.asarray(scan.dataobj)[..., plane].tobytes()]
    nibabel.save(nibabel.Nifti1Image(labels, start.affine), folder / "outline.nii.gz")


def test_the_loop_runs_from_unannotated_scans_to_the_next_suggestions(
    cohort, tmp_path, monkeypatch
):
    leave_pictures_out(monkeypatch.setattr)
    make_slices_small(monkeypatch.setattr)
    torsos = make_segmentation_set(tmp_path / "torsos", {"train": 4, "val": 2})
    shared = {"epochs": 1, "batch_size": 2, "gpus": 0, **TINY}
    model = bodycomp.train_segmentation(torsos, tmp_path / "first", name="segmentation", **shared)
    next_ones, seen = tmp_path / "next", set()
    for turn in range(2):
        report = bodycomp.suggest(
            tmp_path / "scans",
            next_ones,
            models=model.parent,
            all_slices=True,
            spacing_mm=25,
            count=2,
            device="cpu",
            add=turn > 0,
        )
        patients = {each.patient for each in report.suggestions}
        assert len(patients) == 2
        assert not patients & seen
        seen |= patients
        for each in report.suggestions:
            outline(next_ones / each.folder, cohort)
        data = tmp_path / f"set-{turn}"
        bodycomp.prepare_segmentation(next_ones / "cases.yaml", data, jobs=1, split=(0.6, 0.4, 0))
        model = bodycomp.train_segmentation(
            data,
            tmp_path / f"tuned-{turn}",
            name="segmentation",
            load_weights=model,
            learning_rate=1e-3,
            **shared,
        )
    drawn = sum(len(np.load(data / f"{split}_masks.npy")) for split in ("train", "val"))
    assert drawn == PATIENTS
