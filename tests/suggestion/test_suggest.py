"""From scans to suggestions, and from outlines on them to a training set."""

import csv
import shutil
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from PIL import Image

import bodycomp
import bodycomp.suggestion.run
from bodycomp.cli import main
from bodycomp.errors import CasesError, InputNotFoundError, OutputError, UsageError
from bodycomp.nifti import read_nifti_volume, write_nifti_volume
from bodycomp.suggestion.candidates import Networks
from bodycomp.suggestion.options import SuggestOptions
from bodycomp.suggestion.run import suggest_slices
from support.doubtful_scans import (
    DENSE,
    EVERYTHING,
    FIRST_Z_MM,
    NAME,
    STEP_MM,
    doubtful_volume,
    write_scans,
)
from support.stand_ins import LevelAt

COLUMNS = (2, 9, 0, 5)
"""Of the patients; the more, the more is in doubt."""
L3_Z_MM = FIRST_Z_MM + 6 * STEP_MM
NETWORKS = Networks(LevelAt(L3_Z_MM), (EVERYTHING, DENSE))


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write_scans(tmp_path_factory.mktemp("scans"), COLUMNS)


@pytest.fixture
def options(scans, tmp_path):
    return SuggestOptions(scans=scans, out=tmp_path / "next", count=2)


def rows_of(folder):
    with (folder / "suggestions.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_slices_in_doubt_are_suggested_one_of_each_patient(options):
    report = suggest_slices(options, networks=NETWORKS)
    rows = rows_of(options.out)
    assert [int(row["slice_index"]) for row in rows] == [6, 6]
    assert len({row["patient"] for row in rows}) == 2
    doubts = [float(row["disagreement"]) for row in rows]
    assert doubts == sorted(doubts, reverse=True)
    assert "muscle (Dice 0." in rows[0]["reason"]
    assert report.looked_at == len(COLUMNS) * 5
    hu = nibabel.load(options.out / "slices/001/scan.nii.gz").get_fdata()
    assert (hu == 10).any(axis=(0, 1)).sum() == 3
    assert (hu == 10).sum() == 24 * (9 + 2)  # of the second patient, and its neighbors


def test_scan_and_start_lie_where_the_patient_does(options):
    suggest_slices(options, networks=NETWORKS)
    scan = nibabel.load(options.out / "slices/001/scan.nii.gz")
    start = nibabel.load(options.out / "slices/001/start.nii.gz")
    np.testing.assert_array_equal(scan.affine, start.affine)
    labels = np.asarray(start.dataobj)
    (plane,) = np.unique(np.nonzero(labels)[2])
    assert (scan.affine @ [0, 0, plane, 1])[2] == pytest.approx(L3_Z_MM)
    np.testing.assert_array_equal(labels[..., plane] > 0, scan.get_fdata()[..., plane] > -300)
    assert scan.shape[2] == 7  # 15 mm up and down


def test_nothing_tells_who_the_patients_are(options):
    suggest_slices(options, networks=NETWORKS)
    for path in options.out.rglob("*"):
        assert NAME not in str(path.relative_to(options.out))
        if path.is_file():
            assert NAME.encode() not in path.read_bytes()
    key = options.out.with_name("next.pseudonym-key")
    assert key.stat().st_mode & 0o077 == 0


def test_a_picture_shows_outline_and_doubt(options):
    report = suggest_slices(options, networks=NETWORKS)
    with Image.open(report.picture) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    red = (pixels[..., 0] - pixels[..., 1] > 80) & (pixels[..., 2] > 60)
    assert red.sum() > 1000


def test_outlines_are_prepared_and_until_they_are_there_they_are_missed(options, tmp_path):
    suggest_slices(options, networks=NETWORKS)
    cases, out = options.out / "cases.yaml", tmp_path / "set"
    with pytest.raises(CasesError, match=r"no slices/001/outline\.nii\.gz"):
        bodycomp.prepare_segmentation(cases, out)
    for folder in (options.out / "slices").iterdir():
        shutil.copy(folder / "start.nii.gz", folder / "outline.nii.gz")
    summary = bodycomp.prepare_segmentation(cases, out, split=(0.5, 0.5, 0))
    assert summary.counts.slices["train"] == summary.counts.slices["val"] == 1
    masks = np.load(out / "train_masks.npy")
    assert masks.max() == 1


def test_further_suggestions_are_added_for_other_patients(options):
    first = suggest_slices(options, networks=NETWORKS)
    outline = options.out / "slices/001/outline.nii.gz"
    outline.write_bytes(b"drawn")
    second = suggest_slices(replace(options, add=True), networks=NETWORKS)
    rows = rows_of(options.out)
    assert [row["suggestion"] for row in rows] == ["001", "002", "003", "004"]
    assert len({row["patient"] for row in rows}) == 4
    assert outline.read_bytes() == b"drawn"
    assert first.picture != second.picture
    assert suggest_slices(replace(options, add=True), networks=NETWORKS).suggestions == ()
    text = (options.out / "cases.yaml").read_text(encoding="utf-8")
    assert text.count("outline.nii.gz}") == 4


def test_a_level_that_is_not_found_is_said(options):
    report = suggest_slices(options, networks=Networks(LevelAt(900.0), (EVERYTHING, DENSE)))
    assert report.suggestions == ()
    assert {each.kind for each in report.refused} == {"level"}
    refused = (options.out / "refused.csv").read_text(encoding="utf-8")
    assert refused.count("L3 is absent") == len(COLUMNS)
    every = replace(options, all_slices=True)  # nothing is there that could be lost
    assert len(suggest_slices(every, networks=Networks(None, (EVERYTHING, DENSE))).suggestions) == 2


def test_what_cannot_be_used_is_refused(options, scans, tmp_path):
    def refused(error, match, **changes):
        with pytest.raises(error, match=match):
            suggest_slices(replace(options, **changes), networks=NETWORKS)

    refused(OutputError, "apart from the scans", out=scans / "next")
    refused(InputNotFoundError, "nothing", scans=tmp_path / "none")
    refused(UsageError, "levels that the models find", levels=("T8",))
    assert not options.out.exists()
    suggest_slices(options, networks=NETWORKS)
    refused(OutputError, "suggestions already")
    with pytest.raises(UsageError, match="--levels or --all-slices"):
        replace(options, levels=("L3",), all_slices=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").touch()
    refused(OutputError, "not empty", out=other)


def test_the_command_lists_slices_and_what_comes_next(options, scans, monkeypatch, capsys):
    monkeypatch.setattr(bodycomp.suggestion.run, "load_networks", lambda _options: NETWORKS)
    assert main(["--quiet", "suggest", str(scans), str(options.out), "-n", "1"]) == 0
    said = capsys.readouterr().out
    assert "001  patient-" in said
    assert "bodycomp prepare segmentation" in said
    assert main(["--quiet", "suggest", str(scans), str(options.out)]) == 1


def test_a_volume_is_written_as_nifti_and_read_again(tmp_path):
    volume = replace(doubtful_volume(3), first_pixel_mm=(-90.0, -80.0, FIRST_Z_MM))
    write_nifti_volume(tmp_path / "scan.nii.gz", volume)
    again = read_nifti_volume(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(again.hu, volume.hu)
    np.testing.assert_allclose(again.first_pixels_mm, volume.first_pixels_mm, atol=1e-4)
