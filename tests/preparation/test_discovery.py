"""A folder of scans and annotations becomes a draft; what is not certain is said, not guessed."""

import csv
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bodycomp.cli import main
from bodycomp.errors import CasesError, InputNotFoundError, OutputError
from bodycomp.imaging.volume import Volume
from bodycomp.nifti import write_nifti_labels
from bodycomp.preparation.cases import joined_paths, read_cases, split_paths
from bodycomp.preparation.discovery import discover
from bodycomp.reading.read_scan import read_scan
from support.annotated_cases import case_row, make_case, make_cases, make_volume, write_table
from support.annotation_files import dicom_seg, rtstruct, slice_outlines


def draft(folder: Path, table: Path | None = None) -> list[dict[str, str]]:
    table = table or folder / "draft.csv"
    discover(folder, table, lambda *_: None, overwrite=True)
    with table.open(newline="") as stream:
        return list(csv.DictReader(stream))


def write_scan(path: Path, seed: int, z_mm: float = -200.0) -> Volume:
    """Write a volume as NIfTI."""
    volume, _ = make_volume(seed)
    volume = Volume(volume.hu, volume.pixel_spacing_mm, volume.slice_z_mm + 200.0 + z_mm)
    affine = np.diag([-4.0, -4.0, 5.0, 1.0])
    affine[2, 3] = z_mm
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume.hu.transpose(2, 1, 0), affine), path)
    return volume


def write_mask(path: Path, volume: Volume, value: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.zeros(volume.hu.shape, np.uint8)
    labels[3, 10:20, 10:20] = value
    write_nifti_labels(path, volume, labels)


def test_dicom_folders_with_label_maps_and_one_table_of_levels(tmp_path: Path) -> None:
    make_cases(tmp_path, 3)
    rows = draft(tmp_path)
    assert rows == [
        case_row(f"case-{i}") | {"series": "", "labeled": "", "split": "", "note": ""}
        for i in range(3)
    ]
    assert len(read_cases(tmp_path / "draft.csv").cases) == 3
    again = draft(tmp_path)  # neither table is taken for one of levels
    assert again == rows


def test_folders_of_images_and_of_labels_as_nnunet_has_them(tmp_path: Path) -> None:
    for seed in (1, 2):
        volume = write_scan(tmp_path / "imagesTr" / f"ct_{seed:03d}_0000.nii.gz", seed)
        write_mask(tmp_path / "labelsTr" / f"ct_{seed:03d}.nii.gz", volume)
    rows = draft(tmp_path)
    assert [(row["scan"], row["masks"], row["note"]) for row in rows] == [
        (f"imagesTr/ct_{seed:03d}_0000.nii.gz", f"labelsTr/ct_{seed:03d}.nii.gz", "")
        for seed in (1, 2)
    ]
    assert [row["patient"] for row in rows] == ["001", "002"]


def test_codes_are_spelled_like_the_files_so_that_tables_name_them(tmp_path: Path) -> None:
    for seed, name in ((1, "Case_A01_CT"), (2, "Case_A02_CT")):
        write_scan(tmp_path / "scans" / f"{name}.nii.gz", seed)
    table = "patient,level,slice_index\nCase_A01,L3,2\nCase_A02,L3,3\n"
    (tmp_path / "levels.csv").write_text(table)
    rows = draft(tmp_path)
    assert [row["patient"] for row in rows] == ["Case_A01", "Case_A02"]
    assert {row["levels"] for row in rows} == {"levels.csv"}


def test_dicom_annotations_are_paired_by_the_series_that_they_name(tmp_path: Path) -> None:
    """Wherever they lie and whatever they are called; those of unknown series are not paired."""
    for seed, write in enumerate((write_seg, write_rtstruct), start=1):
        make_case(tmp_path, f"p{seed}", seed)
        (tmp_path / f"p{seed}" / "mask.nii.gz").unlink()
        write(tmp_path, f"p{seed}", tmp_path / "drawn" / f"{3 - seed}.dcm")
    make_case(tmp_path, "gone", 3)
    write_seg(tmp_path, "gone", tmp_path / "drawn" / "gone.dcm")
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "p1" / "L3.mrk.json").write_text("{}")
    rows = draft(tmp_path)
    assert [(row["patient"], row["masks"], row["levels"], row["note"]) for row in rows] == [
        ("p1", "drawn/2.dcm", "p1/L3.mrk.json", ""),
        ("p2", "drawn/1.dcm", "", ""),
        ("", "drawn/gone.dcm", "", "not paired: names a series that is not there"),
    ]


def write_seg(folder: Path, name: str, path: Path) -> None:
    scan = read_scan(folder / name / "ct")
    path.parent.mkdir(exist_ok=True)
    dicom_seg(path, make_volume(int(name[1:]) if name[1:].isdigit() else 3)[1], scan.files)


def write_rtstruct(folder: Path, name: str, path: Path) -> None:
    scan = read_scan(folder / name / "ct")
    _, labels = make_volume(int(name[1:]))
    path.parent.mkdir(exist_ok=True)
    rtstruct(path, {"muscle": slice_outlines(labels, 1, scan.volume)}, scan.files)


def test_one_mask_per_structure_and_vertebrae(tmp_path: Path) -> None:
    volume = write_scan(tmp_path / "p1" / "ct.nii.gz", 1)
    for name in ("muscle", "fat"):
        write_mask(tmp_path / "p1" / "tissues" / f"{name}.nii.gz", volume)
    for name in ("vertebrae_L3", "vertebrae_L4"):
        write_mask(tmp_path / "p1" / "spine" / f"{name}.nii.gz", volume)
    (row,) = draft(tmp_path)
    assert (row["masks"], row["levels"]) == ("p1/tissues", "p1/spine")
    assert "p1/tissues: taken for one mask per structure" in row["note"]


def test_several_series_in_one_folder_are_told_apart_by_their_uid(tmp_path: Path) -> None:
    make_case(tmp_path, "one", 1)
    make_case(tmp_path, "two", 2, patient_id="one")
    for path in (tmp_path / "two" / "ct").iterdir():
        shutil.move(path, tmp_path / "one" / "ct" / f"b{path.name}")
    shutil.rmtree(tmp_path / "two")
    (tmp_path / "one" / "mask.nii.gz").unlink()
    rows = draft(tmp_path)
    assert [row["scan"] for row in rows] == ["one/ct", "one/ct"]
    assert len({row["series"] for row in rows} - {""}) == 2
    assert {row["note"] for row in rows} == {"no annotation was found"}


def test_a_table_that_names_a_patient_of_several_scans_is_remarked(tmp_path: Path) -> None:
    make_case(tmp_path, "thick", 1, patient_id="case-0")
    make_cases(tmp_path, 2)
    rows = draft(tmp_path)
    assert [row["patient"] for row in rows] == ["case-0", "case-1", "case-0"]
    assert [row["note"] != "" for row in rows] == [True, False, True]
    assert "keep levels where they were marked" in rows[0]["note"]


def test_what_belongs_to_no_scan_or_to_several_has_a_row_that_must_be_decided(
    tmp_path: Path,
) -> None:
    volume = write_scan(tmp_path / "a.nii.gz", 1)
    write_scan(tmp_path / "b.nii.gz", 2)
    far = Volume(volume.hu, volume.pixel_spacing_mm, volume.slice_z_mm + 3000)
    write_mask(tmp_path / "elsewhere.nii.gz", far)
    write_mask(tmp_path / "either.nii.gz", volume)
    rows = draft(tmp_path)
    unpaired = {row["masks"]: row["note"] for row in rows if not row["scan"]}
    assert unpaired == {
        "either.nii.gz": "not paired: lies on the grid of 2 scans",
        "elsewhere.nii.gz": "not paired: lies on the grid of no scan that was found",
    }
    with pytest.raises(CasesError, match="column scan: expected a value"):
        read_cases(tmp_path / "draft.csv")


def test_a_name_that_contradicts_the_grid_is_not_decided(tmp_path: Path) -> None:
    write_scan(tmp_path / "a.nii.gz", 1)
    other = write_scan(tmp_path / "b.nii.gz", 2, z_mm=900.0)
    write_mask(tmp_path / "a-mask.nii.gz", other)
    rows = draft(tmp_path)
    assert rows[-1]["note"] == (
        "not paired: by its grid it belongs to another scan than by its name"
    )


def test_several_annotations_and_a_shared_patient_id_are_remarked(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        make_case(tmp_path, name, seed, patient_id="ANON")
        shutil.copy(tmp_path / name / "mask.nii.gz", tmp_path / name / "second.nii.gz")
        (tmp_path / name / "notes.txt").write_text("")
    rows = draft(tmp_path)
    for row, name in zip(rows, ("one", "two"), strict=True):
        assert row["masks"] == f"{name}/mask.nii.gz;{name}/second.nii.gz"
        assert "2 annotations of tissues" in row["note"]
        assert "scans of several folders have this Patient ID" in row["note"]


def test_the_draft_beside_other_folders_and_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cases(tmp_path / "scans", 1)
    table = tmp_path / "tables" / "cases.csv"
    assert main(["prepare", "discover", str(tmp_path / "scans"), str(table)]) == 0
    assert "1 scans, 1 with masks, 1 with levels, 0 rows with a note" in capsys.readouterr().out
    (case,) = read_cases(table).cases
    assert case.scan.resolve() == (tmp_path / "scans" / "case-0" / "ct").resolve()
    assert main(["prepare", "discover", str(tmp_path / "scans"), str(table)]) == 1
    assert "the table is there already" in capsys.readouterr().err


def test_folders_without_scans_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="expected CT scans"):
        draft(tmp_path)
    with pytest.raises(InputNotFoundError, match="expected a folder"):
        draft(tmp_path / "none", tmp_path / "d.csv")
    write_table(tmp_path / "d.csv", [{"a": "b"}])
    with pytest.raises(OutputError, match="already"):
        discover(tmp_path, tmp_path / "d.csv", lambda *_: None)


def test_names_with_the_separator_of_paths_survive_the_table(tmp_path: Path) -> None:
    volume = write_scan(tmp_path / "a;b" / "ct.nii.gz", 1)
    for name in ("muscle;left.nii.gz", "muscle_right.nii.gz"):
        write_mask(tmp_path / "a;b" / name, volume)
    draft(tmp_path)
    (case,) = read_cases(tmp_path / "draft.csv").cases
    assert case.scan == tmp_path / "a;b" / "ct.nii.gz"
    assert {path.name for path in case.masks} == {"muscle;left.nii.gz", "muscle_right.nii.gz"}


@given(st.lists(st.text(min_size=1).filter(lambda name: name == name.strip()), max_size=4))
def test_paths_in_a_cell_are_taken_apart_as_they_were_joined(names: list[str]) -> None:
    assume(not any(mark in name for name in names for mark in "\r\n\0"))
    assert split_paths(joined_paths(names)) == names
