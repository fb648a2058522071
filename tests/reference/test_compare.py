"""A person beside references: numbers worked by hand, and nothing where a reference ends."""

import json

import pytest

from bodycomp.errors import InputNotFoundError, UsageError
from bodycomp.reference.compare import compare_all, value_at, z_score
from bodycomp.reference.table import (
    Curve,
    ReferenceTable,
    Stratum,
    read_reference,
    reference_columns,
    references_with,
    shipped_references,
    write_reference,
)
from bodycomp.subject import Subject

INDEX, ATTENUATION = "skeletal_muscle_index_cm2_m2", "muscle_hu_range_mean_hu"
WOMAN = Subject(1.65, 65.0, "F", "", 60.0)  # BMI 23.9


def said(subject, level="L3", *, has_agent=False, tables=None, **values):
    values = {INDEX: 39.0, **values}
    found = compare_all(tables or shipped_references(), level, values, subject, has_agent=has_agent)
    return {(each.reference, each.quantity): each for each in found}


def test_z_score_of_a_mean_and_sd_worked_by_hand():
    found = said(WOMAN)["tonnesen_2023", INDEX]
    assert found.z_score == pytest.approx(-1.0)  # (39.0 - 45.8) / 6.8
    assert found.percentile == pytest.approx(15.87, abs=0.01)  # table of the normal distribution


def test_z_score_of_a_curve_worked_by_hand():
    curve = Curve(ages=(40.0, 60.0), l=(0.5, 0.5), m=(60.0, 50.0), s=(0.15, 0.15))
    stratum = Stratum(INDEX, "L3", "F", 40, 61, curve=curve)
    # M at 50 is 55; ((44 / 55) ** 0.5 - 1) / (0.5 * 0.15) = (0.894427 - 1) / 0.075
    assert z_score(stratum, 44.0, 50.0) == pytest.approx(-1.40764, abs=1e-5)
    assert value_at(stratum, -1.40764, 50.0) == pytest.approx(44.0, abs=1e-4)


def test_a_shift_takes_values_below_zero():
    curve = Curve(ages=(40.0,), l=(0.0,), m=(100.0,), s=(0.2,), shift=100.0)
    stratum = Stratum(ATTENUATION, "L3", curve=curve)
    assert z_score(stratum, 0.0, None) == pytest.approx(0.0)
    assert z_score(stratum, -18.12692, None) == pytest.approx(-1.0, abs=1e-5)  # 100 exp(-0.2)


def test_limits_are_those_of_age_and_bmi_and_stand_side_by_side():
    found = said(WOMAN)
    assert found["van_der_werf_2018", INDEX].limit == 30.7
    assert found["van_der_werf_2018_bmi", INDEX].limit == 29.9
    assert found["martin_2025", INDEX].limit == 31.2
    assert found["westenberg_2023", INDEX].limit == 31.2
    assert not any(each.below for each in found.values())
    low = said(WOMAN, **{INDEX: 30.0})
    assert low["van_der_werf_2018", INDEX].below is True
    assert low["van_der_werf_2018_bmi", INDEX].below is False


@pytest.mark.parametrize(
    ("subject", "level", "key", "reason"),
    [
        (Subject(sex="F"), "L3", "martin_2025", "depends on age, which is not known"),
        (Subject(age_years=60), "L3", "martin_2025", "depends on sex, which is not known"),
        (Subject(sex="M", age_years=60), "L3", "tonnesen_2023", "has women only"),
        (Subject(sex="F", age_years=93), "L3", "tonnesen_2023", "33 to below 93 years, not of 93"),
        (Subject(sex="F", age_years=19.9), "L3", "martin_2025", "20 and more years, not of 19.9"),
        (Subject(sex="F", age_years=41), "L3", "derstine_2018", "18 to below 41 years, not of 41"),
        (WOMAN, "T12", "martin_2025", "has L3, not T12"),
        (Subject(1.6, None, "F", "", 60), "L3", "van_der_werf_2018_bmi", "body mass index"),
        (Subject(1.6, 99, "F", "", 60), "L3", "van_der_werf_2018_bmi", "35 kg/m2, not of 38.7"),
    ],
)
def test_outside_a_reference_nothing_is_said_with_the_reason(subject, level, key, reason):
    found = said(subject, level)[key, INDEX]
    assert (found.below, found.limit, found.z_score, found.percentile) == (None,) * 4
    assert reason in found.reason


def test_attenuation_is_compared_with_scans_of_the_same_kind_alone():
    young = Subject(sex="F", age_years=30)
    key = "derstine_2018", ATTENUATION
    assert said(young, **{ATTENUATION: 30.0})[key].below is True
    enhanced = said(young, has_agent=True, **{ATTENUATION: 30.0})[key]
    assert enhanced.below is None
    assert "without contrast agent" in enhanced.reason
    stated = Stratum(ATTENUATION, "L3", mean=40.0, sd=5.0)
    for contrast, has_agent in (("agent", False), ("", False), ("", True)):
        own = table_of(stated, contrast=contrast)
        found = said(WOMAN, has_agent=has_agent, tables=[own], **{ATTENUATION: 30.0})
        assert found["own", ATTENUATION].reason


def test_what_was_not_measured_is_not_compared():
    assert said(WOMAN, **{INDEX: None})["martin_2025", INDEX].reason == "it was not measured"


def table_of(*strata, **more):
    words = {"title": "Own", "source": "here", "population": "staff", **more}
    return ReferenceTable(key=words.pop("key", "own"), strata=strata, **words)


def test_a_reference_survives_its_file_and_stands_beside_those_that_ship(tmp_path):
    curve = Curve((40.0, 60.0), (1.0, 0.5), (60.0, 50.0), (0.1, 0.2), low={"5": (40.0, 35.0)},
                  high={"5": (45.0, 39.0)})  # fmt: skip
    own = table_of(Stratum(INDEX, "L3", "F", 40, 61, n=200, curve=curve), n=200)
    write_reference(tmp_path / "own.json", own)
    assert read_reference(tmp_path / "own.json") == own
    assert references_with([tmp_path / "own.json"]) == (*shipped_references(), own)
    assert reference_columns([own], ["muscle"]) == (
        f"ref_own_{INDEX}_z",
        f"ref_own_{INDEX}_percentile",
    )
    assert reference_columns([own], ["subcutaneous_fat"]) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a reference"),
        ('{"schema": "bodycomp.case", "schema_version": 1}', "bodycomp.reference 1"),
        ('{"schema": "bodycomp.reference", "schema_version": 9}', "bodycomp.reference 1"),
        ('{"schema": "bodycomp.reference", "schema_version": 1, "key": "a"}', "title"),
    ],
)
def test_another_file_is_refused(tmp_path, text, message):
    path = tmp_path / "own.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_reference(path)


def test_a_file_that_is_not_there_and_two_of_one_name(tmp_path):
    with pytest.raises(InputNotFoundError, match="expected a reference"):
        read_reference(tmp_path / "none.json")
    twin = table_of(Stratum(INDEX, "L3", mean=50.0, sd=5.0), key="martin_2025")
    write_reference(tmp_path / "twin.json", twin)
    with pytest.raises(UsageError, match="'martin_2025' twice"):
        references_with([tmp_path / "twin.json"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": 50.0},
        {"mean": 50.0, "sd": 0.0},
        {"limit": 30.0, "mean": 50.0, "sd": 5.0},
        {"sex": "X", "mean": 50.0, "sd": 5.0},
        {"curve": {"ages": [60, 40], "l": [1, 1], "m": [50, 50], "s": [0.1, 0.1]}},
        {"curve": {"ages": [40, 60], "l": [1], "m": [50, 50], "s": [0.1, 0.1]}},
        {"curve": {"ages": [40], "l": [1], "m": [-5], "s": [0.1]}},
    ],
)
def test_strata_that_cannot_be_right_are_refused(tmp_path, wrong):
    write_reference(tmp_path / "own.json", table_of(Stratum(INDEX, "L3", mean=50.0, sd=5.0)))
    document = json.loads((tmp_path / "own.json").read_text(encoding="utf-8"))
    document["strata"] = [{"quantity": INDEX, "level": "L3", **wrong}]
    (tmp_path / "own.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(UsageError, match="found none that can be used"):
        read_reference(tmp_path / "own.json")
