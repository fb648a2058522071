"""Tables come as spreadsheets save them; what cannot be right is told by line, without cells."""

from pathlib import Path

import pytest

from bodycomp.errors import InputNotFoundError, SeriesError, UsageError
from bodycomp.user_table import read_user_table, sheet_rows


def read(folder: Path, text: str, encoding: str = "utf-8"):
    (folder / "table.csv").write_bytes(text.encode(encoding))
    return read_user_table(folder / "table.csv", "things", UsageError)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_separators_line_ends_and_byte_order_marks_of_spreadsheets(tmp_path, mark, end, encoding):
    lines = (f"name{mark} size ", f"Müller{mark} 1.5 ", "", f'"a{mark} b"{mark}')
    table = read(tmp_path, end.join(lines), encoding)
    assert table.columns == ("name", "size")
    assert [row.cells for row in table.rows] == [
        {"name": "Müller", "size": "1.5"},
        {"name": f"a{mark} b", "size": ""},
    ]
    assert [row.line for row in table.rows] == [2, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\nDoe\n", "line 2: expected 2 cells, found 1"),
        ("a,b\nDoe,1,2\n", "line 2: expected 2 cells, found 3"),
        ("a,a\n1,2\n", "one twice"),
        ('a,b\n"Doe,1\n', "expected CSV"),
    ],
)
def test_what_cannot_be_right_is_told_without_its_content(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        read(tmp_path, text)
    assert "Doe" not in str(caught.value)


def test_other_encodings_and_missing_files(tmp_path):
    with pytest.raises(UsageError, match="UTF-8"):
        read(tmp_path, "name\nMüller\n", "latin-1")
    with pytest.raises(InputNotFoundError, match="table of things"):
        read_user_table(tmp_path / "none.csv", "things", SeriesError)
    assert read(tmp_path, "").columns == ()


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;", "\ufeffsep=;", "sep=|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_line_by_which_excel_knows_the_separator(tmp_path, first, end):
    mark = "|" if "|" in first else ";"
    table = read(tmp_path, end.join([first, f"name{mark}size", f"a, b{mark}1,5", f"c{mark}"]))
    assert table.columns == ("name", "size")
    assert [row.cells["name"] for row in table.rows] == ["a, b", "c"]
    assert [row.line for row in table.rows] == [3, 4]


@pytest.mark.parametrize(
    "text",
    [
        "a,b,,\n1,2,,\n,,,\n",
        "a,b,\n1,2,\n",
        "a,b\n1,2,,,\n",
        "a,b,,\n1,2\n",
        "\n\na,b\n1,2\n",
        "a, ,b\n1,,2\n",
    ],
)
def test_columns_without_name_and_content_are_left_out(tmp_path, text):
    table = read(tmp_path, text)
    assert table.columns == ("a", "b")
    assert [row.cells for row in table.rows] == [{"a": "1", "b": "2"}]


def test_content_without_a_column_is_refused_by_its_line(tmp_path):
    with pytest.raises(UsageError, match="line 3: expected 2 cells, found 4"):
        read(tmp_path, "a,b\n1,2\n3,4,,5\n")
    assert read(tmp_path, ",a\n0,x\n").columns == ("", "a")  # an index


def test_rows_have_the_number_that_the_spreadsheet_shows():
    rows = sheet_rows("sep=,\na,b\n\n1,2\n")
    assert [(row.number, row.line) for row in rows] == [(1, 2), (3, 4)]
