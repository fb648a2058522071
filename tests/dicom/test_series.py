from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import EnhancedCTImageStorage, SecondaryCaptureImageStorage

from bodycomp.dicom.header import PixelFormat, SeriesHeader
from bodycomp.dicom.read import read_series
from bodycomp.dicom.series import CandidateSeries, RefusalKind, find_series
from bodycomp.dicom.write import write_ct_series, write_localizer
from bodycomp.errors import InputNotFoundError
from bodycomp.imaging.volume import Volume
from support.dicom_files import edit

Find = Callable[[Path], CandidateSeries]
RefusalOf = Callable[[Path], tuple[str, str]]
HEADER = SeriesHeader(seed="s")


def write(folder: Path, volume: Volume, **options: object) -> tuple[Path, ...]:
    return write_ct_series(folder, volume, replace(HEADER, **options))


@pytest.mark.parametrize(
    ("attributes", "kind", "reason"),
    [
        ({"Modality": "PT"}, "not CT", "expected modality CT, found PT"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "secondary capture or rendered image",
         "expected CT images, found secondary captures"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MIP"]}, "secondary capture or rendered image",
         "expected reconstructed slices, found ImageType MIP"),
        ({"SOPClassUID": EnhancedCTImageStorage}, "multi-frame", "a geometry for every frame"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "colour",
         "expected monochrome images, found RGB"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer", "a localizer"),
        ({"ImagePositionPatient": None, "PixelSpacing": None}, "missing geometry",
         "missing or malformed ImagePositionPatient, PixelSpacing"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "missing geometry",
         "malformed ImageOrientationPatient"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "not axial", "found 90 degrees"),
        ({"RescaleSlope": None}, "no rescale to HU", "RescaleSlope and RescaleIntercept"),
        ({"RescaleType": "mg/ml"}, "no rescale to HU", "values in HU, found MG/ML"),
        ({"RescaleSlope": "32.1"}, "grey levels too coarse", "at most 8 HU apart, found 32.1"),
        ({"ImagePositionPatient": [1, 2, 3]}, "constant position", "all 16 images claim one"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else None,
)  # fmt: skip
def test_refusals_have_reasons(
    tmp_path: Path, volume: Volume, refusal_of: RefusalOf,
    *, attributes: dict[str, object], kind: str, reason: str,
) -> None:  # fmt: skip
    for file in write(tmp_path, volume):
        edit(file, **attributes)
    found_kind, found_reason = refusal_of(tmp_path)
    assert found_kind == kind
    assert reason in found_reason


def test_reformats_are_refused_whatever_image_type_claims(real: Path) -> None:
    search = find_series([real / "reformats"])
    assert search.candidates == ()
    assert [r.kind for r in search.refusals] == [RefusalKind.REFORMAT] * 2
    assert "found 90 degrees" in search.refusals[0].reason


def test_single_slices_are_too_few(real: Path, refusal_of: RefusalOf) -> None:
    (path,) = (real / "transfer_syntaxes").glob("RLE*")
    assert refusal_of(path) == ("too few slices", "expected at least 10 slices, found 1")


def test_slices_that_drift_sideways_are_refused(
    tmp_path: Path, volume: Volume, refusal_of: RefusalOf
) -> None:
    for index, file in enumerate(write(tmp_path, volume)):
        edit(file, ImagePositionPatient=[index, 0, 5 * index])
    kind, reason = refusal_of(tmp_path)
    assert kind == "sheared stack"
    assert "stacked at 11.3 degrees to their normal and 11.3 degrees to the patient's" in reason


def test_slices_at_one_place_are_refused(
    tmp_path: Path, volume: Volume, refusal_of: RefusalOf
) -> None:
    files = write(tmp_path, volume)
    edit(files[3], ImagePositionPatient=pydicom.dcmread(files[4]).ImagePositionPatient)
    expected = "1 of 16 slices lie where another one lies already, with other pixels"
    assert refusal_of(tmp_path) == ("duplicate positions", expected)


def test_copies_of_a_file_count_once(tmp_path: Path, volume: Volume, only_candidate: Find) -> None:
    write(tmp_path / "a", volume)
    shutil.copytree(tmp_path / "a", tmp_path / "backup")
    series = only_candidate(tmp_path)
    assert len(series) == 16
    assert series.notes == ("duplicate slices left out, of equal place and pixels: 16",)


def test_missing_slices_are_noted(tmp_path: Path, volume: Volume, only_candidate: Find) -> None:
    files = write(tmp_path, volume)
    files[5].unlink()
    series = only_candidate(tmp_path)
    assert series.notes == ("uneven slice distances: 5.00 to 10.00 mm, median 5.00 mm",)
    assert read_series(series).volume.slice_spacing_mm == 5


def test_wide_gaps_divide_a_series(tmp_path: Path, volume: Volume) -> None:
    z_mm = np.where(np.arange(16) < 4, volume.slice_z_mm - 100, volume.slice_z_mm)
    write(tmp_path, replace(volume, slice_z_mm=z_mm))
    search = find_series([tmp_path])
    (series,) = search.candidates
    assert len(series) == 12
    assert [(r.kind, r.file_count) for r in search.refusals] == [(RefusalKind.TOO_FEW, 4)]


def test_entangled_series_are_taken_apart(tmp_path: Path, volume: Volume) -> None:
    """One series UID holds a scout, two acquisitions of the same stretch and a smaller stack."""
    uid = "1.2.3"
    scout = np.zeros((20, 20), np.int16)
    write_localizer(
        tmp_path / "scout", scout, replace(HEADER, seed="scout", series_uid=uid),
        pixel_spacing_mm=(1, 1), first_pixel_mm=(0, 0, 0),
    )  # fmt: skip
    late = replace(volume, hu=volume.hu[::-1])
    small = replace(volume, hu=volume.hu[:, :20])
    for number, part in enumerate((volume, late, small), start=1):
        header = replace(HEADER, seed=f"{number}", series_uid=uid, acquisition_number=number)
        for file in write_ct_series(tmp_path / f"{number}", part, header):
            edit(file, StudyInstanceUID="1.2", FrameOfReferenceUID="1.4",
                 SOPInstanceUID=f"1.5.{number}.{file.stem[2:].lstrip('0')}")  # fmt: skip
    search = find_series([tmp_path])
    assert [refusal.kind for refusal in search.refusals] == [RefusalKind.LOCALIZER]
    found = {series.acquisition_number: series for series in search.candidates}
    for number, part in enumerate((volume, late, small), start=1):
        np.testing.assert_array_equal(read_series(found[number]).volume.hu, part.hu)
    assert "one of 2 overlapping acquisitions" in found[1].notes[0]


def test_rotations_counted_as_acquisitions_stay_together(
    tmp_path: Path, volume: Volume, only_candidate: Find
) -> None:
    for index, file in enumerate(write(tmp_path, volume)):
        edit(file, AcquisitionNumber=index // 4)
    assert len(only_candidate(tmp_path)) == 16


def test_one_slice_without_rescale_costs_one_slice(tmp_path: Path, volume: Volume) -> None:
    edit(write(tmp_path, volume)[0], RescaleIntercept=None)
    search = find_series([tmp_path])
    assert len(search.candidates[0]) == 15
    assert search.refusals[0].kind is RefusalKind.NO_RESCALE


def test_blank_uids_do_not_mix_two_patients(tmp_path: Path, volume: Volume) -> None:
    blank = dict.fromkeys(("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
                           "SOPInstanceUID"), "")  # fmt: skip
    for name in ("a", "b"):
        for file in write(tmp_path / name, volume):
            edit(file, **blank)
    first, second = find_series([tmp_path]).candidates
    assert len(first) == len(second) == 16
    assert first.key != second.key
    assert first.study_key != second.study_key


def test_other_files_are_counted_and_broken_ones_are_named_by_type_only(
    tmp_path: Path, volume: Volume, caplog: pytest.LogCaptureFixture
) -> None:
    files = write(tmp_path, volume)
    (tmp_path / "SECRET.txt").write_text("not an image")
    (tmp_path / "empty").touch()
    (tmp_path / ".hidden").mkdir()
    shutil.copy(files[0], tmp_path / ".hidden/x")
    files[1].write_bytes(files[1].read_bytes()[:140])
    with caplog.at_level(logging.DEBUG):
        search = find_series([tmp_path, files[3]])
    assert search.file_count == 18
    assert len(search.candidates[0]) == 15
    assert "SECRET" not in caplog.text
    assert str(tmp_path) not in caplog.text


def test_bare_datasets_without_part_10_header_are_read(
    tmp_path: Path, volume: Volume, only_candidate: Find
) -> None:
    for file in write(tmp_path, volume):
        dataset = pydicom.dcmread(file)
        pydicom.dcmwrite(file, pydicom.Dataset(dataset), implicit_vr=True, little_endian=True)
        assert file.read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read_series(only_candidate(tmp_path)).volume.hu, volume.hu)


def test_scanner_fields(tmp_path: Path, volume: Volume, only_candidate: Find) -> None:
    write(
        tmp_path, volume, manufacturer="Maker", model="M1", kernel=("Br38f", "3"), kvp=100.0,
        exposure_mas=80, contrast_agent="Iohexol", slice_thickness_mm=6.5, patient_id="P1",
        series_description="Abdomen", series_number=4, pixels=PixelFormat(padding=-2000),
    )  # fmt: skip
    series = only_candidate(tmp_path)
    made = series.acquisition
    assert (made.manufacturer, made.scanner_model, made.kernel) == ("Maker", "M1", "Br38f\\3")
    assert (made.kvp, made.exposure_mas, made.slice_thickness_mm) == (100, 80, 6.5)
    assert made.contrast_agent == "Iohexol"
    assert (series.patient_id, series.description, series.series_number) == ("P1", "Abdomen", 4)
    assert (series.slice_spacing_mm, series.coverage_mm) == (5, 75)


def test_progress_and_missing_input(tmp_path: Path, volume: Volume) -> None:
    write(tmp_path, volume)
    calls: list[tuple[int, int]] = []
    find_series([tmp_path], progress=lambda done, total: calls.append((done, total)))
    assert calls == [(n, 16) for n in range(1, 17)]
    with pytest.raises(InputNotFoundError, match="found nothing at"):
        find_series([tmp_path / "absent"])
