"""Phantom patients as annotated studies come back as the training sets that the phantom writes.

The phantom writes its training sets straight from what it renders. The same patients, as DICOM with
masks in the formats of annotation tools, must give the same files by way of ``bodycomp prepare``.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bodycomp.annotation.labels import LabelMapping
from bodycomp.cli import main
from bodycomp.cohort.study import PatientTruth, read_truth
from bodycomp.data.layout import SPLITS
from bodycomp.data.segmentation_set import open_segmentation_split
from bodycomp.data.slice_set import open_slice_split
from bodycomp.nifti import write_nifti_labels
from bodycomp.reading.read_scan import read_scan
from bodycomp.scan import Scan
from support.annotation_files import TISSUE_NAMES, dicom_seg, rtstruct, seg_nrrd, slice_outlines

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cohort")]

REACH_MM = 40.0
"""Masks are drawn a little farther from L3 than the training set reaches."""

BY_NAME = [f"{name}={name}" for name in TISSUE_NAMES.values()]
BY_NUMBER = [f"{number}={name}" for number, name in TISSUE_NAMES.items()]


@dataclass(frozen=True, eq=False)
class Study:
    """One phantom patient as an annotator sees it."""

    truth: PatientTruth
    folder: Path
    scan: Scan
    labels: NDArray[np.uint8]


@pytest.fixture(scope="module")
def studies(cohort: Path) -> list[Study]:
    from bodycomp.annotation.masks import read_masks  # noqa: PLC0415

    found = []
    for truth in read_truth(cohort):
        folder = cohort / "dicom" / truth.patient
        scan = read_scan(folder, series=truth.series_uid)
        whole = cohort / "truth" / truth.patient / "labels.nii.gz"
        labels = read_masks([whole], scan, LabelMapping.parse(BY_NUMBER)).labels.copy()
        labels[np.abs(scan.volume.slice_z_mm - truth.level_z_mm["L3"]) > REACH_MM] = 0
        found.append(Study(truth, folder, scan, labels))
    return found


def as_nifti(study: Study, folder: Path) -> Path:
    path = folder / f"{study.truth.patient}.nii.gz"
    write_nifti_labels(path, study.scan.volume, study.labels)
    return path


def as_seg(study: Study, folder: Path) -> Path:
    return dicom_seg(folder / f"{study.truth.patient}.dcm", study.labels, study.scan.files)


def as_slicer(study: Study, folder: Path) -> Path:
    path = folder / f"{study.truth.patient}.seg.nrrd"
    segments = [(name, number, 0) for number, name in TISSUE_NAMES.items()]
    return seg_nrrd(path, [study.labels], study.scan.volume, segments)


def as_rtstruct(study: Study, folder: Path) -> Path:
    regions = {
        name: slice_outlines(study.labels, number, study.scan.volume)
        for number, name in TISSUE_NAMES.items()
    }
    return rtstruct(folder / f"{study.truth.patient}.dcm", regions, study.scan.files)


Writer = Callable[[Study, Path], Path]


def prepare(
    studies: list[Study], write: Writer, labels: list[str], folder: Path, *kinds: str
) -> Path:
    """Write annotations and a cases table, and prepare sets from them alone."""
    rows = []
    levels = folder / "levels.csv"
    with levels.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["patient", "level", "z_mm"])
        for study in studies:
            truth = study.truth
            table.writerows([truth.patient, *item] for item in truth.level_z_mm.items())
            masks = write(study, folder)
            row = (truth.patient, study.folder, masks, levels, truth.series_uid, truth.split)
            rows.append([str(cell) for cell in row])
    cases = folder / "cases.csv"
    with cases.open("w", newline="") as stream:
        header = ["patient", "scan", "masks", "levels", "series", "split"]
        csv.writer(stream).writerows([header, *rows])
    thinning = ["--spacing-mm", "4", "--jobs", "1"]
    options = {
        "segmentation": [
            *("--slices", "all", "--around", "L3", "--reach-mm", "30"),
            *("--labels", *labels),
        ],
        "slice-selection": ["--near-mm", "70", "--far-stride", "3"],
    }
    for kind in kinds:
        out = str(folder / kind)
        assert main(["prepare", kind, str(cases), out, *thinning, *options[kind]]) == 0
    return folder


def weights_after_training(data_dir: Path, out: Path) -> bytes:
    options = [
        "-e",
        "1",
        "-b",
        "4",
        "-C",
        "2",
        "4",
        "-M",
        "2",
        "-g",
        "0",
        "-a",
        "run",
        "--seed",
        "7",
    ]
    assert main(["train", "segmentation", str(data_dir), str(out), *options]) == 0
    return (out / "run" / "model" / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("write", "labels"),
    [(as_nifti, BY_NUMBER), (as_seg, BY_NAME), (as_slicer, BY_NAME)],
    ids=["nifti", "dicom-seg", "slicer"],
)
def test_masks_on_the_pixel_grid_come_back_exactly(
    write: Writer,
    labels: list[str],
    studies: list[Study],
    cohort: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared = prepare(studies, write, labels, tmp_path, "segmentation")
    for split in SPLITS:
        ours = open_segmentation_split(prepared / "segmentation", split)
        theirs = open_segmentation_split(cohort / "segmentation", split)
        assert ours is not None
        assert theirs is not None
        np.testing.assert_array_equal(ours.images, theirs.images)
        np.testing.assert_array_equal(ours.masks, theirs.masks)
    if write is as_seg:  # the same bytes train the same model, whoever wrote them
        from support.no_pictures import leave_pictures_out  # noqa: PLC0415 - it imports PyTorch

        leave_pictures_out(monkeypatch.setattr)
        assert weights_after_training(prepared / "segmentation", tmp_path / "ours") == (
            weights_after_training(cohort / "segmentation", tmp_path / "theirs")
        )


def test_levels_come_back_with_the_same_slices(
    studies: list[Study], cohort: Path, tmp_path: Path
) -> None:
    prepared = prepare(studies, as_nifti, BY_NUMBER, tmp_path, "slice-selection")
    for split in SPLITS:
        header = (
            (prepared / "slice-selection" / "meta" / f"{split}.csv").read_text().splitlines()[0]
        )
        levels = [name.partition("_")[2] for name in header.split(",") if "ZOffset" in name]
        ours = open_slice_split(prepared / "slice-selection", split, levels)
        theirs = open_slice_split(cohort / "slice-selection", split, levels)
        assert ours is not None
        assert theirs is not None
        assert "L3" in levels
        np.testing.assert_array_equal(ours.offsets_mm, theirs.offsets_mm)
        assert [ours.png_path(i).read_bytes() for i in range(len(ours))] == [
            theirs.png_path(i).read_bytes() for i in range(len(theirs))
        ]


def test_contours_come_back_within_the_pixel_edge(
    studies: list[Study], cohort: Path, tmp_path: Path
) -> None:
    """Of one patient: drawing contours takes as long as everything else here."""
    (study,) = (each for each in studies if each.truth.split == "train")
    prepared = prepare([study], as_rtstruct, BY_NAME, tmp_path, "segmentation")
    ours = open_segmentation_split(prepared / "segmentation", "train")
    theirs = open_segmentation_split(cohort / "segmentation", "train")
    assert ours is not None
    assert theirs is not None
    np.testing.assert_array_equal(ours.images, theirs.images)
    for number in TISSUE_NAMES:
        one, other = ours.masks == number, theirs.masks == number
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) >= 0.99
