"""SAROS as users have it on their disks -> a segmentation set, against nibabel and NumPy alone."""

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import bodycomp
from bodycomp.cli import main
from bodycomp.data.manifest import read_manifest
from bodycomp.data.segmentation_set import open_segmentation_split
from bodycomp.errors import CasesError, InputNotFoundError
from support.public_sets import (
    ANNOTATED,
    LEGS,
    SLICES,
    body,
    saros_case,
    saros_row,
    save,
    seen,
    sparse,
    table,
    zipped,
)

pytestmark = pytest.mark.xdist_group("preparation")

FOLDS = {0: "fold-1", 1: "fold-2", 2: "fold-5", 3: "test"}
"""Cases that become samples in the plainest way; the others are odd."""
STORED = {1: {"flips": (0, 2)}, 2: {"axes": (2, 0, 1), "flips": (1,)}, 12: {"degrees": 7.0}}


@pytest.fixture(scope="module")
def saros(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with every oddity that the authors' README, its issues and other users' code name."""
    root = tmp_path_factory.mktemp("Saros v2 (copy)")
    data = root / "data"
    rows = [saros_row(number, split) for number, split in FOLDS.items()]
    for number in FOLDS:
        saros_case(data / f"case_{number:03d}", number, **STORED.get(number, {}))
    # What lies outside the scan is -3000, as in cases 609, 623 and 816.
    outside = data / "case_003" / "image.nii.gz"
    stored = nib.load(outside)
    hu = np.asarray(stored.dataobj).copy()
    hu[:8], hu[-8:] = -3000, -3000
    nib.Nifti1Image(hu, stored.affine).to_filename(outside)

    rows.append(saros_row(4, "fold-3", tcia_collection="HNSCC"))  # masks without the image
    saros_case(data / "case_004", 4)
    (data / "case_004" / "image.nii.gz").unlink()
    rows.append(saros_row(5, "fold-4", tcia_collection="HNSCC"))  # nothing of it
    rows.append(saros_row(6, "fold-1"))  # the folder is a zip file
    saros_case(data / "case_006", 6)
    zipped(data / "case_006", data / "case_006.zip")
    rows.append(saros_row(7, "fold-2"))  # nothing is annotated
    saros_case(data / "case_007", 7)
    for name in ("body-regions", "body-parts"):
        save(data / "case_007" / f"{name}.nii.gz", np.full((128, 128, SLICES), 255, np.uint8))
    rows.append(saros_row(8, "fold-2", tcia_collection="NSCLC-Radiomics"))
    saros_case(data / "case_008", 8)
    rows.append(saros_row(9, "fold-3", tcia_case_id="LIDC-0003"))  # the patient of the test
    saros_case(data / "case_009", 9)
    rows.append(saros_row(10, "fold-1", tcia_collection="CPTAC-PDA"))  # unknown license
    saros_case(data / "Case 10", 10)
    for name in ("image", "body-regions", "body-parts"):
        capital = name.replace("-", "_").title()
        (data / "Case 10" / f"{name}.nii.gz").rename(data / "Case 10" / f"{capital}.nii.gz")
    rows.append(saros_row(11, "fold-4"))  # downloaded without --set-ignore: 0 for not annotated
    saros_case(data / "case_011", 11, unknown=0)
    rows.append(saros_row(12, "fold-1"))  # oblique; image and masks in different folders
    saros_case(root / "masks" / "case_012", 12, **STORED[12])
    (data / "case_012").mkdir()
    (root / "masks" / "case_012" / "image.nii.gz").rename(data / "case_012" / "image.nii.gz")
    saros_case(data / "case_099", 99)  # not in the table
    (data / ".DS_Store").write_bytes(b"\0")
    table(root / "Segmentation Info.csv", rows)
    return root


def expected(folder: Path) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Annotated slice -> tissues of a case, and its HU; by what SAROS's own documents say."""
    files = {path.name.lower().replace("_", "-")[:-7]: path for path in folder.iterdir()}
    hu, regions, parts = (seen(files[n]) for n in ("image", "body-regions", "body-parts"))
    tissues = np.zeros(hu.shape, np.uint8)
    tissues[(regions == 2) & (hu >= -29) & (hu <= 150)] = 1
    tissues[(regions == 1) & (hu >= -190) & (hu <= -30)] = 2
    tissues[(regions == 3) & (hu >= -190) & (hu <= -30)] = 3
    tissues[np.isin(parts, (3, 4, 5, 6))] = 0
    known = [i for i in range(len(hu)) if (regions[i] != 255).all() and regions[i].any()]
    return {i: tissues[i] for i in known if (parts[i] == 1).any()}, hu


@pytest.fixture(scope="module")
def made(saros: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "set"
    summary = bodycomp.prepare_saros(saros, out, jobs=1)
    assert not summary.refused
    assert not out.with_name("set.parts").exists()
    assert not out.with_name("set-key.csv").exists()  # codes are published
    return out


def rows_of(out: Path) -> dict[str, dict[str, str]]:
    with (out / "source-cases.csv").open(newline="") as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


def check_masks(out: Path, case: str, folder: Path) -> None:
    """Compare the samples of a case with what its files hold."""
    manifest = read_manifest(out)
    assert manifest is not None
    tissues, _ = expected(folder)
    split = rows_of(out)[case]["split"]
    found = open_segmentation_split(out, split)
    assert found is not None
    rows = manifest.of(split)
    places = [i for i, name in enumerate(rows.texts("source_case")) if name == case]
    assert [int(rows.texts("slice_index")[i]) for i in places] == list(tissues)
    for place, wanted in zip(places, tissues.values(), strict=True):
        np.testing.assert_array_equal(
            found.masks[place, ..., 0], wanted.repeat(4, axis=0).repeat(4, axis=1)
        )
        assert {1, 2, 3} <= set(np.unique(wanted))


@pytest.mark.parametrize(
    ("case", "folder"),
    [
        *((f"case_{number:03d}", f"data/case_{number:03d}") for number in (*FOLDS, 8, 11)),
        ("case_010", "data/Case 10"),
    ],
)
def test_tissues_are_those_of_an_independent_script(
    made: Path, saros: Path, case: str, folder: str
) -> None:
    check_masks(made, case, saros / folder)


def test_slices_of_legs_alone_and_not_annotated_ones_are_no_samples(made: Path) -> None:
    manifest = read_manifest(made)
    assert manifest is not None
    assert set(manifest.texts("slice_index")) == {"5", "10"}
    assert str(LEGS) not in manifest.texts("slice_index")


def test_a_case_in_a_zip_file_and_one_in_two_folders(
    made: Path, saros: Path, tmp_path: Path
) -> None:
    shutil.unpack_archive(saros / "data" / "case_006.zip", tmp_path / "six")
    check_masks(made, "case_006", tmp_path / "six")
    shutil.copytree(saros / "data" / "case_012", tmp_path / "twelve")
    shutil.copytree(saros / "masks" / "case_012", tmp_path / "twelve", dirs_exist_ok=True)
    check_masks(made, "case_012", tmp_path / "twelve")


def test_values_far_below_air_are_air(made: Path) -> None:
    split = open_segmentation_split(made, "test")
    assert split is not None
    assert split.images.min() == -1024


def test_images_are_those_of_the_files(tmp_path: Path) -> None:
    for number in (0, 1):
        scan = body(number, matrix=512, slices=6)
        for name, values in (
            ("image", scan.hu),
            ("body-regions", scan.regions),
            ("body-parts", scan.parts),
        ):
            save(tmp_path / f"case_{number:03d}" / f"{name}.nii.gz", values)
    table(tmp_path / "info.csv", [saros_row(0, "fold-1"), saros_row(1, "fold-5")])
    bodycomp.prepare_saros(tmp_path, tmp_path.with_name("set"), jobs=1, max_per_scan=2)
    images = np.load(tmp_path.with_name("set") / "val_images.npy")
    hu = np.maximum(seen(tmp_path / "case_001" / "image.nii.gz"), -1024)
    np.testing.assert_array_equal(images[..., 0], hu[[2, 4]])


def test_splits_are_those_of_the_source_without_leaks(made: Path) -> None:
    manifest = read_manifest(made)
    assert manifest is not None
    splits = {
        case: (split, fold)
        for case, split, fold in zip(
            *(manifest.texts(n) for n in ("source_case", "split", "source_split")), strict=True
        )
    }
    assert splits["case_002"] == ("val", "fold-5")
    assert splits["case_003"] == ("test", "test")
    assert splits["case_011"] == ("train", "fold-4")
    patients = {
        split: set(manifest.of(split).texts("patient")) for split in ("train", "val", "test")
    }
    assert not patients["train"] & (patients["val"] | patients["test"])
    assert patients["test"] == {"LIDC-0003"}


def test_the_card_says_what_is_left_out_and_why(made: Path) -> None:
    rows = rows_of(made)
    assert {name: row["left_out"] for name, row in rows.items() if row["left_out"]} == {
        "case_004": "no image was found",
        "case_005": "it was not downloaded",
        "case_007": "nothing is annotated in it that this set holds",
        "case_009": "its patient is in test as well",
        "case_099": "the table does not name it",
    }
    assert rows["case_008"]["license"] == "CC BY-NC 3.0"
    assert rows["case_010"]["license"] == "not stated"
    assert rows["case_004"]["license"] == "TCIA restricted license agreement"
    card = (made / "data-card.md").read_text()
    assert "10.25737/SZ96-ZG60" in card
    assert "| train | fold-1 | 4 | 4 | 8 |" in card
    assert "| CC BY-NC 3.0 | NSCLC-Radiomics | 1 |" in card
    assert "| its patient is in test as well | 1 |" in card
    assert bodycomp.validate(made).issues  # no mask has all tissues of a person
    assert not [i for i in bodycomp.validate(made).issues if i.severity == "error"]


def test_commercial_use_needs_a_license_that_is_known(saros: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    bodycomp.prepare_saros(saros, out, licenses="commercial", jobs=1)
    left_out = {name: row["left_out"] for name, row in rows_of(out).items()}
    assert "CC BY-NC 3.0" in left_out["case_008"]
    assert "--license-table" in left_out["case_010"]
    assert not left_out["case_000"]
    stated = table(tmp_path / "l.csv", [{"Collection": "cptac-pda", "License": "CC BY 3.0"}])
    bodycomp.prepare_saros(
        saros, out, licenses="commercial", license_table=stated, jobs=1, overwrite=True
    )
    assert not rows_of(out)["case_010"]["left_out"]
    table(stated, [{"collection": "LIDC", "license": "CC BY 3.0"}])
    with pytest.raises(CasesError, match="expected collections of the data set, found lidc"):
        bodycomp.prepare_saros(saros, out, license_table=stated, overwrite=True)


def test_a_scan_that_is_there_twice_is_left_out_once(saros: Path, tmp_path: Path) -> None:
    root, out = (
        copy(saros, tmp_path / "saros", "case_000", "case_002", "case_003"),
        tmp_path / "set",
    )
    for name in ("case_000", "case_002"):  # of train and val, with the scan of the test
        shutil.copy(root / "case_003" / "image.nii.gz", root / name / "image.nii.gz")
    shutil.copytree(root / "case_003", root / "case_011")  # in train, too
    for mask in ("body-regions", "body-parts"):
        shutil.copy(root / "case_003" / f"{mask}.nii.gz", root / "case_002" / f"{mask}.nii.gz")
    shutil.copytree(saros / "data" / "case_001", root / "case_001")
    summary = bodycomp.prepare_saros(root, out, jobs=1)
    assert not summary.refused
    found = {name: row["left_out"] for name, row in rows_of(out).items() if row["samples"] == "0"}
    assert found["case_000"] == "its scan is that of case_003"
    assert found["case_002"] == "its scan is that of case_003"
    assert found["case_011"] == "its scan is that of case_003"
    assert {rows_of(out)[name]["split"] for name in ("case_001", "case_003")} == {"train", "test"}


def test_masks_on_the_grid_of_the_original_scan_are_refused(saros: Path, tmp_path: Path) -> None:
    root, out = copy(saros, tmp_path / "saros", "case_000", "case_002"), tmp_path / "set"
    original = body(0, slices=2 * SLICES)  # before it was resampled to 5 mm
    save(root / "case_000" / "body-regions.nii.gz", original.regions)
    summary = bodycomp.prepare_saros(root, out, jobs=1)
    (refused,) = summary.refused
    assert "expected it on the grid of the scan" in refused.reason


def copy(saros: Path, folder: Path, *cases: str) -> Path:
    for case in cases:
        shutil.copytree(saros / "data" / case, folder / case)
    shutil.copy(saros / "Segmentation Info.csv", folder)
    return folder


def test_classes_of_another_version_and_damaged_files_are_refused(
    saros: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy(saros, tmp_path / "saros", "case_000", "case_001", "case_002")
    regions = root / "case_000" / "body-regions.nii.gz"
    stored = nib.load(regions)
    labels = np.asarray(stored.dataobj).copy()
    labels[60, 60, 5] = 14
    nib.Nifti1Image(labels, stored.affine).to_filename(regions)
    image = root / "case_001" / "image.nii.gz"
    image.write_bytes(image.read_bytes()[:-2000])
    out = tmp_path / "set"
    assert main(["prepare", "saros", str(root), str(out), "--jobs", "1"]) == 1
    said = capsys.readouterr().out
    assert "expected labels among 2, 1, 3, 255, 4..13, found 14" in said
    assert "INCOMPLETE: 2 cases left out" in said
    assert rows_of(out)["case_001"]["left_out"].startswith("refused: ")


def test_own_rules(saros: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "masks: {r: body-regions, p: 'body-p*'}\n"
        "subcutaneous_fat: r 1 within -190..-30\n"
        "not_annotated: [r 255, r 3, p 255]\n"
        "ignore: [r 2, r 4..13, p 1..6]\n"
    )
    root = copy(saros, tmp_path / "saros", "case_000", "case_002")
    out = tmp_path / "set"
    bodycomp.prepare_saros(root, out, rules=rules, jobs=1)
    declared = json.loads((out / "labels.json").read_text())
    assert declared["not_annotated"] == 255
    assert declared["labeled"]["train"] == ["subcutaneous_fat"]
    masks = np.load(out / "train_masks.npy")
    hu, regions = (seen(root / "case_000" / f"{name}.nii.gz") for name in ("image", "body-regions"))
    wanted = np.where((regions == 1) & (hu >= -190) & (hu <= -30), 2, 0)
    wanted[regions == 3] = 255
    for mask, index in zip(masks[..., 0], ANNOTATED, strict=True):  # legs, too
        np.testing.assert_array_equal(mask[::4, ::4], wanted[index])


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda root: (root / "Segmentation Info.csv").unlink(), InputNotFoundError, "one table"),
        (lambda root: shutil.rmtree(root / "case_000"), InputNotFoundError, "such as case_000"),
        (
            lambda root: (root / "Segmentation Info.csv").write_text("id,fold\ncase_000,1\n"),
            CasesError,
            "columns id and split, found id, fold",
        ),
        (
            lambda root: (root / "Segmentation Info.csv").write_text("id,split\ncase_000,\n"),
            CasesError,
            "its split is empty",
        ),
        (
            lambda root: (root / "case_001.zip").write_bytes(b"PK"),
            bodycomp.BodycompError,
            "one that cannot be opened",
        ),
    ],
)
def test_what_is_no_saros_is_refused(saros, tmp_path, change, error, said) -> None:
    root = copy(saros, tmp_path / "saros", "case_000")
    change(root)
    with pytest.raises(error, match=said):
        bodycomp.prepare_saros(root, tmp_path / "set", jobs=1)
    assert not list(tmp_path.glob("set*"))


def test_archives_that_were_unpacked_and_masks_that_came_twice(saros: Path, tmp_path: Path) -> None:
    root = copy(saros, tmp_path / "saros", "case_000", "case_002")
    for name in ("case_000", "case_002"):  # as the script leaves them, and as the archive has them
        shutil.copytree(root / name, tmp_path / "masks" / name, ignore=_images)
        shutil.copytree(root / name, root / "SAROS-Collection" / name, ignore=_images)
    zipped(tmp_path / "masks", root / "SAROS-Collection.zip", "SAROS-Collection/")
    shutil.copytree(root / "SAROS-Collection", root / "moved")
    shutil.rmtree(root / "SAROS-Collection")
    out = tmp_path / "set"
    bodycomp.prepare_saros(root, out, jobs=1)
    for name in ("case_000", "case_002"):
        check_masks(out, name, saros / "data" / name)


def _images(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith("image")]


def test_the_set_must_not_lie_in_the_data(saros: Path) -> None:
    with pytest.raises(bodycomp.BodycompError, match="apart from what it is made from"):
        bodycomp.prepare_saros(saros, saros / "set")


def test_sparse_labels_mark_four_slices_of_five() -> None:
    labels = sparse(np.ones((2, 2, SLICES), np.uint8))
    assert (labels == 255).all(axis=(0, 1)).sum() == 8
