"""Cases tables: read from CSV and YAML alike, and every fault told at once."""

from pathlib import Path

import pytest

from bodycomp.errors import CasesError, InputNotFoundError
from bodycomp.preparation.cases import CasesTable, read_cases


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.nii").touch()
        (tmp_path / f"{name}-mask.nii").touch()
    (tmp_path / "levels.csv").touch()
    return tmp_path


def table(folder: Path, text: str, name: str = "cases.csv") -> CasesTable:
    (folder / name).write_text(text, encoding="utf-8")
    return read_cases(folder / name)


def faults(folder: Path, text: str, name: str = "cases.csv") -> str:
    with pytest.raises(CasesError) as caught:
        table(folder, text, name)
    return caught.value.message


def test_csv_and_yaml_say_the_same(folder: Path) -> None:
    from_csv = table(
        folder,
        "\ufeffPatient,scan,masks,levels,split,sex,note\n"
        "007,a.nii,a-mask.nii; b-mask.nii,levels.csv,val,f,checked\n"
        ",,,,,,\n"
        "8,b.nii,,,,m,\n",
    )
    from_yaml = table(
        folder,
        """
        cases:
          - {patient: 007, scan: a.nii, masks: [a-mask.nii, b-mask.nii], levels: levels.csv,
             split: val, sex: f, note: checked}
          - {patient: 8, scan: b.nii, sex: m}
        """,
        "cases.yaml",
    )
    for one, other in zip(from_csv.cases, from_yaml.cases, strict=True):
        for name in ("patient", "scan", "masks", "levels", "series", "split", "further"):
            assert getattr(one, name) == getattr(other, name), name
    assert [case.where for case in from_csv.cases] == ["row 2", "row 4"]
    assert from_csv.cases[0].patient == "007"
    assert from_csv.cases[0].masks == (folder / "a-mask.nii", folder / "b-mask.nii")
    assert from_csv.free_columns == ("sex",)


def test_yaml_holds_defaults(folder: Path) -> None:
    read = table(
        folder,
        """
        labels: {1: muscle, Fat under the skin: subcutaneous_fat, 9: ignore}
        splits: {train: 0.8, val: 0.2}
        cases: [{patient: x, scan: a.nii}]
        """,
        "cases.yml",
    )
    assert read.labels is not None
    assert read.labels.labels == {"1": 1, "fatundertheskin": 2, "9": 0}
    assert read.fractions == (0.8, 0.2, 0.0)


def test_all_faults_are_told_at_once_with_row_and_column(folder: Path) -> None:
    told = faults(
        folder,
        "patient,scan,masks,split\n"
        "p1,a.nii,a-mask.nii,train\n"
        ",b.nii,b-mask.nii,\n"
        "p2,missing.nii,gone.nii;c-mask.nii,holdout\n"
        "p1,c.nii,,val\n"
        "p3,a.nii,,\n"
        "p4,b.nii\n",
    )
    assert told.splitlines() == [
        "cases.csv: 7 faults in the cases table",
        "  row 7: expected 4 cells, found 2",
        "  row 3, column patient: expected a value, found an empty cell",
        "  row 4, column split: expected train, val, test or nothing, found 'holdout'",
        "  row 4, column scan: expected a file or folder, found no missing.nii",
        "  row 4, column masks: expected a file or folder, found no gone.nii",
        "  row 5, column split: expected train as in row 2 of the same patient, found val",
        (
            "  row 6, column scan: the scan of row 2 again; put all masks of a scan into one row, "
            "and say which series where a folder holds several"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected at least one case"),
        ("patient,scan\n", "expected at least one case"),
        ("patient;scan;masks\np;a.nii;a-mask.nii;b-mask.nii\n", "row 2: expected 3 cells, found 4"),
        ("patient id,mask\np,a.nii\n", "expected a column scan, found patient id, mask"),
        ("patient,image\np,a.nii\n", "column image: the name that is read is scan"),
        ("patient,masks\np,a.nii\n", "expected a column scan, found patient, masks"),
        ("patient,scan,scan\np,a.nii,b.nii\n", "row 1: expected column scan once"),
        ('patient,scan\n"p,a.nii\n', "expected a table of comma-separated values"),
    ],
)
def test_tables_that_cannot_be_read(text: str, said: str, folder: Path) -> None:
    assert said in faults(folder, text)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_spreadsheets_of_decimal_commas_separate_by_semicolons(mark: str, folder: Path) -> None:
    lines = ["patient,scan,masks,site", 'p1,a.nii,"a-mask.nii;b-mask.nii",Ulm']
    text = "\r\n".join(lines).replace(",", mark)
    (case,) = table(folder, f"\ufeff{text}\r\n").cases
    assert case.masks == (folder / "a-mask.nii", folder / "b-mask.nii")
    assert case.further == {"site": "Ulm"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cases: [", "line 1: expected YAML"),
        ("cases: 3", "cases: expected a list"),
        ("cases: [a]", "case 1: expected keys such as patient"),
        ("patients: []", "patients: expected one of cases, labels, splits"),
        ("cases: [{patient: [a, b], scan: a.nii}]", "case 1, patient: expected one value, found 2"),
        ("cases: [{patient: {a: b}, scan: a.nii}]", "case 1, patient: expected text"),
        ("labels: {1: bone}", "labels: expected LABEL=TISSUE, found '1=bone'"),
        ("labels: [1]", "labels: expected entries such as"),
        ("splits: [0.7, 0.1, 0.1]", "splits: expected shares of train, val and test that add up"),
        ("splits: 3", "splits: expected shares"),
    ],
)
def test_yaml_that_cannot_be_read(text: str, said: str, folder: Path) -> None:
    assert said in faults(folder, text, "cases.yaml")


def test_other_encodings_are_named(folder: Path) -> None:
    (folder / "cases.csv").write_bytes("patient,scan\nM\xfcller,a.nii\n".encode("latin-1"))
    with pytest.raises(CasesError, match="UTF-8"):
        read_cases(folder / "cases.csv")
    with pytest.raises(InputNotFoundError, match="expected a cases table"):
        read_cases(folder / "none.csv")


def test_cases_do_not_show_who_they_are(folder: Path) -> None:
    read = table(folder, "patient,scan,levels\nMiller,a.nii,levels.csv\n")
    assert "Miller" not in repr(read)
    assert "a.nii" not in repr(read)
