"""Tables for REDCap: its columns and names, and the numbers of the results or of the review."""

import csv
import re
from pathlib import Path

import pytest

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.cli import main
from bodycomp.errors import InputNotFoundError, OutputError
from bodycomp.quantities import CUT_OFFS, quantities_for
from bodycomp.report.result_rows import result_columns
from bodycomp.study.redcap import write_redcap_tables
from support.reviewed_runs import Run, make_run, table

HEADER = (
    "Variable / Field Name,Form Name,Section Header,Field Type,Field Label,"
    '"Choices, Calculations, OR Slider Labels",Field Note,'
    "Text Validation Type OR Show Slider Number,Text Validation Min,Text Validation Max,"
    "Identifier?,Branching Logic (Show field only if...),Required Field?,Custom Alignment,"
    "Question Number (surveys only),Matrix Group Name,Matrix Ranking?,Field Annotation"
)
"""What REDCap writes above a data dictionary that is downloaded."""
NAME = "Variable / Field Name"
CHOICES = "Choices, Calculations, OR Slider Labels"
VALIDATION = "Text Validation Type OR Show Slider Number"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Run:
    place = tmp_path_factory.mktemp("redcap")
    run = make_run(place, levels={"L3": 61.0, "T4": 900.0}, identifiers=True, report=False)
    assert main(["redcap", str(run.out)]) == 0
    return run


def dictionary(run: Run) -> dict[str, dict[str, str]]:
    return {row[NAME]: row for row in table(run.out / "redcap-dictionary.csv")}


def test_the_dictionary_has_redcaps_header_and_a_row_for_each_column_of_the_data(made):
    lines = (made.out / "redcap-dictionary.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == HEADER
    with (made.out / "redcap.csv").open(encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file))
    fields = dictionary(made)
    assert list(fields) == columns
    assert columns[0] == "record_id"
    assert {*result_columns(())} <= {*columns}
    for name, row in fields.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,99}", name)
        assert row["Form Name"]
        assert row["Field Label"]


def test_each_record_is_a_level_of_a_series_with_the_numbers_of_the_results(made):
    records, results = table(made.out / "redcap.csv"), made.rows()
    assert len({record["record_id"] for record in records}) == len(results) == 4
    for record, row in zip(records, results, strict=True):
        assert record.pop("record_id") == f"{row['study']}_{row['series']}_{row['level']}"
        assert record == row
    assert {row["status"] for row in results} == {"found", "absent"}


def test_values_are_those_that_the_dictionary_allows(made):
    fields = dictionary(made)
    numbers = 0
    for record in table(made.out / "redcap.csv"):
        for name, value in record.items():
            row = fields[name]
            if value and row[CHOICES]:
                codes = [choice.split(", ")[0] for choice in row[CHOICES].split(" | ")]
                assert value in codes
                assert row["Field Type"] == "radio"
            if value and row[VALIDATION] == "integer":
                assert int(value) == float(value)
            if value and row[VALIDATION] == "number":
                numbers += bool(float(value) or True)
    assert numbers > 50


def test_titles_units_and_formulas_come_from_the_one_table(made):
    fields = dictionary(made)
    for kind in quantities_for(tuple(tissue.key for tissue in ABDOMINAL_TISSUES)):
        row = fields[kind.key]
        assert row["Field Label"] == f"{kind.title} ({kind.unit})"
        assert row["Field Note"] == kind.formula
        assert row[VALIDATION] == "number"
    for cut_off in CUT_OFFS:
        assert fields[cut_off.key][CHOICES] == "yes, yes | no, no"
    labels = [row["Field Label"] for row in fields.values()]
    assert len({*labels}) == len(labels)
    sections = [row["Section Header"] for row in fields.values() if row["Section Header"]]
    assert sections[:3] == ["Scan and level", "Muscle", "Subcutaneous fat"]
    named = {name for name, row in fields.items() if row["Identifier?"] == "y"}
    assert named == {"patient_id", "study_uid", "series_uid", "study_date", "source_path"}


def test_of_a_reviewed_run_it_is_the_review_that_counts(tmp_path):
    run = make_run(tmp_path, patients=2, report=False)
    run.apply(run.review(run.review_row(verdict="reject", comment="implant")))
    data, _ = write_redcap_tables(run.out)
    rejected, kept = table(data)
    assert (rejected["status"], rejected["muscle_area_cm2"]) == ("rejected", "")
    assert float(kept["muscle_area_cm2"]) > 0
    assert dictionary(run)["status"][CHOICES].endswith("rejected, rejected")


def test_what_is_no_run_or_no_field_is_refused(tmp_path: Path):
    with pytest.raises(InputNotFoundError, match=r"found no results\.csv"):
        write_redcap_tables(tmp_path)
    (tmp_path / "results.csv").write_text(
        "study,series,level,ref_Own_muscle_area_cm2_z\na,b,L3,1\n"
    )
    with pytest.raises(OutputError, match="ref_Own_muscle"):
        write_redcap_tables(tmp_path)
    assert not (tmp_path / "redcap.csv").exists()
