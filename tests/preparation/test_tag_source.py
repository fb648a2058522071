"""A folder of DICOM slices with TAG files of Slice-O-Matic beside them -> a segmentation set."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

import bodycomp
from bodycomp.data.manifest import read_manifest
from bodycomp.data.segmentation_set import open_segmentation_split
from bodycomp.errors import CasesError, InputNotFoundError
from bodycomp.imaging.resize import resize_labels
from support.annotated_cases import ANNOTATED, make_case, make_volume

pytestmark = pytest.mark.xdist_group("preparation")
SLICES = (ANNOTATED[0], ANNOTATED[2])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slices of each of four patients in one folder, named as hospitals name them."""
    root = tmp_path_factory.mktemp("archive")
    for seed in range(4):
        make_case(root / "made", f"patient-{seed}", seed)
        scan = bodycomp.read_scan(root / "made" / f"patient-{seed}" / "ct")
        _, labels = make_volume(seed)
        for number, index in enumerate(SLICES):
            file = root / "flat" / f"Miller {seed}{'ab'[number]}.dcm"
            file.parent.mkdir(exist_ok=True)
            shutil.copy(scan.files[index], file)
            pixels = np.array([0, 1, 7, 5], np.uint8)[labels[index]]
            tag = b"x:48 y:48 z:1 type:BYTE\r\n* drawn by AB\r\n\x0c" + pixels.tobytes()
            name = f"{file.name}.tag" if number else f"{file.stem}.TAG"
            file.with_name(name).write_bytes(tag)
    shutil.rmtree(root / "made")
    return root / "flat"


def left_out(out: Path) -> dict[str, str]:
    with (out / "source-cases.csv").open(newline="", encoding="utf-8") as stream:
        return {row["case"]: row["left_out"] for row in csv.DictReader(stream) if row["left_out"]}


def test_every_outline_is_a_sample_and_patients_stay_together(archive: Path, tmp_path: Path):
    out = tmp_path / "set"
    summary = bodycomp.prepare_tag(archive, out, split=(0.5, 0.25, 0.25), jobs=1)
    assert not summary.refused
    manifest = read_manifest(out)
    found = {}
    for split in ("train", "val", "test"):
        rows, opened = manifest.of(split), open_segmentation_split(out, split)
        for index, case in enumerate(rows.texts("source_case")):
            found[case] = opened.masks[index, ..., 0]
    assert len(found) == 8
    for number in range(8):
        _, labels = make_volume(number // 2)
        # Names sort 'Miller 0a.TAG', 'Miller 0b.dcm.tag', ...
        expected = resize_labels(labels[SLICES[number % 2]], (512, 512))
        np.testing.assert_array_equal(found[f"case {number + 1}"], expected)
    patients = dict(zip(manifest.texts("source_case"), manifest.texts("patient"), strict=True))
    assert len(set(patients.values())) == 4
    assert all(patients[f"case {2 * n + 1}"] == patients[f"case {2 * n + 2}"] for n in range(4))
    assert not any("Miller" in f.read_text() for f in out.iterdir() if f.suffix in {".csv", ".md"})
    assert not (out / "labels.json").exists()


def test_what_cannot_be_used_is_left_out_with_the_reason(archive: Path, tmp_path: Path):
    folder = shutil.copytree(archive, tmp_path / "archive")
    (folder / "Miller 0a.dcm").unlink()
    secret = folder / "Miller 1a.TAG"
    header, end, pixels = secret.read_bytes().partition(b"\x0c")
    secret.write_bytes(header + end + np.random.default_rng(1).bytes(len(pixels)))
    patients = tmp_path / "patients.csv"
    patients.write_text("case,patient\nMiller 2a,X\nMiller 2b,Y\n")
    out = tmp_path / "set"
    summary = bodycomp.prepare_tag(
        folder, out, labels={5: "ignore"}, patients=patients, split=(0.6, 0.4, 0), jobs=1
    )
    assert left_out(out)["case 1"] == "no DICOM slice of its name lies beside it"
    (refused,) = summary.refused
    assert "found noise" in refused.reason
    manifest = read_manifest(out)
    names = dict(zip(manifest.texts("source_case"), manifest.texts("patient"), strict=True))
    assert names["case 5"] != names["case 6"]
    opened = open_segmentation_split(out, "train")
    assert set(opened.backgrounds) == {228}  # visceral fat was not labeled
    patients.write_text("case,patient\nnobody,X\n")
    with pytest.raises(CasesError, match="expected cases among the TAG files, found 1 others"):
        bodycomp.prepare_tag(folder, tmp_path / "other", patients=patients)
    with pytest.raises(InputNotFoundError, match=r"expected TAG files such as A01\.tag"):
        bodycomp.prepare_tag(out, tmp_path / "other")
