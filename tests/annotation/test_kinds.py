"""What files are, where volumes lie, and which series an annotation names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bodycomp.annotation.dicom_layers import referenced_series
from bodycomp.annotation.levels import read_levels
from bodycomp.annotation.masks import read_masks
from bodycomp.errors import InputNotFoundError, SeriesError
from bodycomp.reading.kinds import Kind, kind_of, volume_header
from support.annotation_files import (
    TISSUE_NAMES,
    TISSUES,
    Case,
    dicom_seg,
    index_to_lps,
    markups,
    mask_folder,
    nifti_map,
    nrrd_map,
    png_folder,
    rtstruct,
    seg_nrrd,
)


def test_every_kind_is_told(tmp_path: Path, case: Case) -> None:
    volume, labels, files = case.scan.volume, case.labels, case.scan.files
    (tmp_path / "levels.csv").write_text("level,z_mm\n")
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "folder").mkdir()
    alone = tmp_path / "alone"
    alone.mkdir()
    dicom_seg(alone / "1.dcm", labels, files)
    segments = [(name, label, 0) for label, name in TISSUE_NAMES.items()]
    expected = {
        case.folder: Kind.DICOM_SERIES,
        case.folder.parent: Kind.DICOM_SERIES,
        dicom_seg(tmp_path / "seg", labels, files): Kind.SEG,
        alone: Kind.SEG,
        rtstruct(tmp_path / "rs.dcm", {}, files): Kind.RTSTRUCT,
        nifti_map(tmp_path / "m.nii", labels, volume): Kind.NIFTI,
        nifti_map(tmp_path / "M.NII.GZ", labels, volume): Kind.NIFTI,
        nrrd_map(tmp_path / "m.nrrd", labels, volume): Kind.NRRD,
        seg_nrrd(tmp_path / "m.seg.nrrd", [labels], volume, segments): Kind.NRRD,
        png_folder(tmp_path / "png", labels[:1], ["0"]): Kind.PNG_FOLDER,
        mask_folder(tmp_path / "masks", {"muscle": labels}, volume): Kind.MASK_FOLDER,
        markups(tmp_path / "l.mrk.json", {}): Kind.MARKUPS,
        tmp_path / "levels.csv": Kind.LEVEL_TABLE,
        tmp_path / "notes.txt": Kind.UNKNOWN,
        tmp_path / "folder": Kind.UNKNOWN,
        files[0]: Kind.DICOM_SERIES,
    }
    assert {path: kind_of(path) for path in expected} == expected
    with pytest.raises(InputNotFoundError):
        kind_of(tmp_path / "absent")


def test_headers_tell_where_volumes_lie(tmp_path: Path, case: Case) -> None:
    volume, labels = case.scan.volume, case.labels
    for path in (
        nifti_map(tmp_path / "m.nii.gz", labels, volume),
        nrrd_map(tmp_path / "m.nrrd", labels, volume),
        nrrd_map(tmp_path / "m.nhdr", labels, volume),
    ):
        grid = volume_header(path)
        assert grid.shape == labels.shape[::-1]
        np.testing.assert_allclose(grid.affine, index_to_lps(volume), atol=1e-4)
    assert volume_header(case.folder) is None


def test_seg_and_rtstruct_name_their_series(tmp_path: Path, case: Case) -> None:
    scan = case.scan
    for path in (
        dicom_seg(tmp_path / "seg", case.labels, scan.files),
        rtstruct(tmp_path / "rs", {}, scan.files),
    ):
        found = referenced_series(path)
        assert found.series_uid == scan.series_uid
        assert found.study_uid == scan.study_uid
        assert found.frame_of_reference_uid == scan.frame_of_reference_uid
        assert scan.series_uid not in repr(found)
    assert referenced_series(nifti_map(tmp_path / "m.nii", case.labels, scan.volume)) is None
    assert referenced_series(case.folder) is None


def test_a_broken_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.nrrd").write_bytes(b"NRRD0004\ntype: what")
    with pytest.raises(SeriesError, match=r"m\.nrrd"):
        volume_header(tmp_path / "m.nrrd")
    (tmp_path / "m.nii").write_bytes(b"no image")
    with pytest.raises(SeriesError, match=r"m\.nii"):
        volume_header(tmp_path / "m.nii")


LEFT_BY_SYSTEMS = ["Thumbs.db", "desktop.ini", ".DS_Store", "._muscle.nii.gz", "Desktop.ini"]
OF_TOTALSEGMENTATOR = ["statistics.json", "statistics_radiomics.json", "preview_total.png"]


def test_files_that_systems_and_programs_leave_are_passed_over(tmp_path: Path, case: Case) -> None:
    volume, labels, files = case.scan.volume, case.labels, case.scan.files
    folders = {
        mask_folder(tmp_path / "masks", {"muscle": labels == 1}, volume): Kind.MASK_FOLDER,
        png_folder(tmp_path / "png", labels[:1], ["0"]): Kind.PNG_FOLDER,
        tmp_path / "seg": Kind.SEG,
    }
    (tmp_path / "seg").mkdir()
    dicom_seg(tmp_path / "seg" / "1.dcm", labels, files)
    for folder in folders:
        for name in [*LEFT_BY_SYSTEMS, *OF_TOTALSEGMENTATOR]:
            (folder / name).write_bytes(b"\xd0\xcf\x11\xe0")
    assert {folder: kind_of(folder) for folder in folders} == folders
    for folder in folders:
        assert read_masks([folder], case.scan, TISSUES).labels.any()


@pytest.mark.parametrize("name", ["README", "notes.txt", "labels.json", "t1.dcm"])
def test_other_files_among_masks_are_named(tmp_path: Path, case: Case, name: str) -> None:
    masks = mask_folder(tmp_path / "masks", {"muscle": case.labels == 1}, case.scan.volume)
    pictures = png_folder(tmp_path / "png", case.labels[:1], ["0"])
    for folder in (masks, pictures):
        (folder / name).write_text("text")
        with pytest.raises(SeriesError, match=rf"found 1 mask beside {name}") as refusal:
            read_masks([folder], case.scan, TISSUES)
        assert "Move the other files out" in refusal.value.hint
        with pytest.raises(SeriesError, match=rf"expected levels .* beside {name}"):
            read_levels(folder, case.scan)
