"""TAG files of Slice-O-Matic, made by hand in the form of its manual."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.masks import read_masks
from bodycomp.errors import InputNotFoundError, SeriesError
from bodycomp.preparation.discovery import discover
from bodycomp.preparation.options import MaskTask, PrepareOptions, SplitOptions
from bodycomp.preparation.run import prepare
from bodycomp.progress import no_progress
from bodycomp.reading.read_scan import read_scan
from bodycomp.tag import TAG_LABELS, read_tag, tag_of_slice, write_tag
from support.annotation_files import Case

ALBERTA = LabelMapping.parse(["1=muscle", "2=ignore", "5=visceral_fat", "7=subcutaneous_fat"])
SAMPLE = (
    "x:{0.Columns}    y:{0.Rows}    z:1      type:BYTE\r\n"
    "org_x:{1[0]:.4f}  org_y:{1[1]:.4f}  org_z:{1[2]:.4f}\r\n"
    "inc_x:{2[1]:.4f}     inc_y:{2[0]:.4f}     epais:5.0000\r\n"
    "dir_h_x:{3[0]:.4f}     dir_h_y:{3[1]:.4f}     dir_h_z:{3[2]:.4f}\r\n"
    "dir_v_x:{3[3]:.4f}     dir_v_y:{3[4]:.4f}     dir_v_z:{3[5]:.4f}\r\n"
    "uid:AFCCCAC6 chksum:09F1588D bin:256\r\n"
    "* number of echos:        0\r\n"
    "\x0c"
)
"""The sample header of the manual, with the place of a slice."""

NO_PLACE = "X: {0.Columns}\tY:{0.Rows}, TYPE:byte * z:9\r\n\x0c"


def alberta(labels: np.ndarray) -> np.ndarray:
    """Return pixels as Slice-O-Matic has them, with streaks of fat in muscle."""
    pixels = np.array([0, 1, 7, 5], np.uint8)[labels]
    pixels[(pixels == 1) & (np.arange(labels.shape[1]) % 9 == 0)] = 2
    return pixels


def expected(labels: np.ndarray) -> np.ndarray:
    return np.array([0, 1, 0, 0, 0, 3, 0, 2], np.uint8)[alberta(labels)]


def by_hand(dicom: Path, labels: np.ndarray, header: str = SAMPLE) -> bytes:
    image = pydicom.dcmread(dicom)
    place = (image.ImagePositionPatient, image.PixelSpacing, image.ImageOrientationPatient)
    return header.format(image, *place).encode("ascii") + alberta(labels).tobytes()


@pytest.fixture
def folder(case: Case, tmp_path: Path) -> Path:
    """The scan's files, with TAG files of two slices beside them."""
    for index, file in enumerate(case.scan.files):
        copied = Path(shutil.copy(file, tmp_path))
        if index in (3, 7):
            name = f"{copied.name}.TAG" if index == 3 else f"{copied.stem}.tag"
            copied.with_name(name).write_bytes(by_hand(file, case.labels[index]))
    return tmp_path


def test_files_beside_their_slices_read_right(case: Case, folder: Path) -> None:
    scan = read_scan(folder)
    masks = read_masks([folder], scan, ALBERTA)
    assert np.flatnonzero(masks.annotated).tolist() == [3, 7]
    for index in (3, 7):
        np.testing.assert_array_equal(masks.labels[index], expected(case.labels[index]))
    assert [*sorted({s.value for s in masks.structures})] == [1, 2, 5, 7]
    assert masks.notes == ()


def test_a_file_elsewhere_is_placed_by_its_header(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "drawn by AB.tag"
    path.write_bytes(by_hand(case.scan.files[4], case.labels[4]))
    masks = read_masks([path], case.scan, ALBERTA)
    assert np.flatnonzero(masks.annotated).tolist() == [4]
    np.testing.assert_array_equal(masks.labels[4], expected(case.labels[4]))


def test_a_header_without_a_place_needs_the_name(case: Case, tmp_path: Path) -> None:
    file = case.scan.files[5]
    path = tmp_path / f"{file.name}.tag"
    path.write_bytes(by_hand(file, case.labels[5], NO_PLACE))
    masks = read_masks([tmp_path], case.scan, ALBERTA)
    np.testing.assert_array_equal(masks.labels[5], expected(case.labels[5]))
    assert "by their names" in masks.notes[0]
    path.rename(tmp_path / "other.tag")
    with pytest.raises(SeriesError, match="expected the name of a slice of the scan, or a place"):
        read_masks([tmp_path], case.scan, ALBERTA)


def test_every_byte_comes_back(case: Case, folder: Path) -> None:
    for path in sorted(folder.glob("*.[tT]*")):
        write_tag(folder / "again", read_tag(path))
        assert (folder / "again").read_bytes() == path.read_bytes()


def test_our_own_files_are_read_by_place_and_by_the_manual(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "slice-000006.tag"
    write_tag(path, tag_of_slice(case.scan.volume, 6, case.labels[6], 5.0))
    header, _, pixels = path.read_bytes().partition(b"\x0c")
    assert header.endswith(b"\r\n")
    pairs = dict(pair.split(":") for pair in header.decode("ascii").split())
    image = pydicom.dcmread(case.scan.files[6])
    assert [float(pairs[f"org_{axis}"]) for axis in "xyz"] == pytest.approx(
        [float(x) for x in image.ImagePositionPatient], abs=1e-4
    )
    assert (int(pairs["x"]), int(pairs["y"])) == (image.Columns, image.Rows)
    assert float(pairs["inc_x"]) == pytest.approx(float(image.PixelSpacing[1]), abs=1e-5)
    assert len(pixels) == image.Rows * image.Columns
    assert set(pixels) == {0, *TAG_LABELS.values()}
    masks = read_masks([path], case.scan, ALBERTA)
    np.testing.assert_array_equal(masks.labels[6], case.labels[6])
    write_tag(tmp_path / "again", read_tag(path))
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def encrypted(content: bytes) -> bytes:
    header, end, pixels = content.partition(b"\x0c")
    return header + end + np.random.default_rng(1).bytes(len(pixels))


ABACS = "Slice-O-Matic encrypts the TAG files of slices that were analyzed with ABACS\\+"


@pytest.mark.parametrize(
    ("spoil", "message", "hint"),
    [
        (encrypted, "labels in areas, found noise", ABACS),
        (lambda c: np.random.default_rng(2).bytes(len(c)), "a header of plain text", ABACS),
        (lambda c: c[:-9], "bytes for 128 x 128 x 1 pixels after the header, found 16375", ABACS),
        (lambda c: c + b"\r\n", "found 16386", ABACS),
        (lambda _: b"", "a header of plain text that ends with a form feed, found none", ABACS),
        (lambda c: c.replace(b"BYTE", b"SHORT"), "one byte a pixel, found type:SHORT", "again"),
        (lambda c: c.replace(b"y:128", b"w:128"), "a size as y, found none", "again"),
        (lambda c: c.replace(b"inc_x:", b"inc_x:wide"), "a number as inc_x, found 'wide", "again"),
        (lambda c: c.replace(b"bin:256", b"x:64"), "x once, found it twice", "again"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(
    case: Case, tmp_path: Path, spoil, message: str, hint: str
) -> None:
    path = tmp_path / "slice.tag"
    path.write_bytes(spoil(by_hand(case.scan.files[2], case.labels[2])))
    with pytest.raises(SeriesError, match=message) as refusal:
        read_masks([path], case.scan, ALBERTA)
    assert re.search(hint, refusal.value.hint)


def test_names_and_places_that_contradict_each_other_are_refused(
    case: Case, folder: Path, tmp_path: Path
) -> None:
    name = f"{case.scan.files[3].name}.TAG"
    (folder / name).write_bytes(by_hand(case.scan.files[4], case.labels[4]))
    with pytest.raises(SeriesError, match=r"expected it on slice 3.* found .* slice 4"):
        read_masks([folder], case.scan, ALBERTA)
    (folder / name).rename(folder / "copy.tag")
    (folder / "again.tag").write_bytes((folder / "copy.tag").read_bytes())
    with pytest.raises(SeriesError, match=r"copy\.tag: expected one TAG file per slice, found"):
        read_masks([folder], case.scan, ALBERTA)
    (folder / "copy.tag").write_bytes(
        by_hand(case.scan.files[4], case.labels[4]).replace(b"inc_x:", b"inc_x:1")
    )
    with pytest.raises(SeriesError, match="on the grid of the scan"):
        read_masks([folder / "copy.tag"], case.scan, ALBERTA)
    with pytest.raises(InputNotFoundError):
        read_tag(tmp_path / "none.tag")


def test_labels_without_a_meaning_are_refused(case: Case, folder: Path) -> None:
    own = LabelMapping.parse(["1=muscle", "2=subcutaneous_fat", "3=visceral_fat"])
    with pytest.raises(SeriesError, match=r"found 5 \(TAG 5\), 7 \(TAG 7\)"):
        read_masks([folder], case.scan, own)


def test_a_draft_of_a_cases_table_lists_them(folder: Path) -> None:
    """It runs as it is: the folder is scan and masks in one."""
    table, out = folder / "cases.csv", folder.parent / f"{folder.name}-set"
    discover(folder, table, no_progress)
    with table.open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["masks"] == row["scan"] == "."
    split = SplitOptions((1.0, 0.0, 0.0))
    prepare(PrepareOptions(table, out, MaskTask(ALBERTA), split=split, jobs=1), no_progress)
    masks = np.load(out / "train_masks.npy")
    assert masks.shape == (2, 512, 512, 1)
    assert set(np.unique(masks)) == {0, 1, 2, 3}
