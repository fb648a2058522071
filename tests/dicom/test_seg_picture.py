"""The script behind docs/images/seg-over-source.png sees what was written, without our code."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.dicom.derived.identity import KeptIdentity
from bodycomp.dicom.derived.measured import MeasuredSeries
from bodycomp.dicom.derived.seg_write import segmentation_of
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.read import read_series
from bodycomp.dicom.series import find_series
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from bodycomp.phantom.patient import sample_patient
from bodycomp.phantom.scan import sample_scan
from bodycomp.phantom.torso import Torso
from bodycomp.results import LevelResult, LevelStatus, SeriesResult, SliceChoice

SCRIPT = Path(__file__).parents[2] / "docs/images/draw_seg_over_source.py"


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("SimpleITK", reason="needs SimpleITK (test extra)")
    spec = importlib.util.spec_from_file_location("draw_seg_over_source", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_script_uses_nothing_of_ours():
    assert "import bodycomp" not in SCRIPT.read_text(encoding="utf-8")
    assert "from bodycomp" not in SCRIPT.read_text(encoding="utf-8")


def test_overlay_of_an_independent_reader_is_the_mask(script, tmp_path):
    """A phantom at L3, its truth written as a segmentation, found again on the source's pixels."""
    torso, scan = Torso(sample_patient(0, 5)), sample_scan(sample_patient(0, 5))
    z_mm = torso.level_z_mm["L3"] + 5.0 * np.arange(-5, 6)
    hu, labels = zip(*(torso.render_slice(scan, z) for z in z_mm), strict=True)
    spacing_mm = (scan.pixel_spacing_mm, scan.pixel_spacing_mm)
    volume = Volume(np.stack(hu), spacing_mm, z_mm, first_pixel_mm=scan.first_pixel_mm)
    write_ct_series(tmp_path / "ct", volume, SeriesHeader(seed="one", patient_id="P1"))
    (candidate,) = find_series([tmp_path / "ct"]).candidates
    loaded = read_series(candidate)
    curve = np.zeros(11, np.float32)
    choice = SliceChoice("L3", LevelStatus.FOUND, "", 5, float(z_mm[5]), curve, curve, 1)
    level = LevelResult(choice, (5,), {}, {5: labels[5]})
    result = SeriesResult(ABDOMINAL_TISSUES, (level,), {"segmentation": "abcdef012345"})
    measured = MeasuredSeries(loaded, result, KeptIdentity())
    segmentation_of(measured, "seg").save_as(tmp_path / "segmentation.dcm")

    ((source, segments),) = script.read_overlays(tmp_path / "segmentation.dcm", tmp_path / "ct")
    np.testing.assert_array_equal(script.hu_of(source), hu[5])
    assert [item.label for item in segments] == [f"{t.title} at L3" for t in ABDOMINAL_TISSUES]
    for tissue, item in zip(ABDOMINAL_TISSUES, segments, strict=True):
        np.testing.assert_array_equal(item.mask, labels[5] == tissue.label)
        assert item.code.startswith(f"SCT {tissue.concept.value}")
        assert np.round(255 * np.array(item.color)) == pytest.approx(tissue.color, abs=2)
    script.draw(source, segments, tmp_path / "drawn.png")
    assert np.asarray(Image.open(tmp_path / "drawn.png")).std() > 10
