"""Slices that were counted in another way than the options say are seen, and right ones are not."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from bodycomp.annotation.level_marks import LevelMarks, slice_of_number
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.cli import main
from bodycomp.imaging.volume import Volume
from bodycomp.phantom import Torso, sample_patient, sample_scan
from bodycomp.preparation.landmarks import find_landmarks
from bodycomp.preparation.level_checks import (
    ALL_CASES,
    LevelEvidence,
    LevelWarning,
    level_evidence,
    level_warnings,
)
from bodycomp.reading.read_scan import read_scan
from bodycomp.scan import Scan
from support.annotated_cases import make_cases

SEED, PATIENTS, SPACING_MM = 4711, 6, 10.0
FAR_APART_MM = 110.0
"""L3 cannot lie so far from its place and still lie 0 to 100 mm above the iliac crests."""
FEET = LevelOptions()
HEAD = LevelOptions(from_end="head")
TORSO_CT = Path(__file__).parents[2].parent / "shared" / "real" / "torso_ct"


@dataclass(frozen=True, eq=False)
class Patient:
    """A phantom scan and its true levels."""

    scan: Scan
    level_z_mm: dict[str, float]

    def true_index(self, level: str) -> int:
        return self.scan.volume.nearest_slice(self.level_z_mm[level])


@pytest.fixture(scope="module")
def patients() -> list[Patient]:
    return [_patient(number) for number in range(PATIENTS)]


def _patient(number: int) -> Patient:
    torso = Torso(sample_patient(SEED, number))
    scan = sample_scan(torso.patient)
    scan = replace(scan, matrix=(128, 128), pixel_spacing_mm=scan.pixel_spacing_mm * 4)
    z_mm = np.arange(scan.z_start_mm, scan.z_end_mm, SPACING_MM)
    hu = np.stack([torso.render_slice(scan, float(z))[0] for z in z_mm])
    volume = Volume(hu, (scan.pixel_spacing_mm,) * 2, z_mm)
    # Pixels four times as wide as usual lie as far apart as those at which scans are looked at.
    fine = replace(
        volume, hu=hu.repeat(4, 1).repeat(4, 2), pixel_spacing_mm=(scan.pixel_spacing_mm / 4,) * 2
    )
    return Patient(scan_of(fine), dict(torso.level_z_mm))


def scan_of(volume: Volume) -> Scan:
    return Scan(volume, "NIfTI", Path("s.nii"))


def warnings_of(
    patients: Sequence[Patient], number_of: Callable[[Patient], int], level: str = "L3"
) -> tuple[LevelWarning, ...]:
    """Warnings where options say that slices are counted from 0 at the feet."""
    evidence = {}
    for row, patient in enumerate(patients, start=2):
        number = number_of(patient)
        marks = LevelMarks({}, slice_numbers={level: number})
        evidence[f"row {row}"] = level_evidence(patient.scan, marks, FEET)
    return level_warnings(evidence, FEET)


@pytest.mark.parametrize("level", ["T12", "L3", "S1"])
def test_right_numbers_raise_no_warning(patients: list[Patient], level: str) -> None:
    inside = [p for p in patients if p.level_z_mm[level] > p.scan.volume.slice_z_mm[0]]
    assert warnings_of(inside, lambda p: p.true_index(level), level) == ()


def test_numbers_from_the_other_end_are_seen_and_the_right_slice_is_named(
    patients: list[Patient],
) -> None:
    found = warnings_of(patients, lambda p: len(p.scan.volume) - 1 - p.true_index("L3"))
    assert found[0].where == ALL_CASES
    assert "counted from the head" in found[0].message
    rows = {warning.where: warning.message for warning in found[1:]}
    apart_mm = {f"row {row}": _apart_mm(p) for row, p in enumerate(patients, start=2)}
    assert set(rows) >= {where for where, mm in apart_mm.items() if mm > FAR_APART_MM}
    assert rows
    for where, message in rows.items():
        patient = patients[int(where.split()[1]) - 2]
        index, z_mm = patient.true_index("L3"), patient.scan.volume.slice_z_mm
        assert f"it is slice {index} of 0..{len(z_mm) - 1} from the feet" in message
        assert f"at z = {z_mm[index]:.1f} mm, which fits" in message
        assert "--levels-from head" in message


def _apart_mm(patient: Patient) -> float:
    """How far the two slices of a number lie apart; 0 where the scan has no iliac crests."""
    z_mm, index = patient.scan.volume.slice_z_mm, patient.true_index("L3")
    seen = find_landmarks(patient.scan.volume).crest_mm is not None
    return abs(float(z_mm[index] - z_mm[len(z_mm) - 1 - index])) if seen else 0.0


def test_landmarks_lie_where_the_phantom_has_them(patients: list[Patient]) -> None:
    for patient in patients:
        found = find_landmarks(patient.scan.volume)
        if found.crest_mm is not None:
            assert 15 < patient.level_z_mm["L3"] - found.crest_mm < 85
        if found.lung_edge_mm is not None:
            assert 90 < found.lung_edge_mm - patient.level_z_mm["L3"] < 200
    assert sum(find_landmarks(p.scan.volume).crest_mm is not None for p in patients) >= 4


def test_a_scan_without_landmarks_or_a_level_without_a_place_says_nothing(
    patients: list[Patient],
) -> None:
    volume = patients[0].scan.volume
    air = scan_of(replace(volume, hu=np.full_like(volume.hu, -1000)))
    for scan, level in ((air, "L3"), (patients[0].scan, "umbilicus")):
        (found,) = level_evidence(scan, LevelMarks({}, slice_numbers={level: 1}), FEET)
        assert found.strain is None
        assert level_warnings({"row 2": (found,)}, FEET) == ()


def counted(way: LevelOptions, count: int = 5) -> Iterator[tuple[int, int, int]]:
    """Yield slices of a scan, the annotated one, and its number when it is counted so."""
    rng = np.random.default_rng(3)
    for _ in range(count):
        slices = int(rng.integers(40, 90))
        index = int(rng.integers(5, slices - 5))
        (number,) = [n for n in range(slices + 1) if slice_of_number(n, slices, way) == index]
        yield slices, index, number


def evidence_of(slices: int, number: int, annotated: int) -> LevelEvidence:
    return LevelEvidence(
        "L3", number, slices, number, 0.0, slices - 1 - number, 0.0, annotated=(annotated,) * 2
    )


@pytest.mark.parametrize("from_end", ["feet", "head"])
@pytest.mark.parametrize("first_slice", [0, 1])
def test_annotated_slices_tell_how_levels_were_counted(from_end: str, first_slice: int) -> None:
    way = LevelOptions(from_end=from_end, first_slice=first_slice)
    evidence = {
        f"row {row}": (evidence_of(slices, number, index),)
        for row, (slices, index, number) in enumerate(counted(way))
    }
    found = level_warnings(evidence, FEET)
    if way == FEET:
        assert found == ()
        return
    (warning,) = found
    assert warning.where == ALL_CASES
    assert f"in 5 of 5 cases if slices are counted from {first_slice} at the {from_end}" in (
        warning.message
    )
    assert f"--levels-from {from_end} --levels-first-slice {first_slice}" in warning.message


def test_two_cases_say_too_little_and_other_shifts_are_told_as_they_are() -> None:
    shifted = [evidence_of(60, 20 + row, 17 + row) for row in range(4)]
    assert level_warnings({str(row): (shifted[row],) for row in range(2)}, FEET) == ()
    (found,) = level_warnings({str(row): (each,) for row, each in enumerate(shifted)}, FEET)
    assert "levels lie 3 slices above the annotated slice in 4 of 4 cases" in found.message


def prepared(folder: Path, numbers: Sequence[int], annotated: int | None = 6) -> dict[str, object]:
    """Prepare cases of 12 slices, of which one is annotated and L3 is marked by its number."""
    table = make_cases(folder, len(numbers))
    rows = [(f"case-{n}", "L3", str(number)) for n, number in enumerate(numbers)]
    with (folder / "levels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("patient", "level", "slice_index"), *rows])
    if annotated is not None:
        for number in range(len(numbers)):
            _annotate_alone(folder / f"case-{number}" / "mask.nii.gz", annotated)
    command = ["prepare", "slice-selection", str(table), str(folder / "set"), "--jobs", "1"]
    main([*command, "--allow-refused"])
    document: dict[str, object] = json.loads((folder / "set" / "prepared.json").read_text())
    return document


def _annotate_alone(path: Path, index: int) -> None:
    image = nib.load(path)
    labels: NDArray[np.uint8] = np.asanyarray(image.dataobj).copy()
    order = labels.shape.index(12)
    keep = np.zeros(12, np.bool_)
    keep[index if image.affine[2, order] > 0 else 11 - index] = True
    shape = [1, 1, 1]
    shape[order] = 12
    nib.save(nib.Nifti1Image(labels * keep.reshape(shape).astype(np.uint8), image.affine), path)


def test_prepare_says_that_levels_lie_beside_the_annotated_slices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = prepared(tmp_path, [7, 7, 7, 7])
    (warning,) = document["warnings"]
    assert warning["where"] == ALL_CASES
    assert "in 4 of 4 cases if slices are counted from 1 at the feet" in warning["message"]
    assert "WARNING: all cases: levels lie on the annotated slice" in capsys.readouterr().out


def test_prepare_says_nothing_where_levels_and_annotations_agree(tmp_path: Path) -> None:
    assert prepared(tmp_path, [6, 6, 6, 6])["warnings"] == []


def test_one_number_beyond_the_scan_makes_all_others_doubtful(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = prepared(tmp_path, [6, 5, 12, 7], annotated=None)
    (warning,) = document["warnings"]
    assert "only counting from 1 explains the numbers of row 4" in warning["message"]
    assert "--levels-first-slice 1" in capsys.readouterr().out
    assert document["refused_cases"] == 1


def test_masks_that_cannot_be_read_do_not_refuse_a_case_of_slice_selection(tmp_path: Path) -> None:
    table = make_cases(tmp_path)
    (tmp_path / "levels.csv").write_text("level,slice_index\nL3,6\n")
    (tmp_path / "case-1" / "mask.nii.gz").write_bytes(b"no NIfTI")
    command = ["prepare", "slice-selection", str(table), str(tmp_path / "set"), "--jobs", "1"]
    assert main(command) == 0


@pytest.mark.skipif(not TORSO_CT.is_dir(), reason="needs the real scan ../shared/real/torso_ct")
def test_a_real_torso_shows_which_end_l3_was_counted_from() -> None:
    """From the pelvis to the lower thoracic spine; by eye L3 lies at z = -640 mm."""
    whole = read_scan(TORSO_CT).volume
    z_mm = whole.slice_z_mm[20:]  # of all slices L3 is the middle one
    scan = scan_of(Volume(whole.hu[20:], whole.pixel_spacing_mm, z_mm, whole.orientation))
    index = scan.volume.nearest_slice(-640.0)
    for number, warned in ((index, False), (len(z_mm) - 1 - index, True)):
        marks = LevelMarks({}, slice_numbers={"L3": number})
        found = level_warnings({"row 2": level_evidence(scan, marks, FEET)}, FEET)
        assert [f"slice {index} of 0..78" in each.message for each in found] == [True] * warned
