"""Heights on their way from headers and tables to the indices of the results."""

import csv
import json

import numpy as np
import pytest

from bodycomp.analysis.pipeline import Analyzer
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from bodycomp.reference.table import ReferenceTable, Stratum, read_reference, write_reference
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.run import analyze_inputs
from support.stand_ins import BodyIsMuscle, LevelAt

AREA_CM2 = 200 * 300 * 4 / 100  # of 2 mm pixels


@pytest.fixture
def study(tmp_path):
    hu = np.full((30, 256, 320), -1000, np.int16)
    hu[:, 28:228, 10:310] = 45
    return tmp_path / "in", Volume(hu, (2.0, 2.0), np.arange(30) * 5.0)


def result(tmp_path, study, patients=None, references=(), **person):
    folder, volume = study
    write_ct_series(folder, volume, SeriesHeader(seed="one", patient_id="P7", kvp=80.0, **person))
    options = AnalyzeOptions(
        inputs=(folder,),
        models_dir=tmp_path,
        out_dir=tmp_path / "out",
        patients=patients,
        references=references,
        workers=0,
    )
    analyze_inputs(options, analyzer=Analyzer(LevelAt(60.0), BodyIsMuscle()))
    with (tmp_path / "out" / "results.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return row


def test_height_and_sex_of_the_header_give_index_and_cut_off(tmp_path, study):
    row = result(tmp_path, study, patient_height_m=2.0, patient_weight_kg=90.0, patient_sex="M")
    assert float(row["skeletal_muscle_index_cm2_m2"]) == pytest.approx(AREA_CM2 / 4)
    assert (row["height_m"], row["weight_kg"], row["sex"]) == ("2.0", "90.0", "M")
    assert row["low_muscle_index_prado_2008"] == "no"
    assert "tube_voltage" in row["quality_flags"]


def test_without_a_height_the_index_is_empty(tmp_path, study):
    row = result(tmp_path, study)
    assert row["skeletal_muscle_index_cm2_m2"] == ""
    assert row["low_muscle_index_prado_2008"] == ""
    assert float(row["muscle_area_cm2"]) == pytest.approx(AREA_CM2)


def test_table_of_patients_fills_in(tmp_path, study):
    table = tmp_path / "patients.csv"
    table.write_text("patient_id,height_cm,sex\nP7,200,F\n", encoding="utf-8")
    row = result(tmp_path, study, patients=table)
    assert float(row["skeletal_muscle_index_cm2_m2"]) == pytest.approx(AREA_CM2 / 4)
    assert row["sex"] == "F"
    assert "P7" not in str(row)


def test_sex_and_age_of_the_header_place_the_person_beside_references(tmp_path, study):
    row = result(tmp_path, study, patient_sex="F", patient_age_years=60)
    assert row["age_years"] == "60.0"
    start = "ref_tonnesen_2023_muscle_hu_range_area_cm2"
    assert float(row[f"{start}_z"]) == pytest.approx((AREA_CM2 - 110.6) / 16.3, abs=1e-3)
    assert float(row[f"{start}_percentile"]) == pytest.approx(100.0)
    assert row["ref_van_der_werf_2018_muscle_hu_range_area_cm2_below_p5"] == "no"
    assert row["ref_van_der_werf_2018_bmi_muscle_hu_range_area_cm2_below_p5"] == ""
    assert row["ref_derstine_2018_muscle_hu_range_area_cm2_below_minus_2_sd"] == ""


def test_table_of_patients_gives_the_age(tmp_path, study):
    table = tmp_path / "patients.csv"
    table.write_text("patient_id,sex,age_years\nP7,M,35.5\n", encoding="utf-8")
    row = result(tmp_path, study, patients=table, patient_age_years=60)
    assert row["age_years"] == "35.5"
    assert row["ref_derstine_2018_muscle_hu_range_area_cm2_below_minus_2_sd"] == "no"
    assert row["ref_tonnesen_2023_muscle_hu_range_area_cm2_z"] == ""


def test_a_reference_of_ones_own_stands_beside_the_published_ones(tmp_path, study):
    own = tmp_path / "ours.json"
    area = Stratum("muscle_hu_range_area_cm2", "L3", "F", mean=AREA_CM2 + 20, sd=20.0)
    words = {"title": "Ours", "source": "own people", "population": "staff"}
    write_reference(own, ReferenceTable(key="ours", strata=(area,), **words))
    row = result(tmp_path, study, references=(own,), patient_sex="F", patient_age_years=60)
    assert row["ref_ours_muscle_hu_range_area_cm2_z"] == "-1.0"
    assert float(row["ref_ours_muscle_hu_range_area_cm2_percentile"]) == pytest.approx(15.8655)
    assert row["ref_van_der_werf_2018_muscle_hu_range_area_cm2_below_p5"] == "no"
    assert read_reference(tmp_path / "out" / "references" / "ours.json") == read_reference(own)
    (document,) = (tmp_path / "out").glob("study-*/series-*/results.json")
    written = json.loads(document.read_text(encoding="utf-8"))
    assert written["references"][-1]["population"] == "staff"
    found = {
        (each["reference"], each["quantity"]): each for each in written["levels"][0]["references"]
    }
    assert found["ours", "muscle_hu_range_area_cm2"]["z_score"] == -1.0
    assert found["martin_2025", "skeletal_muscle_index_cm2_m2"]["reason"] == "it was not measured"
