"""Annotations of a scan with a tilted gantry lie on its pixels, as on any other scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bodycomp.annotation.levels import read_levels
from bodycomp.annotation.masks import read_masks
from bodycomp.errors import SeriesError
from bodycomp.nifti import write_nifti_labels
from support.annotation_files import (
    TISSUE_NAMES,
    TISSUES,
    Case,
    dicom_case,
    dicom_seg,
    markups,
    nifti_map,
    png_folder,
    rtstruct,
    seg_nrrd,
    slice_outlines,
    small_phantom,
)
from support.tilted_phantom import tilted


@pytest.fixture(scope="module", params=[-20.0, 18.5])
def leaning(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Twelve slices, 6 mm apart along the table."""
    volume, labels = tilted(*small_phantom(slices=40, matrix=96), request.param, 12, 6.0)
    return dicom_case(tmp_path_factory.mktemp("tilted") / "ct", volume, labels)


FORMATS = {
    "SEG": lambda path, c: dicom_seg(path / "s.dcm", c.labels, c.scan.files),
    "NIfTI": lambda path, c: nifti_map(path / "s.nii.gz", c.labels, c.scan.volume),
    "Slicer": lambda path, c: seg_nrrd(
        path / "s.seg.nrrd", [c.labels], c.scan.volume, [(n, k, 0) for k, n in TISSUE_NAMES.items()]
    ),
    "PNG by UID": lambda path, c: png_folder(path / "s", c.labels, c.scan.sop_instance_uids),
}


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_masks_give_back_exactly_the_labels(tmp_path: Path, leaning: Case, write: object) -> None:
    masks = read_masks([write(tmp_path, leaning)], leaning.scan, TISSUES)
    np.testing.assert_array_equal(masks.labels, leaning.labels)


def test_own_masks_give_back_exactly_the_labels(tmp_path: Path, leaning: Case) -> None:
    write_nifti_labels(tmp_path / "labels.nii.gz", leaning.scan.volume, leaning.labels)
    masks = read_masks([tmp_path / "labels.nii.gz"], leaning.scan, TISSUES)
    np.testing.assert_array_equal(masks.labels, leaning.labels)


def test_contours_give_back_the_labels(tmp_path: Path, leaning: Case) -> None:
    regions = {
        name: slice_outlines(leaning.labels, label, leaning.scan.volume)
        for label, name in TISSUE_NAMES.items()
    }
    path = rtstruct(tmp_path / "rs.dcm", regions, leaning.scan.files)
    masks = read_masks([path], leaning.scan, TISSUES)
    assert (masks.labels != leaning.labels).mean() < 1e-3


def test_upright_label_map_is_refused(tmp_path: Path, leaning: Case) -> None:
    """As if the slices were stacked along their normal, which converters assume."""
    upright = replace(leaning.scan.volume, stack_direction=None)
    path = nifti_map(tmp_path / "s.nii.gz", leaning.labels, upright)
    with pytest.raises(SeriesError, match="do not coincide"):
        read_masks([path], leaning.scan, TISSUES)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (70, 40), (95, 95)])
def test_landmark_on_a_slice_means_this_slice(
    tmp_path: Path, leaning: Case, row: int, column: int
) -> None:
    volume = leaning.scan.volume
    row_mm, column_mm = volume.pixel_spacing_mm
    x, y, z = (float(v) for v in volume.first_pixels_mm[5])
    *_, cosine, sine = volume.orientation
    point = (x + column * column_mm, y + row * row_mm * cosine, z + row * row_mm * sine)
    marks = read_levels(markups(tmp_path / "l.mrk.json", {"L3": point}), leaning.scan)
    assert marks.z_mm["L3"] == pytest.approx(volume.slice_z_mm[5], abs=1e-3)


def test_level_given_by_its_z_is_refused(tmp_path: Path, leaning: Case) -> None:
    path = tmp_path / "levels.csv"
    path.write_text(f"level,z_mm\nL3,{leaning.scan.volume.slice_z_mm[5]}\n")
    with pytest.raises(SeriesError, match="expected axial slices for a level given by its z"):
        read_levels(path, leaning.scan)
    path.write_text("level,slice_index\nL3,5\n")
    assert read_levels(path, leaning.scan).z_mm["L3"] == leaning.scan.volume.slice_z_mm[5]
