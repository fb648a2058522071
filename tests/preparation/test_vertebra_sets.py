"""TotalSegmentator's data set and VerSe -> slice-selection sets; offsets known in closed form."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import bodycomp
from bodycomp.annotation.vertebrae import TOTALSEGMENTATOR_LABELS
from bodycomp.cli import main
from bodycomp.data.manifest import read_manifest
from bodycomp.data.png import read_gray_png
from bodycomp.errors import CasesError, InputNotFoundError, UsageError
from bodycomp.preparation.sources.totalsegmentator import FIRST_LABELS
from support.public_sets import (
    SPINE,
    SPINE_SLICES,
    offsets,
    reasons,
    save,
    seen,
    set_offsets,
    spine,
    spine_scan,
    table,
    totalsegmentator_case,
    verse_case,
    zipped,
)

pytestmark = pytest.mark.xdist_group("preparation")


def check_offsets(out: Path, split: str, places: slice, names: Sequence[str]) -> None:
    """Compare the rows of one case with where its vertebrae are."""
    found = set_offsets(out, split)
    for name, wanted in offsets(names).items():
        cells = found[f"ZOffset_{name}"][places]
        np.testing.assert_allclose([float(cell) for cell in cells], wanted, atol=0.01)
    others = {f"ZOffset_{name}" for name in names} ^ {n for n in found if n.startswith("ZOffset_")}
    assert not {cell for name in others for cell in found[name][places]} - {""}


def rows(**splits: str) -> list[dict[str, str]]:
    return [{"image_id": name, "age": "70", "split": split} for name, split in splits.items()]


@pytest.fixture(scope="module")
def totalsegmentator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with what its issues 24, 92, 193, 394 and 511 tell of."""
    root = tmp_path_factory.mktemp("TotalSegmentator v2")
    totalsegmentator_case(root / "s0000", 0)
    totalsegmentator_case(root / "s0001", 1, flips=(2,), axes=(1, 0, 2))
    totalsegmentator_case(root / "s0002", 2)
    zipped(root / "s0002", root / "s0002.zip", "s0002/")
    totalsegmentator_case(root / "s0003", 3)  # no vertebra in the scan
    for mask in (root / "s0003" / "segmentations").glob("vertebrae_*.nii.gz"):
        shutil.copy(root / "s0003" / "segmentations" / "liver.nii.gz", mask)
    totalsegmentator_case(root / "s0005", 5)
    (root / "s0005" / "ct.nii.gz").unlink()
    save(root / "s0007" / "mri.nii.gz", spine_scan(7))
    totalsegmentator_case(root / "s0008", 8)
    totalsegmentator_case(root / "s0071", 9)
    totalsegmentator_case(root / "S0010", 10)
    (root / "S0010" / "ct.nii.gz").rename(root / "S0010" / "CT.nii.gz")
    low = root / "S0010" / "CT.nii.gz"  # -9758 to 4349, as in the first file of s0864
    stored = nib.load(low)
    hu = np.asarray(stored.dataobj).copy()
    hu[:6], hu[64, 64] = -9758, 4349
    nib.Nifti1Image(hu, stored.affine).to_filename(low)
    cases = rows(
        s0000="train", s0001="val", s0002="test", s0003="train", s0004="train", s0005="train",
        s0007="train", s0071="train", s0010="train",
    )  # fmt: skip
    table(root / "meta.csv", cases, delimiter=";")
    return root


def test_offsets_are_those_of_the_vertebrae(totalsegmentator: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    summary = bodycomp.prepare_totalsegmentator(totalsegmentator, out, jobs=1)
    assert not summary.refused
    for split, cases in (("train", 2), ("val", 1), ("test", 1)):
        for case in range(cases):
            places = slice(case * SPINE_SLICES, (case + 1) * SPINE_SLICES)
            check_offsets(out, split, places, SPINE)
    assert set(set_offsets(out, "train")["PatientID"]) == {"s0000", "s0010"}
    assert reasons(out) == {
        "s0003": "nothing is annotated in it that this set holds",
        "s0004": "it was not downloaded",
        "s0005": "no ct.nii.gz was found",
        "s0007": "it is an MR image",
        "s0008": "meta.csv states no split of it, expected train, val, test",
        "s0071": "vertebrae run into one another (issue 394); see --keep-doubtful",
    }
    card = (out / "data-card.md").read_text()
    assert "10.5281/zenodo.10047292" in card
    assert "| CC BY 4.0 | TotalSegmentator | 4 |" in card
    windowed = np.clip((seen(totalsegmentator / "s0001" / "ct.nii.gz") + 160) / 400, 0, 1) * 255
    small = read_gray_png(out / "images" / "val" / "000007.png")[::2, ::2].astype(float)
    assert np.abs(small - windowed[7]).mean() < 12  # resized once: nothing is mirrored or moved
    assert not [i for i in bodycomp.validate(out).issues if i.severity == "error"]


def test_doubtful_cases_and_chosen_levels(totalsegmentator: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    bodycomp.prepare_totalsegmentator(
        totalsegmentator, out, jobs=1, keep_doubtful=True, levels=["L3"], licenses="commercial"
    )
    assert "s0071" in set_offsets(out, "train")["PatientID"]
    assert "ZOffset_L3" in set_offsets(out, "train")
    assert "ZOffset_L4" not in set_offsets(out, "train")


def test_numbers_of_the_two_releases(tmp_path: Path) -> None:
    assert {FIRST_LABELS[n] for n in ("L5", "L3", "T12", "C1")} == {18, 20, 23, 41}
    root, out = tmp_path / "TS", tmp_path / "set"
    for number, name in enumerate(("s0000", "s0001")):
        save(root / name / "ct.nii.gz", spine_scan(number))
        labels = sum(FIRST_LABELS[level] * mask for level, mask in spine().items())
        save(root / name / "segmentation.nii.gz", labels.astype(np.uint8))
    table(root / "meta.csv", rows(s0000="train", s0001="val"), delimiter=";")
    with pytest.raises(UsageError, match="--release 1 or 2"):
        bodycomp.prepare_totalsegmentator(root, out, jobs=1)
    bodycomp.prepare_totalsegmentator(root, out, release=1, jobs=1)
    check_offsets(out, "val", slice(None), SPINE)
    assert "zenodo.6802613" in (out / "data-card.md").read_text()
    for name in ("s0000", "s0001"):
        labels = sum(TOTALSEGMENTATOR_LABELS[level] * mask for level, mask in spine().items())
        save(root / name / "segmentation.nii.gz", labels.astype(np.uint8))
    bodycomp.prepare_totalsegmentator(root, out, release=2, jobs=1, overwrite=True)
    check_offsets(out, "val", slice(None), SPINE)


def test_the_archive_as_it_is_downloaded_and_a_broken_scan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "Totalsegmentator_dataset"
    for number, name in enumerate(("s0000", "s0001", "s0864")):
        totalsegmentator_case(root / name, number)
    broken = root / "s0864" / "ct.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-4000])
    table(root / "meta.csv", rows(s0000="train", s0001="val", s0864="train"), delimiter=";")
    archive, out = tmp_path / "Totalsegmentator_dataset_v201.zip", tmp_path / "set"
    shutil.copytree(root, tmp_path / "copy")
    zipped(root, archive)
    assert main(["prepare", "totalsegmentator", str(archive), str(out), "--jobs", "1"]) == 1
    assert "s0864: <scan>: voxels cannot be read" in capsys.readouterr().out
    check_offsets(out, "train", slice(None), SPINE)
    unpacked = out.with_name("set.parts") / "unpacked"
    assert not list(unpacked.rglob("liver.nii.gz"))  # no more than what is needed
    assert bodycomp.prepare_totalsegmentator(archive, out, jobs=1, overwrite=True).reused == 2
    shutil.move(archive, tmp_path / "copy" / archive.name)  # beside what was unpacked of it
    again = tmp_path / "again"
    assert main(["prepare", "totalsegmentator", str(tmp_path / "copy"), str(again)]) == 1
    assert not list((tmp_path / "again.parts" / "unpacked").iterdir())
    check_offsets(again, "train", slice(None), SPINE)


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (None, InputNotFoundError, "expected one meta.csv in .*, found 0"),
        ("image_id;set\ns0000;train\n", CasesError, "image_id and split, found image_id, set"),
        ("image_id;split\ns0000;train\nS0000;val\n", CasesError, "s0000 twice"),
    ],
)
def test_what_is_no_totalsegmentator_is_refused(tmp_path, content, error, said) -> None:
    save(tmp_path / "ts" / "s0000" / "ct.nii.gz", spine_scan(0))
    if content is not None:
        (tmp_path / "ts" / "meta.csv").write_text(content)
    with pytest.raises(error, match=said):
        bodycomp.prepare_totalsegmentator(tmp_path / "ts", tmp_path / "set")


SIX = ("L6", "L5", "L4", "L3", "L2")
THIRTEEN = ("L2", "L1", "T13", "T12", "T11")


def test_verse_with_transitional_vertebrae(tmp_path: Path) -> None:
    root, out = tmp_path / "VerSe", tmp_path / "set"
    train, val, test = "dataset-verse19training", "dataset-verse20validation", "dataset-verse19test"
    verse_case(root, train, "sub-verse004", 0)
    # Sagittal slices, stored as they were reconstructed.
    verse_case(root, val, "sub-gl003_dir-sag", 1, SIX, axes=(1, 2, 0), flips=(1,))
    verse_case(root, test, "sub-verse500_dir-ax", 2, THIRTEEN, degrees=-10.0)
    for part in ("verse253", "verse254"):  # one patient, two scans
        verse_case(root, train, f"sub-verse401_split-{part}", int(part[-1]) + 3)
    verse_case(root, train, "sub-verse500_dir-iso", 12)  # the patient of the test
    verse_case(root, train, "sub-verse007", 9)
    mask = root / train / "derivatives" / "sub-verse007" / "sub-verse007_seg-vert_msk.nii.gz"
    mask.unlink()
    mask.with_name("sub-verse007_seg-subreg_ctd.json").unlink()
    verse_case(root, train, "sub-verse006", 13)  # centroids alone
    mask = root / train / "derivatives" / "sub-verse006" / "sub-verse006_seg-vert_msk.nii.gz"
    mask.unlink()
    verse_case(root, train, "sub-verse008", 10)
    (root / train / "rawdata" / "sub-verse008" / "sub-verse008_ct.nii.gz").unlink()
    verse_case(root, train, "sub-verse009", 11)
    empty = np.zeros((128, 128, SPINE_SLICES), np.uint8)
    save(root / train / "derivatives" / "sub-verse009" / "sub-verse009_seg-vert_msk.nii.gz", empty)
    zipped(root / val, root / f"{val}.zip", f"{val}/")
    summary = bodycomp.prepare_verse(root, out, jobs=1)
    assert not summary.refused
    for case in range(4):
        check_offsets(out, "train", slice(40 * case, 40 * case + 40), SPINE)
    check_offsets(out, "val", slice(None), SIX)
    found = set_offsets(out, "test")
    wanted = offsets(THIRTEEN)["T13"]  # z of oblique slices is that along the body
    steps = np.diff([float(cell) for cell in found["ZOffset_T13"]])
    np.testing.assert_allclose(steps, np.diff(wanted) * np.cos(np.radians(10)), atol=0.02)
    assert reasons(out) == {
        "sub-verse007": "neither a mask of vertebrae nor centroids were found",
        "sub-verse008": "no scan was found",
        "sub-verse009": "nothing is annotated in it that this set holds",
        "sub-verse500_dir-iso": "its patient is in test as well",
    }
    manifest = read_manifest(out)
    assert manifest is not None
    assert set(manifest.of("val").texts("source_split")) == {"validation"}
    patients = set_offsets(out, "train")["PatientID"]
    assert patients[80:] == ["sub-verse401"] * 80
    table_of_cases = (out / "source-cases.csv").read_text()
    assert re.search(r"sub-gl003_dir-sag,.*,40,L2 L3 L4 L5 L6,", table_of_cases)
    assert "| CC BY-SA 4.0 | VerSe | 6 |" in (out / "data-card.md").read_text()


def test_files_of_the_challenge_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "verse" / "verse004.nii.gz", spine_scan(0))
    with pytest.raises(InputNotFoundError, match="found the files of the challenge"):
        bodycomp.prepare_verse(tmp_path / "verse", tmp_path / "set")
