"""Data in the raw layout of nnU-Net -> both sets, against nibabel and NumPy alone."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import bodycomp
from bodycomp.data.manifest import read_manifest
from bodycomp.errors import BodycompError, CasesError, InputNotFoundError, UsageError
from support.public_sets import (
    MATRIX,
    SPINE,
    SPINE_SLICES,
    body,
    offsets,
    reasons,
    save,
    seen,
    set_offsets,
    spine,
    table,
)

pytestmark = pytest.mark.xdist_group("preparation")

VERSION_2 = {"background": 0, "Muscle": 1, "SAT": 2, "visceral fat": 3, "ignore": 4}
VERSION_1 = {"0": "background", "1": "muscle", "2": "subcutaneous_fat"}


def dataset(root: Path, labels: Mapping[str, object], **more: object) -> None:
    usual = {"channel_names": {"0": "CT"}, "file_ending": ".nii.gz", "name": "Ward 7"}
    (root / "dataset.json").write_text(json.dumps(usual | {"labels": labels} | more))


def case(root: Path, name: str, seed: int, *, part: str = "Tr", most: int = 4) -> None:
    """Write image and labels: regions as tissues, the lowest slice not annotated."""
    made = body(seed)
    labels = np.minimum(made.regions, 3)
    labels[labels > most] = 0
    if most == 4:
        labels[..., 0] = 4
    save(root / f"images{part}" / f"{name}_0000.nii.gz", made.hu)
    save(root / f"labels{part}" / f"{name}.nii.gz", labels, flips=(2,))


@pytest.fixture(scope="module")
def nnunet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("nnUNet_raw") / "Dataset501_Ward 7"
    for number, name in enumerate(("Miller_1", "Miller_2", "Smith", "Jones")):
        case(root, name, number)
    case(root, "Brown", 4, part="Ts")
    save(root / "imagesTs" / "Young_0000.nii.gz", body(5).hu)  # a test without labels, as usual
    save(root / "imagesTr" / "Smith_0001.nii.gz", body(6).hu)  # another channel
    dataset(root, VERSION_2, licence="CC BY 4.0", reference="https://example.org/ward7")
    return root


def test_masks_and_drawn_splits_are_by_patient(nnunet: Path, tmp_path: Path) -> None:
    patients = table(
        tmp_path / "patients.csv",
        [
            {"case": name, "patient": name.split("_", maxsplit=1)[0]}
            for name in ("Miller_1", "Miller_2", "Smith", "Jones", "Brown")
        ],
    )
    out = tmp_path / "set"
    summary = bodycomp.prepare_nnunet(
        nnunet, out, labels={"SAT": "subcutaneous_fat", 3: "visceral_fat"}, patients=patients,
        split=(0.6, 0.4, 0), jobs=1,
    )  # fmt: skip
    assert not summary.refused
    assert reasons(out) == {"case 6": "it has no labels"}
    manifest = read_manifest(out)
    assert manifest is not None
    patient = dict(zip(manifest.texts("source_case"), manifest.texts("patient"), strict=True))
    assert patient["case 2"] == patient["case 3"]  # Miller, after Jones
    splits = dict(zip(manifest.texts("source_case"), manifest.texts("split"), strict=True))
    assert splits["case 2"] == splits["case 3"]
    assert splits["case 5"] == "test"
    masks = np.load(out / "test_masks.npy")[..., 0]
    labels = seen(nnunet / "labelsTs" / "Brown.nii.gz")
    assert manifest.of("test").texts("slice_index") == tuple(map(str, range(1, len(labels))))
    for mask, wanted in zip(masks, labels[1:], strict=True):
        np.testing.assert_array_equal(mask, wanted.repeat(4, axis=0).repeat(4, axis=1))
    assert json.loads((out / "labels.json").read_text()) == {"not_annotated": 255}
    written = "".join(
        path.read_text() for path in out.iterdir() if path.suffix in (".csv", ".json", ".md")
    )
    assert not any(name in written for name in ("Miller", "Smith", "Jones", "Brown", "Young"))
    assert "| CC BY 4.0 | Ward 7 | 5 |" in (out / "data-card.md").read_text()
    assert out.with_name("set-key.csv").exists()


def test_folds_of_nnunet_are_kept(nnunet: Path, tmp_path: Path) -> None:
    folds = [{"train": [], "val": ["Miller_1", "Miller_2"]}, {"train": [], "val": ["Smith"]}]
    path, out = tmp_path / "splits_final.json", tmp_path / "set"
    path.write_text(json.dumps(folds))
    labels = ["SAT=subcutaneous_fat", "visceral fat=visceral_fat"]
    bodycomp.prepare_nnunet(nnunet, out, labels=labels, splits_file=path, val_fold=1, jobs=1)
    manifest = read_manifest(out)
    assert manifest is not None
    found = set(zip(*(manifest.texts(n) for n in ("split", "source_split")), strict=True))
    assert found == {("train", "fold-0"), ("val", "fold-1"), ("test", "test")}
    assert reasons(out)["case 1"] == "the file of splits does not name it"


def test_version_1_with_fat_and_no_visceral_fat(tmp_path: Path) -> None:
    root, out = tmp_path / "Task005", tmp_path / "set"
    for number in range(2):
        made = body(number)
        save(root / "imagesTr" / f"c{number}_0000.nii.gz", made.hu)
        labels = np.where(made.regions <= 2, made.regions, 0)
        save(root / "labelsTr" / f"c{number}.nii.gz", labels.astype(np.uint8))
    dataset(root, VERSION_1, channel_names=None, modality={"0": "CT"})
    bodycomp.prepare_nnunet(
        root, out, labels={1: "subcutaneous_fat", 2: "muscle"}, split=(0.5, 0.5, 0), jobs=1
    )
    declared = json.loads((out / "labels.json").read_text())
    assert declared["labeled"]["train"] == ["muscle", "subcutaneous_fat"]
    areas = [(np.load(out / "val_masks.npy") == label).sum() for label in (1, 2)]
    regions = body(0).regions, body(1).regions
    assert areas in [[16 * (r == label).sum() for label in (2, 1)] for r in regions]


def test_vertebrae_make_a_slice_selection_set(tmp_path: Path) -> None:
    root, out = tmp_path / "Dataset7", tmp_path / "set"
    numbers = {name: 9 - number for number, name in enumerate(SPINE)}
    for number in range(2):
        save(root / "imagesTr" / f"c{number}_0000.nii.gz", body(number, MATRIX, SPINE_SLICES).hu)
        labels = sum(numbers[name] * mask for name, mask in spine().items())
        save(root / "labelsTr" / f"c{number}.nii.gz", labels.astype(np.uint8))
    named = {"background": 0} | {f"vertebrae_{name}": n for name, n in numbers.items()}
    dataset(root, named)
    bodycomp.prepare_nnunet(root, out, split=(0.5, 0.5, 0), jobs=1)
    cells = [float(cell) for cell in set_offsets(out, "val")["ZOffset_L3"]]
    np.testing.assert_allclose(cells, offsets()["L3"], atol=0.01)
    dataset(root, named | {"muscle": 30})
    with pytest.raises(UsageError, match="expected --make"):
        bodycomp.prepare_nnunet(root, tmp_path / "other")
    bodycomp.prepare_nnunet(
        root, tmp_path / "other", make="slice-selection", split=(0.5, 0.5, 0), jobs=1
    )
    assert (tmp_path / "other" / "meta" / "val.csv").exists()


@pytest.mark.parametrize(
    ("content", "options", "error", "said"),
    [
        ({"labels": VERSION_2}, {}, UsageError, "found none of SAT"),
        ({"labels": VERSION_2}, {"labels": ["fat=ignore"]}, UsageError, "SAT, .* found fat"),
        ({"labels": {"bone": 1}}, {"labels": ["1=ignore"]}, UsageError, "that means a tissue"),
        ({"labels": {"muscle": [1, 2]}}, {}, CasesError, "a region of several"),
        ({"labels": {"muscle": 0}}, {}, CasesError, "expected 0 to be the background"),
        ({"labels": {"muscle": "one"}}, {}, CasesError, "the number of muscle, found 'one'"),
        ({"labels": []}, {}, CasesError, "expected labels"),
        ({"labels": VERSION_2, "channel_names": {"0": "T2"}}, {}, CasesError, "found T2"),
        ({"labels": {"muscle": 1}}, {"make": "slice-selection"}, UsageError, "vertebrae among"),
        ({"labels": {"muscle": 1}}, {"splits_file": "no.json"}, InputNotFoundError, "of splits"),
        ({"labels": {"muscle": 1}}, {}, InputNotFoundError, "such as imagesTr/case_0000"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path, content, options, error, said) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "dataset.json").write_text(json.dumps({"channel_names": {"0": "CT"}} | content))
    with pytest.raises(error, match=said):
        bodycomp.prepare_nnunet(root, tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()


def test_tables_must_fit_the_cases(nnunet: Path, tmp_path: Path) -> None:
    labels = ["SAT=subcutaneous_fat", "3=visceral_fat"]
    patients = table(tmp_path / "p.csv", [{"case": "Nobody", "patient": "N"}])
    with pytest.raises(CasesError, match="expected cases of the data set, found 1 others"):
        bodycomp.prepare_nnunet(nnunet, tmp_path / "set", labels=labels, patients=patients)
    with pytest.raises(BodycompError, match=r"expected one dataset\.json"):
        bodycomp.prepare_nnunet(nnunet / "imagesTr", tmp_path / "set")
