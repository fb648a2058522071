"""NRRD as SimpleITK, Slicer and scripts write it; what has no place in the patient is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest

from bodycomp.errors import InputNotFoundError, SeriesError
from bodycomp.imaging.volume import Volume
from bodycomp.nrrd import NrrdSegment, read_nrrd_grid, read_nrrd_labels, read_nrrd_volume
from support.annotation_files import every_layout, index_to_lps, save_nrrd, seg_nrrd, simpleitk

VOLUME = Volume(
    np.random.default_rng(2).integers(-1024, 1500, (5, 4, 6)).astype(np.int16),
    (0.5, 0.75),
    -300 + 5.0 * np.arange(5),
    first_pixel_mm=(-40.0, 20.0, -300.0),
)
VOXELS = VOLUME.hu.transpose(2, 1, 0)
AFFINE = index_to_lps(VOLUME)


def write(path: Path, voxels: np.ndarray = VOXELS, **fields: Any) -> Path:
    header = {
        "space": "left-posterior-superior",
        "space directions": AFFINE[:3, :3].T,
        "space origin": AFFINE[:3, 3],
        "kinds": ["domain"] * 3,
        "encoding": "gzip",
    } | fields
    nrrd.write(str(path), voxels, {k: v for k, v in header.items() if v is not None})
    return path


def assert_is_the_volume(path: Path) -> None:
    volume = read_nrrd_volume(path)
    np.testing.assert_array_equal(volume.hu, VOLUME.hu)
    np.testing.assert_allclose(volume.slice_z_mm, VOLUME.slice_z_mm)
    np.testing.assert_allclose(volume.first_pixel_mm, VOLUME.first_pixel_mm)
    np.testing.assert_allclose(volume.pixel_spacing_mm, VOLUME.pixel_spacing_mm)
    assert volume.orientation == VOLUME.orientation


@pytest.mark.parametrize(
    ("space", "sign"),
    [
        ("left-posterior-superior", (1, 1, 1)),
        ("right-anterior-superior", (-1, -1, 1)),
        ("left-anterior-superior", (1, -1, 1)),
        ("RAS", (-1, -1, 1)),
    ],
)
def test_patient_spaces_are_one_patient(
    tmp_path: Path, space: str, sign: tuple[int, int, int]
) -> None:
    directions, origin = AFFINE[:3, :3].T * sign, AFFINE[:3, 3] * sign
    fields = {"space": space, "space directions": directions, "space origin": origin}
    assert_is_the_volume(write(tmp_path / "ct.nrrd", **fields))


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    assert_is_the_volume(write(tmp_path / "ct.nrrd", encoding=encoding))


def test_lengths_in_other_units_become_mm(tmp_path: Path) -> None:
    fields = {
        "space directions": AFFINE[:3, :3].T / 10,
        "space origin": AFFINE[:3, 3] / 10,
        "space units": ["cm", "cm", "cm"],
    }
    assert_is_the_volume(write(tmp_path / "ct.nrrd", **fields))
    with pytest.raises(SeriesError, match="expected lengths in mm, found inch"):
        read_nrrd_volume(write(tmp_path / "ct.nrrd", **{"space units": ["inch"] * 3}))


def test_detached_header_needs_its_data(tmp_path: Path) -> None:
    path = save_nrrd(tmp_path / "ct.nhdr", VOXELS, AFFINE)
    assert_is_the_volume(path)
    next(tmp_path.glob("ct*raw*")).unlink()
    assert read_nrrd_grid(path).shape == VOXELS.shape
    with pytest.raises(SeriesError, match=r"ct\.nhdr: the file with its voxels.* is not there"):
        read_nrrd_volume(path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"space": None, "space dimension": 3}, "expected a patient space .* found 'no space'"),
        ({"space": "scanner-xyz"}, "expected a patient space .* found 'scanner-xyz'"),
        ({"space origin": None}, "with directions and origin"),
        ({"space origin": [1.0, 2.0]}, "expected three numbers for origin and directions"),
        ({"space directions": np.zeros((3, 3))}, "expected an invertible affine"),
        ({"space directions": np.full((3, 3), np.nan)}, "expected three axes in space"),
    ],
)
def test_no_place_in_the_patient_is_refused(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "ct.nrrd", **fields)
    for read in (read_nrrd_volume, read_nrrd_labels, read_nrrd_grid):
        with pytest.raises(SeriesError, match=message):
            read(path)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("lost", [60, 120])
def test_files_that_were_cut_off_are_refused(tmp_path: Path, encoding: str, lost: int) -> None:
    path = write(tmp_path / "ct.nrrd", encoding=encoding)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(SeriesError, match=r"ct\.nrrd: expected a whole NRRD file"):
        read_nrrd_volume(path)


def test_what_is_no_nrrd_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="found nothing at"):
        read_nrrd_volume(tmp_path / "absent.nrrd")
    for content in (b"", b"text\n", b"NRRD0004\n", b"NRRD0004\ntype: short\nsizes: a b\n\n"):
        (tmp_path / "no.nrrd").write_bytes(content)
        for read in (read_nrrd_volume, read_nrrd_labels, read_nrrd_grid):
            with pytest.raises(SeriesError, match=r"no\.nrrd: expected"):
                read(tmp_path / "no.nrrd")


def test_layers_are_no_scan(tmp_path: Path) -> None:
    layers = [np.ones(VOLUME.hu.shape, np.uint8)] * 2
    path = seg_nrrd(tmp_path / "s.seg.nrrd", layers, VOLUME, [("a", 1, 0), ("b", 1, 1)])
    with pytest.raises(SeriesError, match="expected a 3-D volume, found sizes"):
        read_nrrd_volume(path)


def test_segments_have_name_value_and_layer(tmp_path: Path) -> None:
    layers = [np.full(VOLUME.hu.shape, value, np.uint8) for value in (3, 1)]
    path = seg_nrrd(tmp_path / "s.seg.nrrd", layers, VOLUME, [("a", 3, 0), ("b", 1, 1)])
    found = read_nrrd_labels(path)
    assert found.segments == (NrrdSegment("a", 3, 0), NrrdSegment("b", 1, 1))
    assert [int(layer.values.max()) for layer in found.layers] == [3, 1]
    assert found.layers[0].grid.shape == VOXELS.shape


def test_older_segmentations_have_one_layer_per_segment(tmp_path: Path) -> None:
    fields = {
        "space directions": np.vstack([np.full((1, 3), np.nan), AFFINE[:3, :3].T]),
        "kinds": ["list", "domain", "domain", "domain"],
        "Segment0_Name": "a",
        "Segment1_Name": "b",
    }
    voxels = np.ones((2, *VOXELS.shape), np.uint8)
    path = write(tmp_path / "s.seg.nrrd", voxels, **fields)
    assert read_nrrd_labels(path).segments == (NrrdSegment("a", 1, 0), NrrdSegment("b", 1, 1))
    path = write(tmp_path / "s.seg.nrrd", voxels, **fields, Segment0_LabelValue="one")
    with pytest.raises(SeriesError, match="expected a label value and a layer below 2"):
        read_nrrd_labels(path)


@pytest.mark.parametrize("layout", every_layout(VOXELS, AFFINE)[::7], ids=lambda x: x[0])
def test_grid_is_what_simpleitk_wrote(tmp_path: Path, layout: tuple) -> None:
    _, voxels, affine = layout
    grid = read_nrrd_grid(save_nrrd(tmp_path / "ct.nrrd", voxels, affine))
    np.testing.assert_allclose(grid.affine, affine, atol=1e-6)
    assert grid.shape == voxels.shape


def named(path: Path, names: list[str], encoding: str = "utf-8") -> Path:
    """A segmentation with these names, as a writer in this encoding stores them."""
    segments = [(f"name {value}", value, 0) for value in range(1, len(names) + 1)]
    seg_nrrd(path, [np.ones(VOLUME.hu.shape, np.uint8)], VOLUME, segments)
    content = path.read_bytes()
    for value, name in enumerate(names, start=1):
        old, new = f"_Name:=name {value}\n", f"_Name:={name}\n"
        content = content.replace(old.encode(), new.encode(encoding))
    path.write_bytes(content)
    return path


NAMES = [
    ["M\u00fasculo", "Grasa subcut\u00e1nea", "Mu\u0301sculo"],
    ["\u808c\u8089", "\u7ec4\u7ec7_2", "\u7ec4\u7ec7_3"],
    ["Muskel \u2013 links", "Fett: au\u00dfen", "\U0001f4aa"],
]


@pytest.mark.parametrize("names", NAMES)
def test_names_are_those_that_simpleitk_reads(tmp_path: Path, names: list[str]) -> None:
    path = named(tmp_path / "s.seg.nrrd", names)
    assert [segment.name for segment in read_nrrd_labels(path).segments] == names
    image = simpleitk().ReadImage(str(path))
    assert [image.GetMetaData(f"Segment{n}_Name") for n in range(3)] == names


def test_names_of_older_encodings_keep_every_byte(tmp_path: Path) -> None:
    """So that two names stay two, and none becomes a number."""
    path = named(tmp_path / "s.seg.nrrd", ["M\u00fasculo", "\u00e9_2"], "cp1252")
    assert [s.name for s in read_nrrd_labels(path).segments] == ["M\u00fasculo", "\u00e9_2"]
    path = named(tmp_path / "s.seg.nrrd", ["\u7ec4\u7ec7_2"], "gb18030")
    (segment,) = read_nrrd_labels(path).segments
    assert segment.name.endswith("_2")
    assert len(segment.name) == 6


def test_a_segment_cannot_have_the_value_of_the_background(tmp_path: Path) -> None:
    path = tmp_path / "s.seg.nrrd"
    layer = np.zeros(VOLUME.hu.shape, np.uint8)
    with pytest.raises(SeriesError, match=r"above 0 for segment 1 \(muscle\), found 0"):
        read_nrrd_labels(seg_nrrd(path, [layer], VOLUME, [("fat", 1, 0), ("muscle", 0, 0)]))
    read_nrrd_labels(seg_nrrd(path, [layer], VOLUME, [("fat", 1, 0), ("Background", 0, 0)]))


@pytest.mark.parametrize("field", ["data file: LIST\na.raw\nb.raw", "data file: s%03d.raw 1 4 1"])
def test_voxels_in_several_files_are_refused(tmp_path: Path, field: str) -> None:
    path = save_nrrd(tmp_path / "ct.nhdr", VOXELS, AFFINE)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("data file")]
    path.write_text("\n".join([*lines, field]))
    for read in (read_nrrd_volume, read_nrrd_labels, read_nrrd_grid):
        with pytest.raises(SeriesError, match="expected the voxels in one file, found several"):
            read(path)
