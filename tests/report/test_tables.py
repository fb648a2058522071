"""Tables and JSON: every value in a column with its unit, nothing half-written."""

import csv
import json

import numpy as np
import pytest

from bodycomp.anatomy import ABDOMINAL_TISSUES, THORACIC_TISSUES
from bodycomp.errors import OutputError
from bodycomp.imaging.volume import Volume
from bodycomp.report.result_json import write_result_json
from bodycomp.report.result_rows import SeriesKey, result_columns, result_rows
from bodycomp.results import LevelResult, LevelStatus, Measurement, SeriesResult, SliceChoice
from bodycomp.scan import Scan
from bodycomp.subject import Acquisition
from bodycomp.tables import open_table

KEY = SeriesKey("study-1", "series-2")
SCAN = Scan(
    Volume(np.zeros((3, 4, 4), np.int16), (1.0, 1.0), np.arange(3.0)),
    "DICOM",
    acquisition=Acquisition(kvp=120.0, kernel="B30f"),
)


@pytest.fixture
def result():
    curve = np.array([-5.0, 1.23456789, 6.0], np.float32)
    found = SliceChoice("L3", LevelStatus.FOUND, "", 1, 3.8, curve, curve, 1)
    absent = SliceChoice("T5", LevelStatus.ABSENT, "above", None, None, -curve, -curve, 0)
    measured = {
        "muscle": Measurement(123.456789, 30.0, 31.0, 12.0, 15.0, 0.0),
        "subcutaneous_fat": Measurement(0.0, None, None, None, None, None),
        "visceral_fat": Measurement(80.0, -95.0, -96.0, 11.0, 13.0, 0.25),
    }
    masks = {1: np.zeros((4, 4), np.uint8)}
    return SeriesResult(
        ABDOMINAL_TISSUES,
        (LevelResult(found, (1,), measured, masks), LevelResult(absent)),
        {"slice_selection": "aa", "segmentation": "bb"},
    )


def write(path, result, key=KEY, identifiers=()):
    with open_table(path, result_columns(ABDOMINAL_TISSUES, identifiers)) as table:
        for row in result_rows(key, SCAN, result):
            table.append(row)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_per_level_with_units_in_the_names(tmp_path, result):
    found, absent = write(tmp_path / "results.csv", result)

    assert found["muscle_area_cm2"] == "123.4568"
    assert found["visceral_fat_border_fraction"] == "0.25"
    assert found["offset_mm"] == "1.2346"
    assert (found["kvp"], found["segmentation_model"]) == ("120.0", "bb")
    assert absent["status"] == "absent"
    assert absent["reason"] == "above"


def test_what_was_not_measured_is_empty_and_zero_is_zero(tmp_path, result):
    found, absent = write(tmp_path / "results.csv", result)

    assert found["subcutaneous_fat_area_cm2"] == "0.0"
    assert found["subcutaneous_fat_mean_hu"] == ""
    assert absent["muscle_area_cm2"] == ""
    assert absent["level_z_mm"] == ""


def test_rows_fill_exactly_the_columns(result):
    columns = result_columns(ABDOMINAL_TISSUES)
    assert len(set(columns)) == len(columns)
    assert all(set(row) == set(columns) for row in result_rows(KEY, SCAN, result))
    assert not any("visceral" in column for column in result_columns(THORACIC_TISSUES))


def test_identifiers_are_columns_only_when_given(tmp_path, result):
    assert "patient_id" not in write(tmp_path / "a.csv", result)[0]
    key = SeriesKey("s", "t", {"patient_id": "P7"})
    assert write(tmp_path / "b.csv", result, key, ["patient_id"])[0]["patient_id"] == "P7"


def test_unknown_column_is_refused_and_no_table_is_left(tmp_path):
    with (
        pytest.raises(OutputError, match="columns"),
        open_table(tmp_path / "t.csv", ["a"]) as table,
    ):
        table.append({"b": 1})
    assert list(tmp_path.iterdir()) == []


def test_json_holds_the_curve_and_the_measurements(tmp_path, result):
    write_result_json(tmp_path / "results.json", KEY, SCAN, result)

    document = json.loads((tmp_path / "results.json").read_text())
    assert (document["schema"], document["schema_version"]) == ("bodycomp.series-result", 1)
    found, absent = document["levels"]
    assert found["measurements"]["muscle"]["area_cm2"] == 123.4568
    assert found["offset_mm"] == [-5.0, 1.2346, 6.0]
    assert absent["measurements"] == {}
    assert absent["z_mm"] is None
