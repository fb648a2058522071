"""Levels from tables, Slicer markups and vertebra labels lie where they were marked."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bodycomp.annotation.grid import slice_heights_mm
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.annotation.levels import LevelMarks, read_levels
from bodycomp.annotation.vertebrae import TOTALSEGMENTATOR_LABELS
from bodycomp.errors import InputNotFoundError, SeriesError, SliceCountError
from bodycomp.imaging.volume import Volume
from support.annotation_files import (
    TOTALSEGMENTATOR_L1_TO_L5,
    Case,
    dicom_case,
    dicom_seg,
    index_to_lps,
    markups,
    mask_folder,
    nifti_map,
    vertebra_labels,
)

VOLUME = Volume(
    np.random.default_rng(4).integers(-1024, 900, (40, 60, 64)).astype(np.int16),
    (3.0, 2.0),
    -500.0 + 4.0 * np.arange(40),
    first_pixel_mm=(-64.0, -90.0, -500.0),
)
L2_TO_L4 = {"L2": -390.0, "L3": -424.5, "L4": -459.0}


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> Case:
    labels = vertebra_labels(VOLUME, L2_TO_L4, TOTALSEGMENTATOR_L1_TO_L5)
    return dicom_case(tmp_path_factory.mktemp("spine") / "ct", VOLUME, labels)


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path: Path, on: Case, /, **options: object) -> LevelMarks:
    return read_levels(path, on.scan, LevelOptions(**options))


def test_long_tables_by_uid_index_and_height(tmp_path: Path, spine: Case) -> None:
    uid = spine.scan.sop_instance_uids[20]
    by_uid = table(tmp_path / "a.csv", "level,sop_instance_uid", f"L3,{uid}")
    by_index = table(tmp_path / "b.csv", "Level;Slice Index", "l3;20")
    by_height = table(tmp_path / "c.tsv", "level\tz_mm\tcomment", "vertebra L3\t-420.0\tclear")
    for path in (by_uid, by_index, by_height):
        assert read(path, spine).z_mm == {"L3": -420.0}


@pytest.mark.parametrize(
    ("number", "first_slice", "from_end"), [(20, 0, "feet"), (21, 1, "feet"), (20, 1, "head")]
)
def test_slices_are_counted_as_the_options_say(
    tmp_path: Path, spine: Case, number: int, first_slice: int, from_end: str
) -> None:
    path = table(tmp_path / "l.csv", "level,slice_index", f"L3,{number}")
    assert read(path, spine, first_slice=first_slice, from_end=from_end).z_mm == {"L3": -420.0}


@pytest.mark.parametrize("given", [("feet", 0), ("feet", 1), ("head", 0), ("head", 1)])
@pytest.mark.parametrize("true", [("feet", 0), ("feet", 1), ("head", 0), ("head", 1)])
def test_a_height_beside_a_number_tells_how_slices_were_counted(
    tmp_path: Path, spine: Case, true: tuple[str, int], given: tuple[str, int]
) -> None:
    index = 14
    number = true[1] + (index if true[0] == "feet" else 39 - index)
    z_mm = VOLUME.slice_z_mm[index] + 1.9  # slices lie 4 mm apart
    path = table(tmp_path / "l.csv", "level,slice_index,z_mm", f"L3,{number},{z_mm}")
    options = {"from_end": given[0], "first_slice": given[1]}
    if given == true:
        assert read(path, spine, **options).z_mm == {"L3": VOLUME.slice_z_mm[index]}
        return
    with pytest.raises(SeriesError, match="slice_index and z_mm of one place") as refusal:
        read(path, spine, **options)
    assert f"--levels-from {true[0]} --levels-first-slice {true[1]}" in refusal.value.hint


@pytest.mark.parametrize(("first_slice", "number"), [(0, 40), (1, 0)])
@pytest.mark.parametrize("from_end", ["feet", "head"])
def test_a_number_just_beyond_the_scan_tells_of_another_first_number(
    tmp_path: Path, spine: Case, from_end: str, first_slice: int, number: int
) -> None:
    path = table(tmp_path / "l.csv", "level,slice_index", f"L3,{number}")
    with pytest.raises(SliceCountError) as refusal:
        read(path, spine, from_end=from_end, first_slice=first_slice)
    assert f"Say --levels-first-slice {1 - first_slice}." in refusal.value.hint


def test_numbers_are_kept_for_comparison_with_the_scan(tmp_path: Path, spine: Case) -> None:
    path = table(tmp_path / "l.csv", "level,slice_index,z_mm", "L3,20,", "T12,,-350.5")
    assert read(path, spine).slice_numbers == {"L3": 20}


def test_rows_are_chosen_by_the_case(tmp_path: Path, spine: Case) -> None:
    path = table(tmp_path / "l.csv", "PatientID,level,z_mm", "a,L3,-420", "b,L3,-430", "a,L4,-460")
    assert read(path, spine, case="a").z_mm == {"L3": -420.0, "L4": -460.0}
    with pytest.raises(SeriesError, match="expected rows for the case, found none"):
        read(path, spine, case="c")
    with pytest.raises(SeriesError, match="expected the levels of one scan, found 2 cases"):
        read(path, spine)


def test_wide_tables(tmp_path: Path, spine: Case) -> None:
    path = table(
        tmp_path / "l.csv", "case,L3_slice_index,T12_z_mm,L4 z mm", "a,20,-350.5,", "b,21,-345,-460"
    )
    assert read(path, spine, case="a").z_mm == {"L3": -420.0, "T12": -350.5}
    assert read(path, spine, case="b").z_mm == {"L3": -416.0, "T12": -345.0, "L4": -460.0}


def test_levels_that_are_no_vertebrae_are_called_as_their_files_call_them(
    tmp_path: Path, spine: Case
) -> None:
    """No order is expected of them: here L3_mid lies above T12, and L6 above L3."""
    z_mm = {"L3": -420.0, "L3_mid": -345.0, "L6": -410.0, "T12": -350.0, "umbilicus": -455.5}
    rows = [f"{name},{z}" for name, z in z_mm.items()]
    columns = ",".join(f"{name}_z_mm" for name in z_mm)
    points = {name: (-10.0, 20.0, z) for name, z in z_mm.items()}
    for path in (
        table(tmp_path / "a.csv", "level,z_mm", *rows),
        table(tmp_path / "b.csv", columns, ",".join(map(str, z_mm.values()))),
        markups(tmp_path / "c.mrk.json", points),
    ):
        marks = read(path, spine).z_mm
        assert marks == pytest.approx(z_mm)
        assert list(marks) == ["T12", "L3", "L3_mid", "L6", "umbilicus"]


def test_empty_positions_are_levels_that_nobody_marked(tmp_path: Path, spine: Case) -> None:
    path = table(tmp_path / "l.csv", "level,z_mm", "L3,", "", "L4,-460")
    assert read(path, spine).z_mm == {"L4": -460.0}


def test_levels_outside_the_scan_are_left_out_and_noted(tmp_path: Path, spine: Case) -> None:
    path = table(tmp_path / "l.csv", "level,z_mm", "T12,-342.1", "L3,-420", "L5,-502.1", "S1,-600")
    marks = read(path, spine)
    assert marks.z_mm == {"T12": -342.1, "L3": -420.0}
    assert marks.notes == ("L5, S1 outside the scan, left out",)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("level,z_mm", "L3,-420", "mid L3,-430"), "line 3: expected a level's name .* 'mid L3'"),
        (("mid L3_z_mm", "-420"), "line 2: expected a level's name .* 'mid L3'"),
        (("L3_z_mm,l3 z mm", "-420,-430"), "expected every column once"),
        (("level,z_mm", "L3,high"), "line 2, L3: expected a number, found 'high'"),
        (("level;z_mm", "L3;-420,5"), "line 2, L3: expected a number, found '-420,5'"),
        (("level,z_mm", "L3,nan"), "line 2, L3: expected a number, found 'nan'"),
        (
            ("level,slice_index", "L3,40"),
            r"line 2, L3: expected the number of a slice in 0\.\.39, found 40",
        ),
        (
            ("level,slice_index", "L3,-1"),
            r"line 2, L3: expected the number of a slice in 0\.\.39, found -1",
        ),
        (
            ("level,slice_index", "L3,2.5"),
            r"line 2, L3: expected the number of a slice in 0\.\.39, found 2",
        ),
        (("level,sop_instance_uid", "L3,1.2.3"), "line 2, L3: expected the SOPInstanceUID of one"),
        (("level,z_mm", "L3,-420", "L3,-430"), "line 3: expected one position of L3, found a"),
        (("level,z_mm", "L3,-420", "L4,-410"), "expected L3 above L4, found z = -420.0 mm and -4"),
        (("level,z_mm", "L3,-420,5"), "line 2: expected 2 cells, found 3"),
        (("name,place", "L3,-420"), "expected columns of levels, found name, place"),
        (("level,z_mm,Z mm", "L3,1,2"), "expected every column once"),
        (("",), "expected columns of levels"),
    ],
)
def test_tables_that_cannot_be_read_are_refused_by_line(
    tmp_path: Path, spine: Case, lines: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SeriesError, match=rf"^l\.csv:? ?{message}") as refusal:
        read(table(tmp_path / "l.csv", *lines), spine)
    assert refusal.value.hint or "cells" in message or "once" in message


def test_tables_that_are_no_text_are_refused(tmp_path: Path, spine: Case) -> None:
    with pytest.raises(InputNotFoundError):
        read(tmp_path / "absent.csv", spine)
    (tmp_path / "l.csv").write_bytes(b"level,z_mm\nL3,\xff\xfe")
    with pytest.raises(SeriesError, match="expected a table in UTF-8"):
        read(tmp_path / "l.csv", spine)


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_markups_in_both_coordinate_systems(tmp_path: Path, spine: Case, system: str) -> None:
    points = {"L3": (-10.0, 20.0, -421.3), "vertebra L4": (-10.0, 22.0, -460.0)}
    path = markups(tmp_path / "l.mrk.json", points, system=system)
    assert read(path, spine).z_mm == pytest.approx({"L3": -421.3, "L4": -460.0})


def test_markups_of_oblique_slices_count_along_their_normal(tmp_path: Path) -> None:
    """The slice through the point is the level, though its corner has another z."""
    tilt = math.radians(10)
    oblique = replace(VOLUME, orientation=(1, 0, 0, 0, math.cos(tilt), math.sin(tilt)))
    case = dicom_case(tmp_path / "ct", oblique, np.zeros(VOLUME.hu.shape, np.uint8))
    point = (index_to_lps(case.scan.volume) @ (30, 40, 20, 1))[:3]
    marks = read(markups(tmp_path / "l.mrk.json", {"L3": point}), case)
    assert marks.z_mm["L3"] == pytest.approx(case.scan.volume.slice_z_mm[20], abs=1e-3)
    assert abs(point[2] - marks.z_mm["L3"]) > 10


def test_markups_that_mean_no_level_are_refused(tmp_path: Path, spine: Case) -> None:
    path = tmp_path / "l.mrk.json"
    inside = (-10.0, 20.0, -420.0)
    for automatic in ("F-1", "MarkupsFiducial_12"):
        with pytest.raises(SeriesError, match=f"such as L3, found '{automatic}', as Slicer"):
            read(markups(path, {automatic: inside}), spine)
    with pytest.raises(SeriesError, match=r"expected a level's name .* found 'the navel'"):
        read(markups(path, {"the navel": inside}), spine)
    with pytest.raises(SeriesError, match="expected one point for L3, found two"):
        read(markups(path, {"L3": inside, "l3": inside}), spine)
    with pytest.raises(SeriesError, match="expected positions in mm, found 'cm'"):
        read(markups(path, {"L3": inside}, units="cm"), spine)
    with pytest.raises(SeriesError, match="expected labelled points in LPS or RAS"):
        read(markups(path, {"L3": inside}, system="IJK"), spine)
    with pytest.raises(SeriesError, match="expected points inside the scan's slices, found 'L3'"):
        read(markups(path, {"L3": (200.0, 20.0, -420.0)}), spine)
    for text in ("{", "[]", "{}", '{"markups": [{"controlPoints": [{"label": "L3"}]}]}'):
        path.write_text(text)
        with pytest.raises(SeriesError, match=r"^l\.mrk\.json: expected"):
            read(path, spine)


def test_points_that_were_not_placed_do_not_count(tmp_path: Path, spine: Case) -> None:
    path = markups(tmp_path / "l.mrk.json", {"L3": (-10.0, 20.0, -420.0)})
    path.write_text(path.read_text().replace('"defined"', '"undefined"'))
    assert read(path, spine).z_mm == {}


def assert_near_truth(marks: LevelMarks, tolerance_mm: float = 1.0) -> None:
    assert dict(marks.z_mm) == pytest.approx(L2_TO_L4, abs=tolerance_mm)


def test_vertebra_maps_give_the_middle_of_the_body(tmp_path: Path, spine: Case) -> None:
    """Processes that hang 20 mm lower do not pull the level down; slices are 4 mm apart."""
    names = {
        f"vertebrae_{level}": spine.labels == TOTALSEGMENTATOR_L1_TO_L5[level] for level in L2_TO_L4
    }
    liver = np.zeros_like(spine.labels)
    liver[5:9, 5:9, 5:9] = 1
    order = {number: i for i, number in enumerate((30, 29, 28), start=1)}
    segments = np.vectorize(lambda n: order.get(n, 0))(spine.labels).astype(np.uint8)
    for path in (
        nifti_map(tmp_path / "total.nii.gz", spine.labels + liver * np.uint8(5), spine.scan.volume),
        mask_folder(tmp_path / "masks", names | {"liver": liver}, spine.scan.volume),
        dicom_seg(tmp_path / "s", segments, spine.scan.files, {1: "L2", 2: "L3 vertebra", 3: "L4"}),
    ):
        assert_near_truth(read(path, spine))


def test_vertebra_numbers_of_other_tools(tmp_path: Path, spine: Case) -> None:
    numbers = {"L2": 20, "L3": 21, "L4": 22}
    labels = vertebra_labels(VOLUME, L2_TO_L4, numbers)
    path = nifti_map(tmp_path / "v.nii.gz", labels, spine.scan.volume)
    assert_near_truth(read(path, spine, vertebra_labels=numbers))
    with pytest.raises(SeriesError, match="expected vertebrae, found none among its labels"):
        read(path, spine)


@pytest.mark.parametrize("degrees", [-25, 25])
def test_leaning_vertebrae(tmp_path: Path, spine: Case, degrees: float) -> None:
    """Lordosis leans L5 by as much; the front third then lies aside by up to 2 mm."""
    labels = np.zeros_like(spine.labels)
    y_mm = (np.arange(60) - 30) * 3.0
    for row, shift in enumerate(np.tan(np.radians(degrees)) * y_mm):
        for index, z_mm in enumerate(VOLUME.slice_z_mm):
            source = z_mm - shift
            nearest = np.argmin(np.abs(VOLUME.slice_z_mm - source))
            if abs(VOLUME.slice_z_mm[nearest] - source) <= 2:
                labels[index, row] = spine.labels[nearest, row]
    path = nifti_map(tmp_path / "v.nii.gz", labels, spine.scan.volume)
    assert_near_truth(read(path, spine), tolerance_mm=2.5)


@pytest.mark.parametrize("orientation", [(-1, 0, 0, 0, -1, 0), (0, 1, 0, 1, 0, 0)])
def test_the_front_is_the_patients_own(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    square = replace(VOLUME, pixel_spacing_mm=(3.0, 3.0), hu=VOLUME.hu[:, :60, :60])
    upright = vertebra_labels(square, L2_TO_L4, TOTALSEGMENTATOR_L1_TO_L5)
    turned = upright.swapaxes(1, 2) if orientation[0] == 0 else upright[:, ::-1, ::-1]
    case = dicom_case(tmp_path / "ct", replace(square, orientation=orientation), turned)
    assert_near_truth(read(nifti_map(tmp_path / "v.nii", turned, case.scan.volume), case))


def test_vertebrae_cut_off_by_the_scan_are_left_out_and_noted(tmp_path: Path, spine: Case) -> None:
    levels = {"L1": -350.0, "L2": -390.0, "L3": -424.5, "L4": -459.0, "L5": -493.0}
    labels = vertebra_labels(VOLUME, levels, TOTALSEGMENTATOR_L1_TO_L5)
    marks = read(nifti_map(tmp_path / "v.nii.gz", labels, spine.scan.volume), spine)
    assert list(marks.z_mm) == ["L2", "L3", "L4"]  # processes of L4 may leave the scan
    assert marks.notes == (
        "numbers of vertebrae are taken as TotalSegmentator 2 has them",
        "L1, L5 cut off by the end of the scan, left out",
    )


def test_totalsegmentator_numbers() -> None:
    """Of its task "total", version 2: S1 26, L5 27 up to C1 50."""
    known = {"S1": 26, "L5": 27, "L3": 29, "L1": 31, "T12": 32, "T1": 43, "C7": 44, "C1": 50}
    assert known.items() <= TOTALSEGMENTATOR_LABELS.items()
    assert len(TOTALSEGMENTATOR_LABELS) == 25


def test_what_marks_no_levels_is_refused(tmp_path: Path, spine: Case) -> None:
    (tmp_path / "l.txt").write_text("L3 is at -420")
    with pytest.raises(
        SeriesError, match=r"l\.txt: expected levels as a CSV table.* found unknown"
    ):
        read(tmp_path / "l.txt", spine)
    assert slice_heights_mm(VOLUME)[0] == -500.0
