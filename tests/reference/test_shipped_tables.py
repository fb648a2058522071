"""Every value that ships is the article's; the numbers here were typed from the articles' text."""

from pathlib import Path

import pytest

from bodycomp.reference.table import shipped_references
from bodycomp.subject import SEXES

INDEX, AREA = "skeletal_muscle_index_cm2_m2", "muscle_hu_range_area_cm2"
ATTENUATION = "muscle_hu_range_mean_hu"
TABLES = {table.key: table for table in shipped_references()}
DECADES = [(age, age + 10) for age in range(20, 80, 10)]
BMI = [(17, 20), (20, 25), (25, 30), (30, 35)]

# van der Werf 2018, table 3: men then women, each all BMIs, 17-20, 20-25, 25-30, 30-35; by decade.
VAN_DER_WERF = {
    INDEX: """
        44.9 37.4 42.5 48.7 54.8  36.7 28.5 33.7 39.6 45.1
        43.4 35.9 41.0 47.2 53.3  35.3 28.7 32.8 37.6 42.2
        41.8 34.3 39.4 45.6 51.7  33.9 28.8 31.8 35.6 39.2
        40.2 32.7 37.7 43.9 50.0  32.3 28.7 30.9 33.5 36.1
        38.6 31.0 36.1 42.3 48.4  30.7 28.5 29.9 31.4 32.9
        36.9 29.3 34.4 40.6 46.7  28.9 28.2 28.8 29.3 29.5""",
    AREA: """
        153.0 131.4 145.4 162.6 179.3  111.2 88.2 102.7 119.4 134.7
        146.1 124.3 138.3 155.5 172.2  104.9 86.8 97.9 111.2 123.7
        139.0 117.1 131.2 148.3 165.0  98.3 85.1 93.1 102.9 112.3
        131.8 109.8 123.8 141.0 157.7  91.5 83.0 88.2 94.4 100.6
        124.5 102.3 116.4 133.6 150.3  84.5 80.7 83.1 85.9 88.4
        116.9 94.8 108.8 126.0 142.7  77.3 78.0 78.0 77.3 75.9""",
}

# Tonnesen 2023, table 2 (women): T5, T8, T10, L3, each <45, 45-54, 55-64, 65-74, >=75.
TONNESEN = {
    AREA: """
        156.7 (22.2) 145.0 (19.8) 134.8 (17.2) 128.6 (15.7) 119.2 (16.7)
        83.7 (12.4) 79.3 (12.5) 72.4 (10.9) 68.1 (10.4) 64.2 (10.7)
        70.9 (11.3) 67.5 (11.2) 62.4 (9.9) 58.6 (9.7) 54.9 (9.2)
        120.9 (18.4) 119.5 (18.5) 110.6 (16.3) 104.5 (15.8) 99.5 (16.0)""",
    INDEX: """
        63.4 (9.3) 58.1 (8.2) 55.8 (7.9) 54.7 (7.3) 52.0 (7.4)
        33.5 (5.2) 31.9 (5.2) 30.0 (5.0) 28.9 (4.8) 28.0 (4.6)
        28.4 (4.8) 27.2 (4.6) 25.9 (4.4) 24.8 (4.2) 23.9 (4.0)
        48.2 (7.1) 48.0 (7.2) 45.8 (6.8) 44.3 (6.5) 43.5 (6.7)""",
}
TONNESEN_N = (
    "88 360 355 237 113 265 569 489 319 169 277 583 495 315 167 279 588 500 321 171"  # T5 .. L3
)

# Westenberg 2023, abstract: men, then women, by decade.
WESTENBERG = (38.8, 39.2, 39.9, 39.0, 37.0, 36.8, 37.5, 35.5, 32.8, 33.2, 31.2, 31.5)
LIMITS = {
    "derstine_2018": {
        (INDEX, "F", (18, 41)): 34.4,
        (INDEX, "M", (18, 41)): 45.4,
        (AREA, "F", (18, 41)): 92.2,
        (AREA, "M", (18, 41)): 144.3,
        (ATTENUATION, "F", (18, 41)): 34.3,
        (ATTENUATION, "M", (18, 41)): 38.5,
    },
    "martin_2025": {
        (INDEX, "M", (20, 40)): 43.7,
        (INDEX, "M", (40, 60)): 44.9,
        (INDEX, "M", (60, None)): 39.7,
        (INDEX, "F", (20, 40)): 33.8,
        (INDEX, "F", (40, 60)): 34.8,
        (INDEX, "F", (60, None)): 31.2,
    },
    "westenberg_2023": {
        (INDEX, sex, decade): limit
        for sex, limits in (("M", WESTENBERG[:6]), ("F", WESTENBERG[6:]))
        for decade, limit in zip(DECADES, limits, strict=True)
    },
}


def limits_of(key):
    return {
        (e.quantity, e.sex, (e.age_from, e.age_below)): e.limit
        for e in TABLES[key].strata
        if e.level == "L3" and (e.bmi_from, e.bmi_below) == (None, None)
    }


def rows_of(text):
    numbers = [float(each) for each in text.split()]
    return [numbers[at : at + 10] for at in range(0, 60, 10)]


def test_these_references_ship():
    assert list(TABLES) == sorted(
        {*LIMITS, "jang_2019", "tonnesen_2023", "van_der_werf_2018", "van_der_werf_2018_bmi"}
    )


@pytest.mark.parametrize("key", LIMITS)
def test_limits_are_those_of_the_abstract(key):
    assert limits_of(key) == LIMITS[key]
    assert len(TABLES[key].strata) == len(LIMITS[key])


def test_van_der_werf_is_table_3():
    by_age = limits_of("van_der_werf_2018")
    by_bmi = {
        (e.quantity, e.sex, (e.age_from, e.age_below), (e.bmi_from, e.bmi_below)): e.limit
        for e in TABLES["van_der_werf_2018_bmi"].strata
    }
    assert (len(by_age), len(by_bmi)) == (24, 96)
    for quantity, text in VAN_DER_WERF.items():
        for decade, row in zip(DECADES, rows_of(text), strict=True):
            for sex, cells in (("M", row[:5]), ("F", row[5:])):
                assert by_age[quantity, sex, decade] == cells[0]
                for bounds, cell in zip(BMI, cells[1:], strict=True):
                    assert by_bmi[quantity, sex, decade, bounds] == cell


def test_tonnesen_is_table_2():
    strata = TABLES["tonnesen_2023"].strata
    assert {each.sex for each in strata} == {"F"}
    for quantity, text in TONNESEN.items():
        own = [each for each in strata if each.quantity == quantity]
        assert [f"{e.mean:.1f} ({e.sd:.1f})" for e in own] == [
            f"{mean} {sd}" for mean, sd in zip(text.split()[::2], text.split()[1::2], strict=True)
        ]
        assert [e.level for e in own[::5]] == ["T5", "T8", "T10", "L3"]
        assert [e.n for e in own] == list(map(int, TONNESEN_N.split()))
        bounds = [(33, 45), (45, 55), (55, 65), (65, 75), (75, 93)]
        assert [(e.age_from, e.age_below) for e in own] == bounds * 4


def test_jang_has_the_ends_that_its_abstract_states():
    strata = TABLES["jang_2019"].strata
    found = [(e.quantity, e.level, e.sex, e.age_from, e.age_below, e.mean, e.sd) for e in strata]
    assert found == [
        ("trabecular_hu", "L1", "", 18, 30, 226, 44),
        ("trabecular_hu", "L1", "", 90, None, 89, 38),
    ]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_provenance_is_stated_and_nothing_is_called_normal(table):
    assert all((table.title, table.source, table.table, table.population, table.ages))
    assert table.contrast_words
    assert "normal values" not in (words := f"{table}".lower())
    assert "healthy people" not in words
    assert all(stratum.sex in ("", *SEXES) for stratum in table.strata)
    page = Path(__file__).parents[2] / "docs" / "reference-values.md"
    text = page.read_text(encoding="utf-8")
    assert f"`{table.key}`" in text
    assert table.source in text
