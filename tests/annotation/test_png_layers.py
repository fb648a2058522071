"""A folder of PNG label images: which slice a name means, and what is refused."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bodycomp.annotation.masks import read_masks
from bodycomp.errors import SeriesError
from support.annotation_files import TISSUES, Case, png_folder


def test_slices_without_a_file_are_not_annotated(tmp_path: Path, case: Case) -> None:
    path = png_folder(tmp_path / "png", case.labels[[2, 7]], ["2", "007"])
    masks = read_masks([path], case.scan, TISSUES)
    assert np.flatnonzero(masks.annotated).tolist() == [2, 7]
    np.testing.assert_array_equal(masks.labels[[2, 7]], case.labels[[2, 7]])


def test_instance_numbers_run_from_the_head_here(tmp_path: Path, case: Case) -> None:
    path = png_folder(tmp_path / "png", case.labels[-1:], ["i000001"])
    assert np.flatnonzero(read_masks([path], case.scan, TISSUES).annotated).tolist() == [11]


@pytest.mark.parametrize(
    ("stems", "message"),
    [
        (["0", "i000002"], "expected PNG names of one kind, found 0 and others"),
        (["slice-1", "slice-2"], "expected PNG names of one kind"),
        (["0", "12"], "expected the slice index of a slice of the scan, found 12"),
        (
            ["i000000", "i000001"],
            "expected the InstanceNumber of a slice of the scan, found i000000",
        ),
        (["1.2.3", "1.2.4"], r"expected the SOPInstanceUID of a slice of the scan, found 1\.2\.3"),
        (["01", "1"], "expected one file per slice, found two of one"),
    ],
)
def test_names_that_mean_no_slice_are_refused_with_the_rule(
    tmp_path: Path, case: Case, stems: list[str], message: str
) -> None:
    path = png_folder(tmp_path / "png", case.labels[:2], stems)
    with pytest.raises(SeriesError, match=message) as refusal:
        read_masks([path], case.scan, TISSUES)
    assert "slice index from 0 at the feet" in refusal.value.hint


def test_instance_numbers_that_repeat_say_nothing(tmp_path: Path, case: Case) -> None:
    slices = tuple(replace(item, instance_number=1) for item in case.scan.slices)
    scan = replace(case.scan, slices=slices)
    path = png_folder(tmp_path / "png", case.labels[:1], ["i1"])
    with pytest.raises(
        SeriesError, match="InstanceNumber of its own for every slice, found 1 in 12"
    ):
        read_masks([path], scan, TISSUES)


def test_pictures_that_are_no_labels_are_refused(tmp_path: Path, case: Case) -> None:
    pictures = {
        "expected 8-bit grey or palette labels.* mode RGB": np.zeros((128, 128, 3), np.uint8),
        "expected 8-bit grey or palette labels.* mode I;16": np.zeros((128, 128), np.uint16),
        r"expected \(128, 128\) pixels as the slice has, found \(64, 128\)": np.zeros(
            (64, 128), np.uint8
        ),
    }
    for number, (message, pixels) in enumerate(pictures.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        Image.fromarray(pixels).save(folder / "0.png")
        with pytest.raises(SeriesError, match=rf"^{number}/0\.png: {message}"):
            read_masks([folder], case.scan, TISSUES)


def test_smoothed_edges_are_unknown_labels(tmp_path: Path, case: Case) -> None:
    smooth = case.labels[:1] * np.uint8(50)
    path = png_folder(tmp_path / "png", smooth, ["0"])
    with pytest.raises(SeriesError, match=r"found 50, 100, 150"):
        read_masks([path], case.scan, TISSUES)


def test_damaged_png_is_refused(tmp_path: Path, case: Case) -> None:
    path = png_folder(tmp_path / "png", case.labels[:1], ["0"])
    file = path / "0.png"
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(SeriesError, match=r"png/0\.png: expected a whole PNG image"):
        read_masks([path], case.scan, TISSUES)


def packed_png(path: Path, labels: np.ndarray, bits: int, color_type: int = 0) -> None:
    """A PNG of fewer than 8 bits, packed by hand; Pillow writes none in grey."""
    rows = np.packbits(
        np.unpackbits(labels[:, :, None], axis=2)[:, :, -bits:].reshape(len(labels), -1), axis=1
    )

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    size = struct.pack(">IIBBBBB", *labels.shape[::-1], bits, color_type, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(3 * 2**bits)) if color_type == 3 else b""
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size)
        + palette
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("color_type", [0, 3], ids=["grey", "palette"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_labels_of_few_bits_are_the_stored_numbers(
    tmp_path: Path, case: Case, bits: int, color_type: int
) -> None:
    folder = tmp_path / "png"
    folder.mkdir()
    labels = np.minimum(case.labels[5], 2**bits - 1)
    packed_png(folder / "5.png", labels, bits, color_type)
    np.testing.assert_array_equal(read_masks([folder], case.scan, TISSUES).labels[5], labels)


def test_the_name_that_means_no_slice_is_named(tmp_path: Path, case: Case) -> None:
    path = png_folder(tmp_path / "png", case.labels[:3], ["0", "1", "overview"])
    with pytest.raises(SeriesError, match="found overview and others"):
        read_masks([path], case.scan, TISSUES)
