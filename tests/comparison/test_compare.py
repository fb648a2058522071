"""From runs to what changed: who is compared with whom, what is warned of, and what is written."""

import csv
import json
import shutil
import subprocess
from dataclasses import replace

import pydicom
import pytest

from bodycomp import compare
from bodycomp.comparison.alike import differences
from bodycomp.comparison.repeatability import Repeatability, write_repeatability
from bodycomp.errors import InputNotFoundError, OutputError, UsageError
from support.follow_up_runs import HEADER, Visit, analyzed, later

AREA = "muscle_hu_range_area_cm2"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Two scans, 365 days apart: the muscle loses 4 of 44 columns, 3.2 of 35.2 cm2."""
    folder = tmp_path_factory.mktemp("measured")
    return analyzed(folder, Visit(40, later("20201231")), Visit(44, HEADER))


@pytest.fixture
def repeats(tmp_path):
    """Two measurements of this muscle differ by 1 cm2 in 5 % of cases, its attenuation by 2 HU."""
    limit = 1.0 / (36.2 + 33.0) ** 0.5
    found = Repeatability(
        "of a test", "made up", 40, root_area={AREA: limit}, absolute={"muscle_hu_range_mean_hu": 2}
    )
    write_repeatability(tmp_path / "repeats.json", found)
    return tmp_path / "repeats.json"


def rows(out):
    with (out / "comparison.csv").open(encoding="utf-8", newline="") as file:
        return {row["quantity"]: row for row in csv.DictReader(file)}


def test_change_rate_and_chance_of_a_person_who_lost_muscle(measured, repeats, tmp_path):
    found = compare([measured], tmp_path / "out", repeatability=repeats)

    (person,) = found.people
    assert person.patient.startswith("patient-")
    row = rows(tmp_path / "out")[AREA]
    assert (float(row["earlier"]), float(row["later"])) == (35.2, 32.0)
    assert float(row["difference"]) == pytest.approx(-3.2)
    assert float(row["days"]) == 365
    assert float(row["per_month"]) == pytest.approx(-3.2 / 365 * 365.25 / 12, abs=1e-4)
    assert float(row["smallest_detectable_change"]) == pytest.approx(1.0, abs=1e-4)
    assert (float(row["low"]), float(row["high"])) == pytest.approx((-4.2, -2.2), abs=1e-4)
    assert float(row["probability"]) == pytest.approx(1.0, abs=1e-4)
    assert (row["beyond_detectable"], row["scans_differ_in"]) == ("yes", "")
    index = rows(tmp_path / "out")["skeletal_muscle_index_cm2_m2"]  # of somebody of 2 m
    assert float(index["difference"]) == pytest.approx(-0.8)
    assert float(index["smallest_detectable_change"]) == pytest.approx(0.25, abs=1e-4)
    hu = rows(tmp_path / "out")["muscle_hu_range_mean_hu"]
    assert (float(hu["difference"]), float(hu["probability"])) == (0, 0.5)


def test_several_sources_of_a_limit_stand_beside_each_other(measured, repeats, tmp_path):
    found = compare([measured], tmp_path / "out", repeatability=repeats)

    change = found.people[0].levels[0].pairs[0].changes[0]
    assert [each.limit for each in change.detectable] == pytest.approx([1.0, 5.6])
    assert "van der Werf" in change.detectable[1].source
    compare([measured], tmp_path / "published")
    row = rows(tmp_path / "published")[AREA]  # nobody measured how the stand-ins repeat
    assert (float(row["smallest_detectable_change"]), row["beyond_detectable"]) == (5.6, "no")
    fat = rows(tmp_path / "published")["subcutaneous_fat_hu_range_area_cm2"]
    assert (fat["smallest_detectable_change"], fat["probability"]) == ("", "")
    assert "not known" in fat["reason"]


@pytest.mark.parametrize(
    ("changes", "key", "explains"),
    [
        ({"kvp": 100.0}, "kvp", True),
        ({"contrast_agent": "Iohexol", "series_description": "portal"}, "contrast", True),
        ({"slice_thickness_mm": 2.0}, "thickness", False),
        ({"kernel": "BONE"}, "kernel", False),
        ({"model": "Two"}, "scanner", False),
        ({"patient_height_m": 1.9}, "height", False),
    ],
)
def test_every_mixed_pair_is_warned(changes, key, explains, repeats, tmp_path):
    run = analyzed(tmp_path, Visit(44, HEADER), Visit(40, later("20201231", **changes)))

    found = compare([run], tmp_path / "out", repeatability=repeats)

    row = rows(tmp_path / "out")[AREA]
    assert row["scans_differ_in"] == key
    assert (row["explained_by"] == key, row["probability"] == "") == (explains, explains)
    (pair,) = found.people[0].levels[0].pairs
    (unlike,) = (each for each in pair.differences if each.is_certain)
    page = next((tmp_path / "out").glob("patient-*.html")).read_text()
    assert f"{unlike.title} differs: {unlike.earlier}, then {unlike.later}" in page
    assert unlike.effects
    assert ("not known" in unlike.effects[0]) == (key in ("thickness", "kernel", "scanner"))
    if key == "height":
        index = rows(tmp_path / "out")["skeletal_muscle_index_cm2_m2"]
        assert index["explained_by"] == "height"


def test_another_model_is_a_difference_too(measured, tmp_path):
    (person,) = compare([measured], tmp_path / "out").people
    scans = person.scans
    other = {**scans[1].rows["L3"], "segmentation_model": "dddddddddddd"}

    assert [each.key for each in differences(scans[0].rows["L3"], other)] == ["models"]


def test_attenuation_of_an_enhanced_scan_raw_and_corrected(repeats, tmp_path):
    enhanced = later("20201231", contrast_agent="Iohexol", series_description="portal venous")
    run = analyzed(tmp_path, Visit(44, HEADER), Visit(44, enhanced, hu=55))

    found = compare([run], tmp_path / "out", repeatability=repeats)

    (level,) = found.people[0].levels
    assert list(level.corrected) == [1]
    values = {each.key: each.corrected_hu for each in level.corrected[1]}
    assert values == pytest.approx(
        {"paraspinal": 47.5, "van_vugt_2018": 47.2, "akamatsu_2026": 47.2}
    )
    row = rows(tmp_path / "out")["muscle_hu_range_mean_hu"]
    assert (float(row["later"]), row["explained_by"]) == (55, "contrast")  # raw, as measured


def test_a_level_of_one_scan_alone_is_refused(tmp_path):
    first = analyzed(tmp_path, Visit(44, HEADER))
    text = (first / "results.csv").read_text()
    row = next(csv.DictReader(text.splitlines()))
    second = tmp_path / "second"
    shutil.copytree(first, second)
    study = "study-000000000000"
    changed = text.replace(row["study"], study).replace(",L3,found", ",L4,found")
    (second / "results.csv").write_text(changed)
    table = tmp_path / "scans.csv"
    table.write_text(f"study;patient;date\n{row['study']};p1;2020-01-01\n{study};p1;2020-06-01\n")

    found = compare([first, second], tmp_path / "out", scans=table)

    assert "found L3, then L4" in found.people[0].refused
    assert rows(tmp_path / "out") == {}
    assert "found L3, then L4" in (tmp_path / "out" / "p1.html").read_text()


def test_runs_of_one_key_are_joined_and_others_refused(measured, tmp_path):
    key = measured.with_name("measured.pseudonym-key")
    joined = analyzed(
        tmp_path, Visit(36, later("20210601")), name="joined", pseudonym_key=key, previews=False
    )
    found = compare([measured, joined], tmp_path / "out")
    (person,) = found.people
    areas = [scan.rows["L3"][AREA] for scan in person.scans]
    assert areas == pytest.approx([35.2, 32.0, 28.8])
    pairs = [(pair.earlier, pair.later) for pair in person.levels[0].pairs]
    assert pairs == [(0, 1), (1, 2), (0, 2)]
    other = analyzed(tmp_path, Visit(36, later("20210601")), name="other", previews=False)
    with pytest.raises(UsageError, match="one pseudonym key, found 2"):
        compare([measured, other], tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_nothing_names_the_person_or_a_date(measured, tmp_path):
    compare([measured], tmp_path / "out", dicom=["sr"])

    for path in (*(tmp_path / "out").iterdir(), measured / "series.csv"):
        content = path.read_bytes()
        for secret in (b"SECRET-7", b"Doe", b"20200101", b"20201231", b"2020-01-01"):
            assert secret not in content, path.name
    with (measured / "series.csv").open(newline="") as file:
        days = [int(row["study_day"]) for row in csv.DictReader(file)]
    assert abs(days[0] - days[1]) == 365


def test_page_shows_both_slices_at_one_scale(measured, tmp_path):
    compare([measured], tmp_path / "out")

    page = next((tmp_path / "out").glob("*.html")).read_text()
    assert page.count("<image ") == 2
    assert page.count('<path class="outline"') == 6
    boxes = {part.split('"')[0] for part in page.split('<svg viewBox="')[1:]}
    assert len(boxes - {"0 0 380 190"}) == 1
    assert "default-src 'none'; img-src data:; style-src 'sha256-" in page
    assert "<script" not in page


def test_report_says_what_changed_by_the_means_of_tid_1500(measured, repeats, tmp_path):
    found = compare([measured], tmp_path / "out", repeatability=repeats, dicom=["sr"])

    (path,) = (tmp_path / "out").glob("*.dcm")
    report = pydicom.dcmread(path)
    reports = [pydicom.dcmread(s.folder / "measurements.dcm") for s in found.people[0].scans]
    assert report.StudyInstanceUID == reports[1].StudyInstanceUID
    assert report.PatientID == found.people[0].patient
    parts = {part.ConceptNameCodeSequence[0].CodeMeaning: part for part in report.ContentSequence}
    groups = parts["Imaging Measurements"].ContentSequence
    tracked = [item.UID for g in groups for item in g.ContentSequence if item.ValueType == "UIDREF"]
    assert len(tracked) == 2 * len(set(tracked))  # the same thing in both scans
    derived = parts["Derived Imaging Measurements"].ContentSequence
    change = derived[0]
    assert change.ConceptNameCodeSequence[0].CodeValue == "CHANGE"
    assert float(change.MeasuredValueSequence[0].NumericValue) == pytest.approx(-3.2)
    values = []
    for child in change.ContentSequence[:2]:
        assert child.RelationshipType == "INFERRED FROM"
        item = report
        for at in child.ReferencedContentItemIdentifier[1:]:
            item = item.ContentSequence[at - 1]
        values.append(float(item.MeasuredValueSequence[0].NumericValue))
    assert values == pytest.approx([32.0, 35.2])
    assert change.ContentSequence[2].ConceptCodeSequence[0].CodeMeaning == "Significant"


@pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="no dciodvfy: apt-get install dicom3tools"
)
def test_report_passes_the_validators(measured, tmp_path):
    compare([measured], tmp_path / "out", dicom=["sr"])
    (path,) = (tmp_path / "out").glob("*.dcm")
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []
    if shutil.which("dsrdump"):
        done = subprocess.run(["dsrdump", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert [line for line in done.stderr.splitlines() if not line.startswith("W: The VR")] == []


def test_what_cannot_be_compared_says_why(measured, tmp_path):
    with pytest.raises(InputNotFoundError, match="patient-0"):
        compare([measured], tmp_path / "out", patient=["patient-0"])
    with pytest.raises(InputNotFoundError, match="results"):
        compare([tmp_path], tmp_path / "out")
    once = analyzed(tmp_path, Visit(44, HEADER), previews=False)
    with pytest.raises(InputNotFoundError, match="scanned twice"):
        compare([once], tmp_path / "out")
    (tmp_path / "table.csv").write_text("study,patient,date\nstudy-1,../p,2020-01-01\n")
    with pytest.raises(UsageError, match="line 2"):
        compare([measured], tmp_path / "out", scans=tmp_path / "table.csv")
    (tmp_path / "table.csv").write_text("study,patient,date\nstudy-1,p,1.5.2020\n")
    with pytest.raises(UsageError, match="a date such as"):
        compare([measured], tmp_path / "out", scans=tmp_path / "table.csv")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(UsageError, match="repeatability"):
        compare([measured], tmp_path / "out", repeatability=tmp_path / "bad.json")
    with pytest.raises(OutputError, match="a comparison to replace"):
        compare([measured], once, overwrite=True)
    assert (once / "results.csv").is_file()


def test_without_reports_of_the_scans_there_is_no_report_of_changes(tmp_path):
    visits = Visit(44, HEADER), Visit(40, later("20201231"))
    run = analyzed(tmp_path, *visits, dicom=frozenset(), previews=False)

    found = compare([run], tmp_path / "out", dicom=["sr"])

    assert any("no structured report" in note for note in found.notes)
    assert list((tmp_path / "out").glob("*.dcm")) == []
    assert "No pictures were kept" in next((tmp_path / "out").glob("*.html")).read_text()


def test_what_a_reviewer_rejected_is_left_out(tmp_path):
    visits = [Visit(40, later("20201231")), Visit(44, HEADER), Visit(42, later("20210601"))]
    run = analyzed(tmp_path, *visits, previews=False)
    table = list(csv.DictReader((run / "results.csv").read_text().splitlines()))
    (second,) = (row for row in table if float(row["muscle_area_cm2"]) == 32.0)
    second |= {"status": "rejected", "reason": "rejected by reviewer", "muscle_area_cm2": ""}
    with (run / "reviewed.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(table)

    (person,) = compare([run], tmp_path / "out").people

    (level,) = person.levels
    assert level.scans == (0, 2)
    assert level.left_out == {1: "rejected: rejected by reviewer"}
    document = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert document["people"][0]["levels"][0]["left_out"] == {"1": "rejected: rejected by reviewer"}


def test_same_day_has_no_rate(tmp_path):
    again = replace(HEADER, seed="again")
    run = analyzed(tmp_path, Visit(44, HEADER), Visit(40, again), previews=False)
    compare([run], tmp_path / "out")
    row = rows(tmp_path / "out")[AREA]
    assert (float(row["days"]), row["per_month"]) == (0, "")
