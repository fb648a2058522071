"""What follows where SOPInstanceUIDs repeat, and where identifiers are missing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from bodycomp.annotation.levels import read_levels
from bodycomp.annotation.masks import read_masks
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.read import read_series
from bodycomp.dicom.series import find_series
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import Volume
from bodycomp.reading.read_scan import read_scan
from bodycomp.study.options import AnalyzeOptions, DicomObject
from bodycomp.study.run import Analyzer, analyze_inputs
from support.annotation_files import TISSUES, png_folder
from support.dicom_files import edit, store
from support.stand_ins import BodyIsMuscle, LevelAt

HEADER = SeriesHeader(seed="s", patient_id="ID-0815", patient_name="Doe^Jane")


def body(slices: int = 16) -> Volume:
    hu = np.full((slices, 40, 48), -1000, np.int16)
    hu[:, 10:30, 9:39] = 45 + np.arange(slices)[:, None, None]
    return Volume(hu, (2.0, 2.0), 5.0 * np.arange(slices))


def with_repeated_uids(folder: Path, share: int) -> tuple[Path, ...]:
    files = write_ct_series(folder, body(), HEADER)
    for index, file in enumerate(files):
        edit(file, SOPInstanceUID=f"1.2.3.{index // share}")
    return files


@pytest.mark.parametrize("share", [2, 16])
def test_masks_and_levels_named_by_a_uid_of_several_slices_are_refused(
    tmp_path: Path, share: int
) -> None:
    with_repeated_uids(tmp_path / "ct", share)
    scan = read_scan(tmp_path / "ct")
    np.testing.assert_array_equal(scan.volume.hu, body().hu)
    png = png_folder(tmp_path / "png", np.ones((1, 40, 48), np.uint8), ["1.2.3.0"])
    with pytest.raises(SeriesError, match="SOPInstanceUID of its own for every slice"):
        read_masks([png], scan, TISSUES)
    (tmp_path / "l.csv").write_text("level,sop_instance_uid\nL3,1.2.3.0\n")
    with pytest.raises(SeriesError, match=f"found one that {share} slices share"):
        read_levels(tmp_path / "l.csv", scan)


def analyzed(tmp_path: Path) -> tuple[Path, str]:
    """Folder of the only series, and its notes."""
    options = AnalyzeOptions(
        inputs=(tmp_path / "ct",), models_dir=tmp_path, out_dir=tmp_path / "out",
        dicom=frozenset(DicomObject), identifiers=True, previews=False, report=False,
     workers=0)  # fmt: skip
    report = analyze_inputs(options, analyzer=Analyzer(LevelAt(33.0), BodyIsMuscle()))
    (series,) = report.analyzed
    return series.folder, (tmp_path / "out/results.csv").read_text()


def test_objects_that_would_refer_to_several_slices_are_not_written(tmp_path: Path) -> None:
    with_repeated_uids(tmp_path / "ct", 2)
    folder, table = analyzed(tmp_path)
    assert list(folder.glob("*.dcm")) == []
    assert "expected a SOPInstanceUID of its own for every slice" in table
    assert "SOPInstanceUID repeats in 16 of 16 slices" in table


@pytest.mark.parametrize("lacking", [0, 1], ids=["even slices", "odd slices"])
def test_objects_name_the_patient_and_frame_that_other_slices_state(
    tmp_path: Path, lacking: int
) -> None:
    files = write_ct_series(tmp_path / "ct", body(), HEADER)
    for file in files[lacking::2]:
        edit(file, PatientID="", FrameOfReferenceUID=None)
    folder, table = analyzed(tmp_path)
    seg = hd.seg.segread(folder / "segmentation.dcm")
    assert seg.PatientID == "ID-0815"
    assert seg.FrameOfReferenceUID == HEADER.uid("frame")
    assert "PatientID is missing in 8 of 16 slices" in table


def test_overlapping_acquisitions_under_the_same_uids_are_two_series(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "a", body(), HEADER)
    late = replace(body(), hu=body().hu + np.int16(100))
    write_ct_series(tmp_path / "b", late, replace(HEADER, acquisition_number=2))
    first, second = find_series([tmp_path]).candidates
    assert first.key != second.key
    found = {s.acquisition_number: read_series(s).volume.hu for s in (first, second)}
    np.testing.assert_array_equal(found[1], body().hu)
    np.testing.assert_array_equal(found[2], late.hu)


def test_copies_of_a_slice_count_once_under_any_uid_and_compression(tmp_path: Path) -> None:
    files = write_ct_series(tmp_path / "ct", body(), HEADER)
    shutil.copy(files[2], tmp_path / "ct/same")
    shutil.copy(files[2], tmp_path / "ct/other")
    edit(tmp_path / "ct/other", SOPInstanceUID="1.2.3")
    packed = pydicom.dcmread(files[2])
    packed.compress(RLELossless, generate_instance_uid=False)
    packed.save_as(tmp_path / "ct/packed")
    (series,) = find_series([tmp_path]).candidates
    assert series.notes[0] == "duplicate slices left out, of equal place and pixels: 3"
    np.testing.assert_array_equal(read_series(series).volume.hu, body().hu)


def test_one_pixel_makes_two_slices_of_a_place_different(tmp_path: Path) -> None:
    files = write_ct_series(tmp_path / "ct", body(), HEADER)
    shutil.copy(files[2], tmp_path / "ct/other")
    store(
        tmp_path / "ct/other",
        lambda x: x + (np.arange(x.size).reshape(x.shape) == 7).astype(x.dtype),
    )
    search = find_series([tmp_path])
    assert search.candidates == ()
    assert "1 of 17 slices lie where another one lies already" in search.refusals[0].reason
    assert "and share its SOPInstanceUID" in search.refusals[0].reason
