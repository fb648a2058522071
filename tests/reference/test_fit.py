"""Curves of a group's own: they find percentiles that are known, and stay out where they cannot."""

from statistics import NormalDist

import numpy as np
import pytest

from bodycomp.cli import main
from bodycomp.errors import InputNotFoundError, OutputError, UsageError
from bodycomp.reference.compare import compare_all, value_at
from bodycomp.reference.fit import fit_reference
from bodycomp.reference.lms import fit_lms, percentiles_at
from bodycomp.reference.options import FitOptions
from bodycomp.reference.table import read_reference
from bodycomp.subject import Subject

INDEX, ATTENUATION = "skeletal_muscle_index_cm2_m2", "muscle_hu_range_mean_hu"
POWER = {"F": -0.5, "M": 0.4}


def median(age, sex):
    """Muscle that falls ever faster from 35 years on."""
    return (44 if sex == "F" else 54) - 0.05 * (age - 20) - 0.002 * np.clip(age - 35, 0, None) ** 2


def spread(age):
    return 0.12 + 0.0008 * (age - 20)


def drawn(rng, age, sex):
    z, power = rng.standard_normal(len(age)), POWER[sex]
    return median(age, sex) * (1 + power * spread(age) * z) ** (1 / power)


def true_percentile(value, age, sex):
    power = POWER[sex]
    z = ((value / median(age, sex)) ** power - 1) / (power * spread(age))
    return 100 * np.vectorize(NormalDist().cdf)(z)


def cohort(path, count, sexes="FM", **columns):
    """Write people from 20 to 85 years, as many of each sex."""
    rng = np.random.default_rng(5)
    names = ["study", "level", "sex", "age_years", INDEX, *columns]
    lines = [",".join(names)]
    for sex in sexes:
        age = rng.uniform(20, 85, count // len(sexes))
        for at, (years, value) in enumerate(zip(age, drawn(rng, age, sex), strict=True)):
            more = [str(column(at)) for column in columns.values()]
            lines.append(",".join([f"{sex}{at}", "L3", sex, f"{years}", f"{value}", *more]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def options(tmp_path, **more):
    return FitOptions(
        **{
            "cohort": tmp_path / "c.csv",
            "out": tmp_path / "ours.json",
            "population": "simulated",
            **more,
        }
    )


def test_10_000_people_give_back_the_percentiles_within_2_points(tmp_path):
    cohort(tmp_path / "c.csv", 10_000, sexes="F")
    found = fit_reference(options(tmp_path))
    assert read_reference(tmp_path / "ours.json") == found.table
    assert [(each.sex, each.n) for each in found.table.strata] == [("F", 10_000)]
    for stratum in found.table.strata:
        ages = np.array(stratum.curve.ages)
        assert (ages[0], ages[-1]) == (20, 84)
        for percentile, values in percentiles_at(stratum.curve, ages).items():
            away = true_percentile(values, ages, stratum.sex) - percentile
            by_decade = [
                away[(ages >= low) & (ages < low + 10)].mean() for low in range(20, 80, 10)
            ]
            assert np.abs(by_decade).max() < 2.0
            assert abs(away.mean()) < 1.0
            z = NormalDist().inv_cdf(percentile / 100)
            assert value_at(stratum, z, 50.0) == pytest.approx(values[ages == 50][0])


def test_confidence_intervals_hold_the_truth_as_often_as_they_say():
    ages, held = np.arange(30.0, 80.0, 10.0), []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        age = rng.uniform(20, 85, 400)
        curve = fit_lms(age, drawn(rng, age, "F")).curve(ages)
        for name in ("5", "50", "95"):
            z, power = NormalDist().inv_cdf(float(name) / 100), POWER["F"]
            truth = median(ages, "F") * (1 + power * spread(ages) * z) ** (1 / power)
            held.append((truth >= curve.low[name]) & (truth <= curve.high[name]))
    assert (
        0.8 <= np.mean(held) <= 1.0
    )  # a little less than 0.95: the number of knots is chosen, too


def test_the_person_of_the_median_and_of_the_5th_percentile(tmp_path):
    cohort(tmp_path / "c.csv", 2000)
    table = fit_reference(options(tmp_path)).table
    who = Subject(sex="F", age_years=50.0)
    values = {INDEX: median(50.0, "F")}
    (found,) = compare_all([table], "L3", values, who, has_agent=False)
    assert found.percentile == pytest.approx(50, abs=6)
    old = Subject(sex="F", age_years=90.0)
    assert "not of 90" in compare_all([table], "L3", values, old, has_agent=False)[0].reason


def test_values_below_zero_and_no_ages(tmp_path):
    rng = np.random.default_rng(2)
    values = rng.normal(5.0, 10.0, 3000)
    curve = fit_lms(None, values, shift=100.0).curve([0.0])
    found = percentiles_at(curve, [0.0])
    for percentile, value in found.items():
        assert value[0] == pytest.approx(np.quantile(values, percentile / 100), abs=0.7)


def test_small_groups_are_left_out_and_named(tmp_path):
    cohort(tmp_path / "c.csv", 300)
    lines = (tmp_path / "c.csv").read_text(encoding="utf-8").splitlines()
    men = [line for line in lines if ",M," in line]
    few_men = [line for line in lines if line not in men] + men[:60]
    (tmp_path / "c.csv").write_text("\n".join(few_men) + "\n", encoding="utf-8")
    found = fit_reference(options(tmp_path))
    assert [each.sex for each in found.table.strata] == ["F"]
    assert found.left_out == (f"{INDEX} at L3, sex M: 60 people",)
    both = fit_reference(options(tmp_path, by=("age",), overwrite=True))
    assert [(each.sex, each.n) for each in both.table.strata] == [("", 210)]
    with pytest.raises(UsageError, match="at least 500 people"):
        fit_reference(options(tmp_path, min_n=500, overwrite=True))


def test_further_scans_of_a_person_and_rows_without_a_level_do_not_count(tmp_path):
    cohort(tmp_path / "c.csv", 400, status=lambda at: "absent" if at < 20 else "found")
    text = (tmp_path / "c.csv").read_text(encoding="utf-8")
    (tmp_path / "c.csv").write_text(text + text.split("\n", 1)[1], encoding="utf-8")
    found = fit_reference(options(tmp_path))
    assert [each.n for each in found.table.strata] == [180, 180]
    assert found.notes == (
        "left out: 80 rows without a measured level",
        "left out: 360 further rows of one study at one level",
    )


@pytest.mark.parametrize(("contrast", "number"), [(None, 100), ("none", 100), ("agent", 50)])
def test_attenuation_is_fitted_of_scans_of_one_kind(tmp_path, contrast, number):
    cohort(
        tmp_path / "c.csv",
        300,
        **{
            ATTENUATION: lambda at: 40 + at % 7,
            "quality_flags": lambda at: "contrast_agent" if at % 3 == 0 else "noise",
        },
    )
    table = fit_reference(options(tmp_path, contrast=contrast, min_n=50)).table
    counts = {each.quantity: each.n for each in table.strata}
    assert counts == {INDEX: 150, ATTENUATION: number}
    assert table.contrast == (contrast or "none")


def test_without_flags_attenuation_needs_a_word_on_contrast(tmp_path):
    cohort(tmp_path / "c.csv", 300, **{ATTENUATION: lambda at: 40 + at % 7})
    assert fit_reference(options(tmp_path)).table.quantities == (INDEX,)
    with pytest.raises(UsageError, match="quality_flags"):
        fit_reference(options(tmp_path, quantities=(ATTENUATION,), overwrite=True))
    stated = fit_reference(options(tmp_path, contrast="agent", overwrite=True)).table
    assert stated.quantities == (INDEX, ATTENUATION)
    assert stated.contrast == "agent"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("level,sex,age_years\nL3,F,50\n", "skeletal_muscle_index_cm2_m2"),
        (f"level,sex,{INDEX}\nL3,F,50\n", "columns age_years"),
        (f"sex,age_years,{INDEX}\nF,50,40\n", "columns level"),
        (f"level,sex,age_years,{INDEX}\nL3,F,50,tall\n", "line 2, column skeletal.*'tall'"),
        (
            f"level,sex,age_years,{INDEX}\nL3,F,500,40\n",
            "line 2, column age_years: expected 0..120",
        ),
        (f"level,sex,age_years,{INDEX}\nL3,F,50,40\n", "1 people; .* 0 people"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(tmp_path, text, message):
    (tmp_path / "c.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        fit_reference(options(tmp_path))
    assert not (tmp_path / "ours.json").exists()


def test_files_that_are_there_or_not_and_names(tmp_path):
    with pytest.raises(InputNotFoundError):
        fit_reference(options(tmp_path))
    (tmp_path / "ours.json").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="there already"):
        fit_reference(options(tmp_path))
    with pytest.raises(UsageError, match="--name"):
        options(tmp_path, name="Our people")
    with pytest.raises(UsageError, match="who the people are"):
        options(tmp_path, population=" ")


def test_command_says_what_there_is_and_what_not(tmp_path, capsys):
    cohort(tmp_path / "c.csv", 300)
    arguments = ["reference", "fit", str(tmp_path / "c.csv"), "--by", "sex", "age"]
    arguments += ["--out", str(tmp_path / "ours.json"), "--population", "simulated people"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert f"{INDEX} at L3: 150 women, " in said
    assert "reference ours in" in said
    assert main(arguments) == 1
    assert "there already" in capsys.readouterr().err
    assert main(["reference", "list"]) == 0
    assert "tonnesen_2023: women of a community-based cohort, USA" in capsys.readouterr().out
