"""Groups of muscle on their way into every file of a run."""

import csv
import json

import numpy as np
import pydicom
import pytest

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.anatomy import ALL_TISSUES
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from bodycomp.study.options import AnalyzeOptions, dicom_objects
from bodycomp.study.redcap import write_redcap_tables
from bodycomp.study.run import analyze_inputs
from support.stand_ins import KnownLabels, LevelAt

PLACES = {2: (10, 60), 1: (14, 44), 4: (18, 22), 5: (24, 30), 6: (31, 34), 7: (35, 38), 8: (39, 40)}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run over a block of tissues, each in rows of its own, that says L3 and what lies below."""
    root = tmp_path_factory.mktemp("groups")
    labels = np.zeros((20, 64, 64), np.uint8)
    for label, rows in PLACES.items():
        labels[:, slice(*rows), 10:54] = label
    hu = np.where(np.isin(labels, (2, 8)), -100, 50).astype(np.int16)
    hu[labels == 0] = -1000
    volume = Volume(hu, (3.0, 3.0), np.arange(20) * 6.0)
    write_ct_series(root / "in", volume, SeriesHeader(seed="one", patient_height_m=1.5))
    options = AnalyzeOptions(
        inputs=(root / "in",),
        models_dir=root,
        out_dir=root / "out",
        dicom=dicom_objects(["seg", "sr"]),
        fhir=True,
        workers=0,
    )
    segmenter = KnownLabels(labels, tissues=ALL_TISSUES)
    analyze_inputs(options, analyzer=Analyzer(LevelAt(60.0), segmenter, AnalysisOptions()))
    return root / "out"


def test_the_table_has_columns_of_each_and_the_index_of_psoas(run):
    with (run / "results.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    cm2 = 44 * 0.09
    assert float(row["psoas_area_cm2"]) == pytest.approx(4 * cm2)
    assert float(row["psoas_right_cm2"]) == pytest.approx(2 * cm2)
    assert float(row["psoas_muscle_index_cm2_m2"]) == pytest.approx(4 * cm2 / 1.5**2, abs=1e-3)
    assert float(row["muscle_area_cm2"]) == pytest.approx(29 * cm2)  # all but the row of fat
    assert float(row["erector_spinae_mean_hu"]) == 50
    assert float(row["fat_between_muscles_mean_hu"]) == -100
    assert float(row["intermuscular_fat_area_cm2"]) == pytest.approx(cm2)
    assert float(row["vertebral_body_area_cm2"]) == 0


def test_every_other_file_names_them(run):
    (result,) = run.glob("study-*/series-*/results.json")
    document = json.loads(result.read_text(encoding="utf-8"))
    assert [each["key"] for each in document["tissues"]] == [tissue.key for tissue in ALL_TISSUES]
    seg = pydicom.dcmread(result.with_name("segmentation.dcm"))
    assert "Quadratus lumborum at L3" in [each.SegmentLabel for each in seg.SegmentSequence]
    report = str(pydicom.dcmread(result.with_name("measurements.dcm")))
    assert "Psoas muscle index" in report
    assert "Erector spinae muscle" in report
    assert "Right psoas" in next(run.glob("study-*/fhir.json")).read_text(encoding="utf-8")
    assert "Abdominal wall muscle" in (run / "report.html").read_text(encoding="utf-8")
    data, dictionary = write_redcap_tables(run)
    assert "psoas_area_cm2" in data.read_text(encoding="utf-8")
    assert "Psoas" in dictionary.read_text(encoding="utf-8")
