from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from bodycomp.dicom.header import PixelFormat, SeriesHeader, Storage
from bodycomp.dicom.write import write_ct_series, write_localizer
from bodycomp.errors import OutputError, UsageError
from bodycomp.imaging.volume import Volume
from support.stored_images import decode_hu

# Attributes of Type 1 and 2 in the modules of the CT Image IOD (PS3.3 A.3): 1 needs a value.
TYPE_1 = (
    "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality FrameOfReferenceUID",
    "ImageType PixelSpacing ImageOrientationPatient ImagePositionPatient SamplesPerPixel",
    "PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation",
    "RescaleIntercept RescaleSlope PixelData",
)
TYPE_2 = (
    "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID",
    "ReferringPhysicianName AccessionNumber SeriesNumber PatientPosition Manufacturer",
    "PositionReferenceIndicator InstanceNumber AcquisitionNumber ContentDate ContentTime",
    "SliceThickness KVP",
)


def digest(files: tuple[Path, ...]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def test_required_attributes_are_there(tmp_path: Path, volume: Volume) -> None:
    files = write_ct_series(tmp_path / "a", volume, SeriesHeader(seed="s"))
    dataset = pydicom.dcmread(files[0])
    assert [name for name in " ".join(TYPE_1).split() if dataset.get(name) in (None, "")] == []
    assert [name for name in " ".join(TYPE_2).split() if name not in dataset] == []
    assert all(element.VR != "UI" or UID(element.value).is_valid for element in dataset)


def test_same_input_gives_same_bytes(tmp_path: Path, volume: Volume) -> None:
    header = SeriesHeader(seed="s", patient_id="P1", kernel="B30f", contrast_agent="yes")
    first = write_ct_series(tmp_path / "a", volume, header)
    again = write_ct_series(tmp_path / "b", volume, header)
    other = write_ct_series(tmp_path / "c", volume, replace(header, seed="t"))
    assert digest(first) == digest(again) != digest(other)


def test_series_of_one_seed_share_study_and_frame_of_reference() -> None:
    one, two = SeriesHeader(seed="s"), SeriesHeader(seed="s", series_number=2)
    assert one.uid("study") == two.uid("study") != one.uid("frame")
    assert one.uid("frame") == two.uid("frame")
    assert one.uid("series") != two.uid("series")
    assert one.instance_uid(1) != two.instance_uid(1)
    assert SeriesHeader(seed="s", study_uid="1.2.3").uid("study") == "1.2.3"


@pytest.mark.parametrize("storage", Storage)
def test_every_transfer_syntax_is_lossless(
    tmp_path: Path, volume: Volume, storage: Storage
) -> None:
    header = SeriesHeader(seed="s", pixels=PixelFormat(storage=storage))
    files = write_ct_series(tmp_path / "a", volume, header)
    assert pydicom.dcmread(files[0]).file_meta.TransferSyntaxUID == storage.value
    np.testing.assert_array_equal(decode_hu(files[3], 1, -1024), volume.hu[3])


def test_values_beyond_the_stored_range_are_clipped(tmp_path: Path, volume: Volume) -> None:
    extreme = replace(volume, hu=volume.hu * np.int16(4))
    pixels = PixelFormat(bits_stored=12, signed=False, intercept_hu=-1024)
    files = write_ct_series(tmp_path / "a", extreme, SeriesHeader(seed="s", pixels=pixels))
    np.testing.assert_array_equal(
        decode_hu(files[0], 1, -1024), np.clip(extreme.hu[0], -1024, 3071)
    )


def test_names_and_instance_numbers_run_from_the_chosen_end(tmp_path: Path, volume: Volume) -> None:
    header = SeriesHeader(seed="s", file_name=lambda number: f"{number:X}")
    feet_up = write_ct_series(tmp_path / "a", volume, replace(header, first_instance="feet"))
    head_down = write_ct_series(tmp_path / "b", volume, header)
    assert [feet_up[0].name, head_down[0].name] == ["1", "10"]
    assert pydicom.dcmread(head_down[-1]).InstanceNumber == 1
    assert pydicom.dcmread(head_down[-1]).ImagePositionPatient[2] == volume.slice_z_mm[-1]


def test_patient_and_scanner_fields(tmp_path: Path, volume: Volume) -> None:
    header = SeriesHeader(
        seed="s", patient_name="Doe^Jane", patient_sex="F", patient_age_years=7,
        patient_height_m=1.625, patient_weight_kg=61.5, kernel=("Br38f", "3"),
        pixels=PixelFormat(padding=-2000), exposure_mas=120,
    )  # fmt: skip
    dataset = pydicom.dcmread(write_ct_series(tmp_path / "a", volume, header)[0])
    assert (dataset.PatientAge, dataset.PatientSize, dataset.PatientWeight) == ("007Y", 1.625, 61.5)
    assert list(dataset.ConvolutionKernel) == ["Br38f", "3"]
    assert (dataset.PixelPaddingValue, dataset.Exposure) == (-2000, 120)
    assert dataset.SliceThickness == 5


def test_series_may_share_a_folder_but_never_replace_files(tmp_path: Path, volume: Volume) -> None:
    header = SeriesHeader(seed="s")
    write_ct_series(tmp_path, volume, header)
    write_ct_series(tmp_path, volume, replace(header, series_number=2, file_name="b{}".format))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError, match=r"IM0001\.dcm is there already"):
        write_ct_series(tmp_path, volume, header)
    assert len(before) == 2 * len(volume)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["one", "../{}"])
def test_file_names_must_be_plain_and_different(tmp_path: Path, volume: Volume, name: str) -> None:
    with pytest.raises(OutputError, match="expected a"):
        write_ct_series(tmp_path / "a", volume, SeriesHeader(seed="s", file_name=name.format))
    assert not (tmp_path / "a").exists()


def test_a_failure_leaves_nothing(tmp_path: Path, volume: Volume) -> None:
    def fail(number: int) -> str:
        return "x" * 300 if number == 9 else f"{number}"  # no file system takes such a name

    with pytest.raises(OutputError):
        write_ct_series(tmp_path / "a", volume, SeriesHeader(seed="s", file_name=fail))
    assert list(tmp_path.iterdir()) == []


def test_localizer_is_a_coronal_scout(tmp_path: Path) -> None:
    image = np.arange(30, dtype=np.int16).reshape(5, 6)
    file = write_localizer(
        tmp_path, image, SeriesHeader(seed="s"), pixel_spacing_mm=(2, 1), first_pixel_mm=(-3, 0, 9)
    )
    dataset = pydicom.dcmread(file)
    assert dataset.ImageType[2] == "LOCALIZER"
    assert list(dataset.ImageOrientationPatient) == [1, 0, 0, 0, 0, -1]
    np.testing.assert_array_equal(decode_hu(file, 1, -1024), image)


@pytest.mark.parametrize("wrong", [{"slope_hu": 0}, {"bits_stored": 17}, {"padding": 1 << 15}])
def test_impossible_pixel_formats_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="expected"):
        PixelFormat(**wrong)


@pytest.mark.skipif(
    shutil.which("dciodvfy") is None,
    reason="no dciodvfy to validate with: apt-get install dicom3tools",
)
@pytest.mark.parametrize("body_part", ["", "ABDOMEN"])
def test_validator_finds_no_error(tmp_path: Path, volume: Volume, body_part: str) -> None:
    header = SeriesHeader(seed="s", patient_id="P1", contrast_agent="yes", body_part=body_part)
    axial = write_ct_series(tmp_path / "a", volume, header)[0]
    scout = write_localizer(
        tmp_path / "b", volume.hu[0], header, pixel_spacing_mm=(1, 1), first_pixel_mm=(0, 0, 0)
    )
    for file in (axial, scout):
        check = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
        assert "Error" not in check.stderr + check.stdout
