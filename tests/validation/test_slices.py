"""Every issue that PNG files and the whole slice-selection training set can give."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from bodycomp.data.issues import raise_for_errors
from bodycomp.data.layout import png_path, table_path
from bodycomp.errors import TrainingSetError, UsageError
from bodycomp.validation.slices import survey_slice_set
from support.factories import make_slice_set

GRAY = np.arange(256 * 256).reshape(256, 256)


@pytest.fixture
def good_set(tmp_path):
    return make_slice_set(tmp_path, sizes=[(64, 64), (80, 48)])


def check(folder, levels=("L3",), **options):
    return survey_slice_set(folder, levels=levels, **options).issues


def the_only(issues):
    assert [str(f) for f in issues][1:] == []
    return issues[0]


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(rows, columns, bits, color_type, data=b""):
    header = struct.pack(">IIBBBBB", columns, rows, bits, color_type, 0, 0, 0)
    chunks = (png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(data)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + png_chunk(b"IEND", b"")


def test_a_good_set_of_mixed_sizes_has_no_issues(good_set):
    seen = []
    assert check(good_set, progress=lambda done, total: seen.append((done, total))) == ()
    assert seen == [(i, 6) for i in range(1, 7)]


def test_a_good_set_of_several_levels_has_no_issues(tmp_path):
    make_slice_set(tmp_path, {"train": 5, "val": 5}, levels=["L3", "T12"], sizes=[(64, 64)])
    assert check(tmp_path, ["T12", "L3"]) == ()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(GRAY.astype(np.uint16)), "8 bits per pixel, found 16"),
        (Image.fromarray(GRAY.astype(np.uint8) > 7), "8 bits per pixel, found 1"),
        (Image.new("RGB", (9, 9)), "single-channel PNG, found colour"),
        (Image.new("RGBA", (9, 9)), "found colour with transparency"),
        (Image.new("LA", (9, 9)), "found greyscale with transparency"),
        (Image.new("P", (9, 9)), "found palette"),
    ],
)
def test_pngs_other_than_8_bit_gray_are_refused(good_set, image, expected):
    image.save(png_path(good_set, "train", 2))
    issue = the_only(check(good_set))
    assert issue.severity == "error"
    assert issue.where == "images/train/000002.png"
    assert expected in issue.message
    assert "level 40, width 400" in issue.hint


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "found an empty file of 0 bytes"),
        (b"\xff\xd8\xff\xe0 a JPEG", "starts with ff d8 ff e0"),
        (png_of(9, 9, 8, 0)[:20], "found a truncated one"),
        (png_of(0, 9, 8, 0), "found 0 x 9 pixels"),
        (png_of(2**20, 2**20, 8, 0), "found 1048576 x 1048576 pixels"),
        (png_of(9, 9, 4, 0, b"\0" * 54), "8 bits per pixel, found 4"),
        (png_of(9, 9, 8, 0, b"\0" * 20), "damaged one"),
        (png_of(9, 9, 8, 0, b"\7" * 90), "damaged one"),
        (png_of(9, 9, 8, 0, b"\0" * 81), "expected 90 bytes of pixels, found 81"),
        (png_of(9, 9, 8, 0, b"\0" * 99), "expected 90 bytes of pixels, found 99"),
        (png_of(9, 9, 8, 0, b"\0" * 90)[:-12], "the end of the file is missing"),
        (png_of(9, 9, 8, 0, b"\0" * 90).replace(b"IEND", b"IEND"[::-1]), "checksum of chunk"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_files_that_cannot_be_decoded_are_refused(good_set, content, expected):
    png_path(good_set, "val", 0).write_bytes(content)
    issue = the_only(check(good_set))
    assert (issue.severity, issue.where) == ("error", "images/val/000000.png")
    assert expected in issue.message
    assert issue.hint


@pytest.mark.parametrize("position", [0.3, 0.6, 0.9])
def test_a_flipped_bit_in_the_pixels_is_found(good_set, position):
    path = png_path(good_set, "train", 1)
    data = bytearray(path.read_bytes())
    data[int(len(data) * position)] ^= 0x10
    path.write_bytes(data)
    issue = the_only(check(good_set))
    assert (issue.where, issue.code) == ("images/train/000001.png", "undecodable-png")


def test_interlaced_pngs_are_accepted(good_set):
    # Adam7 of a 1 x 1 image is its first pass alone.
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 1)
    idat = zlib.compress(b"\0\x80")
    chunks = (png_chunk(b"IHDR", header), png_chunk(b"IDAT", idat), png_chunk(b"IEND", b""))
    png_path(good_set, "val", 0).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    assert the_only(check(good_set)).code == "blank-png"


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.95])
def test_truncated_pngs_are_refused(good_set, kept):
    path = png_path(good_set, "train", 1)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    issue = the_only(check(good_set))
    assert issue.where == "images/train/000001.png"
    assert issue.code == "undecodable-png"


def test_all_errors_are_listed_together_and_repeated_ones_counted(tmp_path):
    make_slice_set(tmp_path, {"train": 9, "val": 2}, sizes=[(16, 16)])
    for index in range(8):
        png_path(tmp_path, "train", index).write_bytes(b"")
    table_path(tmp_path, "val").write_text("ZOffset_L3\nleft\ninf\n")
    with pytest.raises(TrainingSetError) as caught:
        raise_for_errors(check(tmp_path))
    text = str(caught.value)
    assert "row 0 (slice 000000), column ZOffset_L3: expected an offset" in text
    assert "row 1 (slice 000001)" in text
    assert "images/train/000004.png" in text
    assert "images/train/000005.png" not in text
    assert "3 more of this kind (empty-png), 8 in all" in text


@pytest.mark.parametrize(
    ("cells", "code", "expected"),
    [
        ([1, 2, 3, 4], "offsets-one-sided", "found 1 to 4 mm only"),
        ([-1, -2, 0, ""], "offsets-one-sided", "found -2 to 0 mm only"),
        (["", "", "", ""], "level-not-annotated", "found none in 4 rows"),
    ],
)
def test_a_level_without_a_zero_crossing_is_a_warning(good_set, cells, code, expected):
    rows = "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))
    table_path(good_set, "train").write_text(",ZOffset_L3\n" + rows)
    issue = the_only(check(good_set))
    assert (issue.severity, issue.code) == ("warning", code)
    assert issue.where == "meta/train.csv, level L3"
    assert expected in issue.message


def test_an_index_that_disagrees_with_the_row_order_is_a_warning(good_set):
    table_path(good_set, "train").write_text(",ZOffset_L3\n0,-9\n2,1\n1,-5\n3,8\n")
    issue = the_only(check(good_set))
    assert (issue.severity, issue.code) == ("warning", "index-order")
    assert "found 2 in row 1" in issue.message


@pytest.mark.parametrize(
    ("column", "code"),
    [("PatientID", "patient-in-two-splits"), ("SeriesInstanceUID", "series-in-two-splits")],
)
def test_leaks_between_splits_are_a_warning_without_identifiers(good_set, column, code, caplog):
    table_path(good_set, "train").write_text(f"{column},ZOffset\nA1,-9\nB2,1\nB2,5\n,8\n")
    table_path(good_set, "val").write_text(f"{column},ZOffset\n,-9\n B2 ,1\n")
    issues = check(good_set)
    issue = the_only(issues)
    assert (issue.severity, issue.code) == ("warning", code)
    assert f"({column}) in train and val, found 1 in both" in issue.message
    assert "row 1 of train and row 1 of val" in issue.message
    raise_for_errors(issues)
    assert "split by patient" in caplog.text
    assert "B2" not in caplog.text


def test_the_same_image_in_two_splits_is_a_warning(good_set):
    png_path(good_set, "val", 1).write_bytes(png_path(good_set, "train", 3).read_bytes())
    issue = the_only(check(good_set))
    assert (issue.severity, issue.code) == ("warning", "image-in-two-splits")
    assert "row 3 of train and row 1 of val" in issue.message


def test_a_blank_slice_is_a_warning(good_set):
    Image.new("L", (64, 64)).save(png_path(good_set, "train", 0))
    issue = the_only(check(good_set))
    assert (issue.severity, issue.code) == ("warning", "blank-png")


def test_a_missing_split_is_told_beside_the_errors_of_others(good_set):
    for index in range(2):
        png_path(good_set, "val", index).unlink()
    (good_set / "images/val").rmdir()
    png_path(good_set, "train", 3).unlink()
    errors = {issue.where: issue for issue in check(good_set)}
    assert errors["images/val"].code == "missing-file"
    assert "found 4 rows" in errors["meta/train.csv"].message


def test_misspelled_vertebrae_are_refused_at_once(good_set):
    with pytest.raises(UsageError, match="found level 'l3'"):
        check(good_set, ["l3"])


def test_vertebrae_alone_have_an_order_and_distances(tmp_path):
    """Of other levels nothing is known: here all three lie at the same height as L3."""
    make_slice_set(tmp_path, {"train": 8, "val": 8}, levels=("L3", "L6", "umbilicus"))
    codes = {issue.code for issue in check(tmp_path, ["umbilicus", "L3", "L6"])}
    assert not codes & {"level-order", "level-distance"}
