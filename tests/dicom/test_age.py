"""How old a patient was, by an age string or by two dates."""

import pytest
from pydicom.dataset import Dataset

from bodycomp.dicom.values import age_years


def age(**attributes):
    dataset = Dataset()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return age_years(dataset, "PatientAge")


@pytest.mark.parametrize(
    ("stated", "years"), [("045Y", 45.0), ("018M", 1.5), ("026W", 0.498), ("073D", 0.19986)]
)
def test_age_strings_of_every_unit(stated, years):
    assert age(PatientAge=stated) == pytest.approx(years, abs=1e-3)


def test_dates_count_where_there_is_no_age():
    assert age(PatientBirthDate="19800615", StudyDate="20200614") == 39.0
    assert age(PatientBirthDate="19800615", StudyDate="20200615") == 40.0
    assert age(PatientAge="041Y", PatientBirthDate="19800615", StudyDate="20200615") == 41.0


@pytest.mark.parametrize(
    ("born", "scanned"),
    [("", "20200615"), ("19800615", ""), ("20210101", "20200615")],
)
def test_without_both_dates_there_is_no_age(born, scanned):
    assert age(PatientBirthDate=born, StudyDate=scanned) is None
