"""Scans from DICOM, NIfTI and NRRD: the same patient as SimpleITK sees, in any orientation."""

from __future__ import annotations

import math
import random
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import InputNotFoundError, SeriesError, UsageError
from bodycomp.imaging.volume import Volume
from bodycomp.reading.read_scan import read_scan
from bodycomp.scan import Scan
from support.annotation_files import every_layout, index_to_lps, save_nifti, save_nrrd

VOLUME = Volume(
    np.random.default_rng(3).integers(-1024, 1500, (12, 9, 11)).astype(np.int16),
    (0.75, 0.5),
    -300.0 + 5.0 * np.arange(12),
    first_pixel_mm=(-40.25, -120.5, -300.0),
)
LAYOUTS = every_layout(VOLUME.hu.transpose(2, 1, 0), index_to_lps(VOLUME))
TILT = math.radians(10)
ORIENTATIONS = {
    "".join((swap, *flips)): (tuple(float(x) for x in np.array(rows)))
    for swap, pair in (("", (0, 1)), ("turned", (1, 0)))
    for flips, signs in (
        (("",), (1, 1)),
        (("rows",), (1, -1)),
        (("columns",), (-1, 1)),
        (("both",), (-1, -1)),
    )
    for rows in [(*(np.eye(3)[pair[0]] * signs[0]), *(np.eye(3)[pair[1]] * signs[1]))]
} | {"oblique": (1, 0, 0, 0, math.cos(TILT), math.sin(TILT))}


def point_mm(volume: Volume, index: tuple[int, int, int]) -> np.ndarray:
    """LPS position of (slice, row, column)."""
    column_row_slice = np.array([*index[::-1], 1.0])
    return (index_to_lps(volume) @ column_row_slice)[:3]


def assert_same_as_sitk(volume: Volume, image: Any, sitk: ModuleType) -> None:
    """Every voxel's value, and where it is, as SimpleITK says; its axes may run otherwise."""
    last = [n - 1 for n in volume.hu.shape]
    corners = [(0, 0, 0), (last[0], 0, 0), (0, last[1], 0), (0, 0, last[2])]
    indices = [
        image.TransformPhysicalPointToContinuousIndex(point_mm(volume, corner).tolist())
        for corner in corners
    ]
    start = np.array(indices[0])
    steps = [(np.array(end) - start) / n for end, n in zip(indices[1:], last, strict=True)]
    np.testing.assert_allclose(np.sort(np.abs(steps)), [[0, 0, 1]] * 3, atol=1e-3)
    order = np.argmax(np.abs(steps), axis=1)  # SimpleITK's axis for slice, row and column
    signs = np.sign(np.array(steps)[[0, 1, 2], order])
    values = sitk.GetArrayViewFromImage(image).transpose(2, 1, 0).transpose(order)
    values = values[tuple(slice(None, None, int(sign)) for sign in signs)]
    np.testing.assert_array_equal(values, volume.hu)
    begins = [0 if sign > 0 else n for sign, n in zip(signs, last, strict=True)]
    np.testing.assert_allclose(start[order], begins, atol=2e-2)
    ours = sorted([*volume.pixel_spacing_mm, float(np.linalg.norm(index_to_lps(volume)[:3, 2]))])
    np.testing.assert_allclose(ours, sorted(image.GetSpacing()), atol=1e-3)


def sitk_series(folder: Path, sitk: ModuleType) -> Any:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def shuffled(source: Path, target: Path) -> Path:
    """Copies under names that say nothing of their order."""
    rng = random.Random(1)
    target.mkdir()
    for file in source.iterdir():
        shutil.copy(file, target / f"{rng.getrandbits(64):x}")
    return target


def assert_same_scan(one: Scan, other: Scan) -> None:
    np.testing.assert_array_equal(one.volume.hu, other.volume.hu)
    np.testing.assert_array_equal(one.volume.slice_z_mm, other.volume.slice_z_mm)
    assert one.volume.pixel_spacing_mm == other.volume.pixel_spacing_mm
    assert one.volume.orientation == other.volume.orientation
    assert one.volume.first_pixel_mm == other.volume.first_pixel_mm
    assert one.sop_instance_uids == other.sop_instance_uids


def test_real_torso_equals_simpleitk_also_shuffled(
    real: Path, tmp_path: Path, sitk: ModuleType
) -> None:
    scan = read_scan(real / "torso_ct")
    assert_same_as_sitk(scan.volume, sitk_series(real / "torso_ct", sitk), sitk)
    assert len(scan.volume) == 99
    assert scan.volume.slice_spacing_mm == pytest.approx(4.25)
    assert scan.facts["sex"] == "F"
    assert scan.facts["kvp"] == "140"
    assert_same_scan(scan, read_scan(shuffled(real / "torso_ct", tmp_path / "copy")))


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
@pytest.mark.parametrize("first", ["head", "feet"])
def test_dicom_in_every_orientation_equals_simpleitk(
    tmp_path: Path, sitk: ModuleType, orientation: tuple[float, ...], first: str
) -> None:
    volume = replace(VOLUME, orientation=orientation)
    write_ct_series(tmp_path / "ct", volume, SeriesHeader(seed="s", first_instance=first))
    scan = read_scan(tmp_path / "ct")
    assert_same_as_sitk(scan.volume, sitk_series(tmp_path / "ct", sitk), sitk)
    np.testing.assert_array_equal(scan.volume.hu, VOLUME.hu)
    assert_same_scan(scan, read_scan(shuffled(tmp_path / "ct", tmp_path / "copy")))


@pytest.mark.parametrize(
    ("voxels", "affine"), [x[1:] for x in LAYOUTS], ids=[x[0] for x in LAYOUTS]
)
@pytest.mark.parametrize(("save", "name"), [(save_nifti, "ct.nii"), (save_nrrd, "ct.nrrd")])
def test_volume_files_in_all_48_layouts_equal_simpleitk(
    tmp_path: Path, sitk: ModuleType, voxels: np.ndarray, affine: np.ndarray, save: Any, name: str
) -> None:
    path = save(tmp_path / name, voxels, affine)
    scan = read_scan(path)
    assert_same_as_sitk(scan.volume, sitk.ReadImage(str(path)), sitk)
    assert scan.files == (path,) * 12
    assert scan.volume.hu.dtype == np.int16


def test_scan_knows_its_slices_and_facts(tmp_path: Path) -> None:
    header = SeriesHeader(
        seed="s",
        patient_id="p",
        patient_sex="M",
        manufacturer="Maker",
        model="Model",
        kernel="B30f",
        contrast_agent="Agent 350",
        slice_thickness_mm=4.0,
    )
    files = write_ct_series(tmp_path / "ct", VOLUME, header)
    scan = read_scan(tmp_path / "ct")
    assert scan.files == files
    assert scan.instance_numbers == tuple(range(12, 0, -1))
    assert scan.sop_instance_uids[0] == header.instance_uid(12)
    assert (scan.series_uid, scan.study_uid) == (header.uid("series"), header.uid("study"))
    assert (scan.frame_of_reference_uid, scan.patient_id) == (header.uid("frame"), "p")
    assert scan.facts == {
        "sex": "M",
        "manufacturer": "Maker",
        "scanner": "Model",
        "kernel": "B30f",
        "kvp": "120",
        "slice_thickness_mm": "4",
        "contrast": "yes",
    }
    assert "1.2" not in repr(scan)
    assert "'p'" not in repr(scan)


def test_several_series_need_a_choice(tmp_path: Path) -> None:
    for number in (2, 3):
        header = SeriesHeader(seed="s", series_number=number, series_description=f"kernel {number}")
        write_ct_series(tmp_path / "ct" / str(number), VOLUME, header)
    with pytest.raises(SeriesError) as refusal:
        read_scan(tmp_path / "ct")
    assert refusal.value.message == (
        "ct: expected one CT series, found 2:\n"
        "  series 2 (kernel 2): 12 slices 5.00 mm apart\n"
        "  series 3 (kernel 3): 12 slices 5.00 mm apart"
    )
    assert "Choose one by its SeriesInstanceUID" in refusal.value.hint
    for chosen in (header.uid("series"), "3"):
        assert read_scan(tmp_path / "ct", series=chosen).series_uid == header.uid("series")
    with pytest.raises(SeriesError, match="expected the series that was chosen, found"):
        read_scan(tmp_path / "ct", series="1.2.3")


def test_what_is_no_scan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="found nothing at"):
        read_scan(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SeriesError, match="expected an axial CT series, found none in 0 files"):
        read_scan(tmp_path / "empty")
    (tmp_path / "notes.txt").write_text("no scan")
    with pytest.raises(SeriesError, match=r"notes\.txt: expected a scan as DICOM images"):
        read_scan(tmp_path / "notes.txt")
    thin = replace(VOLUME, hu=VOLUME.hu[:3], slice_z_mm=VOLUME.slice_z_mm[:3])
    write_ct_series(tmp_path / "few", thin, SeriesHeader(seed="s"))
    with pytest.raises(SeriesError, match="expected at least 10 slices, found 3"):
        read_scan(tmp_path / "few")
    path = save_nifti(tmp_path / "ct.nii", VOLUME.hu.transpose(2, 1, 0), index_to_lps(VOLUME))
    with pytest.raises(UsageError, match="can be chosen from DICOM folders alone"):
        read_scan(path, series="1")
