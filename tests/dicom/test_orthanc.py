"""A real archive: Orthanc stores written objects and gives them back unchanged."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.dicom.derived.encapsulated_pdf import encapsulated_pdf
from bodycomp.dicom.derived.identity import KeptIdentity
from bodycomp.dicom.derived.measured import MeasuredSeries, save_object
from bodycomp.dicom.derived.secondary_capture import overlay_of
from bodycomp.dicom.derived.seg_write import segmentation_of
from bodycomp.dicom.derived.sr_write import report_of
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.read import read_series
from bodycomp.dicom.series import find_series
from bodycomp.dicom.write import write_ct_series
from bodycomp.results import LevelResult, LevelStatus, Measurement, SeriesResult, SliceChoice
from support.orthanc import Orthanc, running_orthanc

HEADER = SeriesHeader(seed="archive", patient_id="P1")


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path, DicomServerEnabled=False) as archive:
        yield archive


@pytest.fixture
def measured(tmp_path: Path, volume) -> MeasuredSeries:
    write_ct_series(tmp_path / "ct", volume, HEADER)
    loaded = read_series(find_series([tmp_path / "ct"]).candidates[0])
    curve = np.zeros(len(volume), np.float32)
    level = LevelResult(
        SliceChoice("L3", LevelStatus.FOUND, "", 7, 0.0, curve, curve, 1),
        (7,),
        {tissue.key: Measurement(10.5, 30.0, 31.0, 9.0, 12.0, 0.0) for tissue in ABDOMINAL_TISSUES},
        {7: np.random.default_rng(3).integers(0, 4, volume.slice_shape).astype(np.uint8)},
    )
    result = SeriesResult(ABDOMINAL_TISSUES, (level,), {"segmentation": "abcdef012345"})
    return MeasuredSeries(loaded, result, KeptIdentity())


def test_archive_returns_objects_unchanged_in_the_patients_study(
    orthanc: Orthanc, measured: MeasuredSeries, tmp_path: Path
) -> None:
    seg = segmentation_of(measured, "seg")
    picture = np.full((*measured.volume.slice_shape, 3), 90, np.uint8)
    objects = {
        "seg": seg,
        "labelmap": segmentation_of(measured, "labelmap"),
        "sr": report_of(measured, seg),
        "overlay": overlay_of(measured, 7, picture),
        "pdf": encapsulated_pdf(measured, b"%PDF-1.4 of an odd length"),
    }
    orthanc("/instances", measured.slices[7].path.read_bytes())
    for name, written in objects.items():
        save_object(written, tmp_path / f"{name}.dcm")
        sent = (tmp_path / f"{name}.dcm").read_bytes()
        stored = json.loads(orthanc("/instances", sent))
        returned = orthanc(f"/instances/{stored['ID']}/file")
        assert returned == sent, name
        (tmp_path / "back.dcm").write_bytes(returned)
        assert pydicom.dcmread(tmp_path / "back.dcm") == pydicom.dcmread(tmp_path / f"{name}.dcm")
    (study,) = json.loads(orthanc("/studies"))
    found = json.loads(orthanc(f"/studies/{study}"))
    assert found["MainDicomTags"]["StudyInstanceUID"] == HEADER.uid("study")
    assert len(found["Series"]) == 6
