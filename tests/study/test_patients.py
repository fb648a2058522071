"""A user's table of heights and sexes, matched to studies."""

import pytest

from bodycomp.errors import InputNotFoundError, UsageError
from bodycomp.study.patients import read_patients
from bodycomp.subject import Subject, subject_from


def write(tmp_path, text):
    path = tmp_path / "patients.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_height_in_cm_or_m_and_any_separator(tmp_path):
    comma = read_patients(write(tmp_path, "patient_id,height_cm,sex\nP7,175,f\n"))
    semicolon = read_patients(write(tmp_path, "Patient_ID;Height_m;Sex\nP7;1,75;F\n"))
    for table in (comma, semicolon):
        found = table.complete({"patient_id": "P7"}, Subject())
        assert (found.height_m, found.sex, found.height_note) == (pytest.approx(1.75), "F", "")


def test_what_the_table_leaves_open_stays_as_the_files_say(tmp_path):
    table = read_patients(write(tmp_path, "study,weight_kg,height_m\nstudy-1,81,\n"))
    header = subject_from(1.8, 70.0, "M")
    assert table.complete({"study": "study-1"}, header) == Subject(1.8, 81.0, "M", "")
    assert table.complete({"study": "study-2"}, header) == header


def test_row_of_the_study_counts_before_that_of_the_patient(tmp_path):
    table = read_patients(write(tmp_path, "patient_id,study,height_m\nP7,,1.6\n,study-1,1.7\n"))
    keys = {"patient_id": "P7", "study": "study-1", "study_uid": ""}
    assert table.complete(keys, Subject()).height_m == 1.7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,height_m\nDoe,1.7\n", "expected columns of patients"),
        ("patient_id,height_m\nP7,175\n", r"line 2, column height_m: expected 0.4..2.6"),
        ("patient_id,height_m\nP7,tall\n", "line 2, column height_m"),
        ("patient_id,height_m,sex\nP7,1.7,X\n", "expected F or M"),
        ("patient_id,height_m\nP7,1.7\nP7,1.8\n", "line 3: expected one row"),
    ],
)
def test_table_that_cannot_be_right_is_refused_without_naming_anyone(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        read_patients(write(tmp_path, text))
    assert "P7" not in str(caught.value)
    assert "Doe" not in str(caught.value)


def test_table_that_is_not_there(tmp_path):
    with pytest.raises(InputNotFoundError, match="table of patients"):
        read_patients(tmp_path / "none.csv")


@pytest.mark.parametrize("height_m", [None, 0.0, 175.0, -1.7, float("nan")])
def test_height_of_a_header_that_cannot_be_right_is_none_with_a_reason(height_m):
    subject = subject_from(height_m, None, "")
    assert subject.height_m is None
    assert subject.height_note
