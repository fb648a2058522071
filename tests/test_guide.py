"""The guide's commands, run as they stand, on phantom patients in the layouts that it shows."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bodycomp.cli import main
from bodycomp.data.slice_set import open_slice_split
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from bodycomp.phantom import Torso, sample_patient, sample_scan
from support.annotation_files import (
    markups,
    nifti_map,
    rtstruct,
    save_nifti,
    seg_nrrd,
    slice_outlines,
)
from support.no_pictures import leave_pictures_out
from support.small_slices import make_slices_small

pytestmark = pytest.mark.slow

GUIDE = (Path(__file__).parents[1] / "docs" / "guide.md").read_text(encoding="utf-8")
PATIENTS = 7
SLICES = 16
MATRIX = 96

QUICK = {
    "train segmentation": "-e 1 -C 2 4 -M 2 -b 4 -g 0",
    "train slice-selection": "-e 1 --nb_blocks 1 --nb_layers_per_block 1 --growth_rate 2 -b 8 -g 0",
    "prepare segmentation": "--jobs 1",
    "prepare slice-selection": "--jobs 1",
}
"""What makes a step short enough for a test; everything else is as the guide has it."""


@dataclass(frozen=True, eq=False)
class Patient:
    """A phantom about L3 that somebody outlined on a few slices."""

    name: str
    volume: Volume
    drawn: NDArray[np.uint8]
    l3_z_mm: float


def make_patient(index: int) -> Patient:
    person = sample_patient(3, index)
    scan = sample_scan(person)
    torso = Torso(person)
    level = round(float(torso.level_z_mm["L3"]), 1)
    start = level - 5.0 * (SLICES // 2)
    volume, labels = torso.render(
        replace(
            scan,
            matrix=(MATRIX, MATRIX),
            pixel_spacing_mm=round(scan.pixel_spacing_mm * 512 / MATRIX, 4),
            slice_spacing_mm=5.0,
            slice_thickness_mm=5.0,
            z_start_mm=start,
            z_end_mm=start + 5.0 * (SLICES - 1),
        )
    )
    drawn = labels.copy()
    drawn[np.abs(volume.slice_z_mm - level) > 11] = 0  # five slices
    return Patient(f"A{index + 1:02d}", volume, drawn, level)


@pytest.fixture(scope="module")
def patients() -> list[Patient]:
    return [make_patient(index) for index in range(PATIENTS)]


def commands(*headings: str) -> list[list[str]]:
    """Return the commands of some sections of the guide."""
    found = []
    for heading in headings:
        section = GUIDE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        for block in re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [shlex.split(line) for line in lines if line.strip()]
    return found


def dicom(patient: Patient, folder: Path) -> tuple[Path, ...]:
    header = SeriesHeader(seed=patient.name, patient_id=patient.name)
    return write_ct_series(folder, patient.volume, header)


def level_table(patients: list[Patient], column: str, value: Callable[[Patient], object]) -> None:
    rows = [f"{patient.name},L3,{value(patient)}\n" for patient in patients]
    Path("study/levels.csv").write_text(f"patient,level,{column}\n{''.join(rows)}")


def slicer(patients: list[Patient]) -> None:
    for folder in ("drawn", "markups"):
        Path("study", folder).mkdir(parents=True)
    segments = [("Muscle", 1, 0), ("SAT", 2, 0), ("VAT", 3, 0)]
    for patient in patients:
        dicom(patient, Path("study/scans", patient.name))
        path = Path("study/drawn", f"{patient.name}.seg.nrrd")
        seg_nrrd(path, [patient.drawn], patient.volume, segments)
        point = (0.0, 0.0, patient.l3_z_mm)
        markups(Path("study/markups", f"{patient.name}.mrk.json"), {"L3": point}, system="RAS")


def itk_snap(patients: list[Patient]) -> None:
    from support.annotation_files import index_to_lps  # noqa: PLC0415

    for folder in ("scans", "drawn"):
        Path("study", folder).mkdir(parents=True)
    for patient in patients:
        voxels = patient.volume.hu.transpose(2, 1, 0)
        path = Path("study/scans", f"{patient.name}.nii.gz")
        save_nifti(path, voxels, index_to_lps(patient.volume))
        nifti_map(Path("study/drawn", f"{patient.name}.nii.gz"), patient.drawn, patient.volume)
    level_table(patients, "slice_index", lambda p: p.volume.nearest_slice(p.l3_z_mm) + 1)


def contours(patients: list[Patient]) -> None:
    Path("study/dicom").mkdir(parents=True)
    names = {1: "Muscle", 2: "Subcutaneous fat", 3: "Visceral fat"}
    for patient in patients:
        files = dicom(patient, Path("study/dicom", patient.name))
        regions = {
            name: slice_outlines(patient.drawn, label, patient.volume)
            for label, name in names.items()
        }
        rtstruct(Path("study/dicom", f"RS.{patient.name}.dcm"), regions, files)
    level_table(patients, "z_mm", lambda patient: patient.l3_z_mm)


@pytest.mark.parametrize(
    ("heading", "arrange"),
    [("3D Slicer", slicer), ("ITK-SNAP", itk_snap), ("RTSTRUCT", contours)],
    ids=["slicer", "itk-snap", "rtstruct"],
)
def test_the_guide_leads_to_a_training(
    heading: str,
    arrange: Callable[[list[Patient]], None],
    patients: list[Patient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    leave_pictures_out(monkeypatch.setattr)
    make_slices_small(monkeypatch.setattr)
    arrange(patients)
    last = ("Check", "Look", "Train") if heading == "3D Slicer" else ("Check",)
    steps = commands(heading, *last)
    assert len(steps) >= 5
    for program, *arguments in steps:
        assert program == "bodycomp"
        short = QUICK.get(" ".join(arguments[:2]), "").split()
        assert main([*arguments, *short]) == 0, arguments
    for split in ("train", "val", "test"):
        opened = open_slice_split(tmp_path / "sets" / "slice-selection", split, ["L3"])
        assert opened is not None
        assert np.abs(opened.offsets_mm).min() <= 2.51  # a slice lies at L3, within half a spacing
    if "Train" in last:
        assert (tmp_path / "sets" / "segmentation-show.html").is_file()
        assert (tmp_path / "models" / "segmentation" / "model" / "card.json").is_file()
        assert (tmp_path / "models" / "slice-selection" / "model" / "card.json").is_file()


def test_every_command_of_the_guide_is_among_those_that_are_run() -> None:
    blocks = "".join(re.findall(r"```sh\n(.*?)```", GUIDE, flags=re.DOTALL))
    run = commands("3D Slicer", "ITK-SNAP", "RTSTRUCT", "Check", "Look", "Train")
    assert len(re.findall(r"^bodycomp", blocks, flags=re.MULTILINE)) == len(run)
