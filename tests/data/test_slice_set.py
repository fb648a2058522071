"""Reading and writing slice-selection splits, and every refusal of names, tables and offsets."""

import numpy as np
import pytest

from bodycomp.data.layout import png_path, table_path
from bodycomp.data.slice_set import open_slice_split
from bodycomp.data.writers import SliceWriter
from bodycomp.errors import (
    ImageError,
    InputNotFoundError,
    OutputError,
    TrainingSetError,
    UsageError,
)
from support.factories import make_slice_set

GRAY = np.arange(64, dtype=np.uint8).reshape(8, 8)


@pytest.fixture
def three(tmp_path):
    """A split of three slices; tests replace its table or rename its files."""
    return make_slice_set(tmp_path, {"train": 3}, sizes=[(8, 8), (16, 12)])


def with_table(folder, text, encoding="utf-8"):
    table_path(folder, "train").write_bytes(text.encode(encoding))
    return folder


def offsets(folder, levels=("L3",)):
    return open_slice_split(folder, "train", levels).offsets_mm.T.tolist()


def refusal(folder, levels=("L3",), error=TrainingSetError):
    with pytest.raises(error) as caught:
        open_slice_split(folder, "train", levels)
    return caught.value


def test_the_table_of_the_format_description_is_read(three):
    with_table(
        three,
        ",SOPInstanceUID,ZOffset_L3,ZOffset_T5\n0,1.2345.678,-234.6,-417.7\n"
        "1,1.2345.789,5.2,-15.4\n2,1.2345.987,145.3,129.8\n",
    )
    np.testing.assert_allclose(
        offsets(three, ("T5", "L3")), [[-417.7, -15.4, 129.8], [-234.6, 5.2, 145.3]], rtol=1e-6
    )


def test_a_split_carries_paths_offsets_patients_and_series(three):
    split = open_slice_split(three, "train", ["L3"])
    assert len(split) == 3
    assert [split.png_path(i) for i in range(3)] == [png_path(three, "train", i) for i in range(3)]
    assert split.offsets_mm.dtype == np.float32
    assert split.patient == ("patient 0",) * 3
    assert split.series == ("1.2.3.0",) * 3
    assert (
        open_slice_split(with_table(three, "ZOffset\n1\n2\n3\n"), "train", ["L3"]).patient is None
    )


@pytest.mark.parametrize(
    "text",
    [
        "ZOffset\n-1.5\n0\n2\n",
        "\ufeffZOffset\r\n-1.5\r\n0\r\n2\r\n",
        "ZOffset\r-1.5\r0\r2",
        '"ZOffset"\n"-1.5"\n"0"\n"2"\n',
        ' ZOffset ,note\n -1.5 ,"a, ""quoted""\nnote"\n0,b\n+2e0,\n',
        "a,a,ZOffset\n1,1,-1.5\n1,1,0\n1,1,2\n",
        ",ZOffset\n0,-1.5\n1,0\n2,2\n,\n\n  \n",
        "ZOffset_L3,ZOffset\n-1.5,9\n0,9\n2,9\n",
    ],
    ids=["plain", "bom-crlf", "cr", "quoted", "blanks", "others-repeat", "trailing", "named-first"],
)
def test_csv_dialects_that_are_accepted(three, text):
    assert offsets(with_table(three, text)) == [[-1.5, 0, 2]]


def test_other_columns_may_have_any_encoding(three):
    assert offsets(with_table(three, "Name,ZOffset\nMüller,1\n,2\n,3\n", "latin-1")) == [[1, 2, 3]]


def test_an_empty_offset_means_not_annotated(three):
    with_table(three, "ZOffset_L3,ZOffset_T5\n,1\n2,\n 3 ,  \n")
    read = open_slice_split(three, "train", ["L3", "T5"]).offsets_mm
    np.testing.assert_array_equal(read, [[np.nan, 1], [2, np.nan], [3, np.nan]])


@pytest.mark.parametrize(
    "cell", ["abc", "nan", "NA", "inf", "-Infinity", "1e60", '"1,5"', "1_0", "5 mm", "0x10"]
)
def test_offsets_that_are_text_or_infinite_are_refused(three, cell):
    error = refusal(with_table(three, f"id,ZOffset_L3\n0,1\n1,{cell}\n2,3\n"))
    assert "meta/train.csv, row 1 (slice 000001), column ZOffset_L3: expected" in error.message
    assert f"found {cell.strip(chr(34))!r}" in error.message
    assert "leave the cell empty" in error.hint


@pytest.mark.parametrize(
    ("text", "levels", "expected", "hint"),
    [
        (",Patient,zoffset\n", ["L3"], "found (unnamed), Patient, zoffset", "name other levels"),
        ("ZOffset\n", ["L3", "T5"], "column ZOffset_L3, found ZOffset", "for a single level only"),
        ("ZOffset_T5\n", ["L3"], "column ZOffset_L3 or ZOffset, found ZOffset_T5", "-L"),
        ("ZOffset,ZOffset\n", ["L3"], "one column ZOffset, found 2", "Keep one"),
        ("ZOffset_L3,ZOffset_L3\n", ["L3"], "one column ZOffset_L3, found 2", "Keep one"),
    ],
)
def test_missing_and_repeated_columns_are_refused(three, text, levels, expected, hint):
    rows = (",".join("1" * (text.count(",") + 1)) + "\n") * 3
    error = refusal(with_table(three, text + rows), levels)
    assert "meta/train.csv" in error.message
    assert expected in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "expected", "hint"),
    [
        ("a;ZOffset\n1;1,5\n", "separated by commas, found semicolons", "commas between columns"),
        ("a\tZOffset\n1\t1\n", "separated by commas, found tabs", "commas between columns"),
        ("", "found an empty file", "again"),
        ("\n\n", "found an empty file", "again"),
        ('ZOffset\n"1\n2\n', "cannot be read", "quotation"),
        ("a,ZOffset\n0,1\n1\n2,3\n", "row 1 (slice 000001): expected 2 cells", "shift"),
        ("a,ZOffset\n0,1\n\n2,3\n", "row 1 (slice 000001): expected 2 cells", "shift"),
        ("a,ZOffset\n0,1,5\n1,2,5\n2,3,5\n", "row 0 (slice 000000): expected 2 cells", "shift"),
    ],
)
def test_broken_tables_are_refused(three, text, expected, hint):
    error = refusal(with_table(three, text))
    assert "train.csv" in error.message
    assert expected in error.message
    assert hint in error.hint


def test_utf16_is_refused(three):
    error = refusal(with_table(three, "ZOffset\n1\n2\n3\n", "utf-16"))
    assert "train.csv: expected plain text in UTF-8, found UTF-16" in error.message


def test_rows_without_slices_are_refused(three):
    error = refusal(with_table(three, "ZOffset\n1\n2\n3\n4\n5\n"))
    assert "expected a row for each of the 3 slices, found 5 rows" in error.message
    assert "images/train/000003.png is missing" in error.message


def test_slices_without_rows_are_refused(three):
    error = refusal(with_table(three, "ZOffset\n1\n"))
    assert "expected a row for each of the 3 slices, found 1 rows" in error.message
    assert "the first slice without a row is images/train/000001.png" in error.message
    assert "header does not count" in error.hint


def test_a_gap_in_the_ids_is_refused(three):
    png_path(three, "train", 1).unlink()
    error = refusal(three)
    assert "images/train: expected IDs 000000 to 000002" in error.message
    assert "1 missing, the first is 000001.png" in error.message


def test_ids_that_start_at_one_are_refused(three):
    png_path(three, "train", 0).rename(png_path(three, "train", 3))
    assert "the first is 000000.png" in refusal(three).message


@pytest.mark.parametrize(
    "name", ["2.png", "0000002.png", "000002.PNG", "slice2.png", "000002.jpg", "٠٠٠٠٠٢.png"]
)
def test_names_other_than_six_digits_are_refused(three, name):
    png_path(three, "train", 2).rename(three / "images/train" / name)
    error = refusal(three)
    assert f"expected six digits and .png, found {name}" in error.message
    assert "000000.png, 000001.png" in error.hint


@pytest.mark.parametrize("name", [".DS_Store", "._000000.png", "Thumbs.db", "notes.txt"])
def test_other_files_are_ignored(three, name):
    (three / "images/train" / name).write_bytes(b"x")
    assert len(open_slice_split(three, "train", ["L3"])) == 3


def test_a_folder_without_slices_is_refused(three):
    for index in range(3):
        png_path(three, "train", index).unlink()
    assert "expected at least one slice 000000.png, found none" in refusal(three).message


def test_missing_folders_and_tables_are_refused(three):
    with pytest.raises(InputNotFoundError, match=r"images/val: expected a folder .* found train"):
        open_slice_split(three, "val", ["L3"])
    with pytest.raises(InputNotFoundError, match="found no images folder"):
        open_slice_split(three / "nowhere", "train", ["L3"])
    table_path(three, "train").unlink()
    with pytest.raises(InputNotFoundError, match=r"meta/train\.csv: expected this table"):
        open_slice_split(three, "train", ["L3"])


def test_the_test_split_is_optional_but_whole(three):
    assert open_slice_split(three, "test", ["L3"]) is None
    table_path(three, "test").write_text("ZOffset\n1\n")
    with pytest.raises(InputNotFoundError, match="images/test"):
        open_slice_split(three, "test", ["L3"])


@pytest.mark.parametrize(
    ("levels", "expected"), [(["l3"], "written like L3"), (["L3", "L3"], "twice"), ([], "at least")]
)
def test_misspelled_and_repeated_levels_are_refused(three, levels, expected):
    assert expected in refusal(three, levels, UsageError).message


def test_the_writer_follows_the_format(tmp_path):
    with SliceWriter(tmp_path, "val", ["L3", "T5"], ["SOPInstanceUID"]) as writer:
        writer.append(GRAY, {"L3": -234.6, "T5": None}, {"SOPInstanceUID": "1.2"})
        writer.append(GRAY.T, {"L3": np.float32(1 / 3), "T5": -0.0}, {"SOPInstanceUID": 'a,"b'})
        writer.append(GRAY, {"L3": float("nan")}, {"SOPInstanceUID": ""})
    assert table_path(tmp_path, "val").read_text() == (
        ',SOPInstanceUID,ZOffset_L3,ZOffset_T5\n0,1.2,-234.6,\n1,"a,""b",0.3333,0.0\n2,,,\n'
    )
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert names == ["images/val/000000.png", "images/val/000001.png", "images/val/000002.png",
                     "meta/val.csv"]  # fmt: skip


def test_the_same_slices_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        make_slice_set(tmp_path / name, {"train": 2}, sizes=[(64, 64)])
    files = [
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*.*")
        }
        for name in ("one", "two")
    ]
    assert files[0] == files[1]


def test_the_writer_leaves_nothing_on_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), SliceWriter(tmp_path / "set", "train", ["L3"]) as writer:
        writer.append(GRAY, {"L3": 1.0})
        raise ZeroDivisionError
    assert [path for path in tmp_path.rglob("*") if path.name != "set"] == []


def test_the_writer_never_overwrites_a_split(three):
    with pytest.raises(OutputError, match="already"):
        SliceWriter(three, "train", ["L3"]).__enter__()
    table_path(three, "train").unlink()
    with pytest.raises(OutputError, match="not empty"):
        SliceWriter(three, "train", ["L3"]).__enter__()
    assert len(list((three / "images").iterdir())) == 1


@pytest.mark.parametrize(
    ("gray", "offset", "extra", "error"),
    [
        (GRAY.astype(np.int16), {"L3": 1}, {}, ImageError),
        (GRAY[None], {"L3": 1}, {}, ImageError),
        (GRAY[:0], {"L3": 1}, {}, ImageError),
        (GRAY, {"T5": 1}, {}, UsageError),
        (GRAY, {"L3": 1}, {"PatientID": "x"}, UsageError),
        (GRAY, {"L3": np.inf}, {}, UsageError),
    ],
)
def test_the_writer_refuses_what_does_not_fit(tmp_path, gray, offset, extra, error):
    with pytest.raises(error), SliceWriter(tmp_path, "train", ["L3"]) as writer:
        writer.append(gray, offset, extra)
    assert list(tmp_path.iterdir()) == []


def test_columns_that_would_repeat_are_refused(tmp_path):
    with pytest.raises(UsageError, match="each column once"):
        SliceWriter(tmp_path, "train", ["L3"], ["ZOffset_L3"])
