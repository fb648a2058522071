"""The page on public data: its commands as they stand, on made-up copies of the data sets."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from bodycomp.cli import main
from bodycomp.preparation.sources.saros import saros_rules
from bodycomp.reading.read_scan import read_scan
from bodycomp.tag import tag_of_slice, write_tag
from support.annotated_cases import ANNOTATED, make_case, make_volume, write_table
from support.no_pictures import leave_pictures_out
from support.public_sets import (
    body,
    saros_case,
    saros_row,
    save,
    table,
    totalsegmentator_case,
    verse_case,
)
from support.small_slices import make_slices_small

PAGE = (Path(__file__).parents[1] / "docs" / "public-data.md").read_text(encoding="utf-8")
QUICK = {
    "prepare": "--jobs 1",
    "train segmentation": "-e 1 -C 2 4 -M 2 -b 4 -g 0",
    "train slice-selection": "-e 1 --nb_blocks 1 --nb_layers_per_block 1 --growth_rate 2 -b 8 -g 0",
}
"""What makes a step short enough for a test; everything else is as the page has it."""


def commands(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def run(heading: str) -> None:
    for program, *words in commands(heading):
        assert program == "bodycomp"
        said = " ".join(words)
        quick = next((more for start, more in QUICK.items() if said.startswith(start)), "")
        assert main([*words, *quick.split()]) == 0, said


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_pictures_out(monkeypatch.setattr)
    make_slices_small(monkeypatch.setattr)


@pytest.fixture
def saros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folds = ("fold-1", "fold-2", "fold-3", "fold-4", "fold-5", "test")
    collections = ("LIDC-IDRI", "C4KC-KiTS", "NSCLC-Radiomics-Genomics", *["TCGA-LIHC"] * 3)
    for number in range(len(folds)):
        saros_case(Path("saros/data") / f"case_{number:03d}", number)
    table(
        Path("saros/Segmentation-Info_09-29-2023.csv"),
        [
            saros_row(number, fold, tcia_collection=collection)
            for number, (fold, collection) in enumerate(zip(folds, collections, strict=True))
        ],
    )
    return tmp_path


@pytest.mark.slow
def test_from_saros_to_a_training(saros: Path) -> None:
    run("SAROS")
    run_folder = saros / "models" / "saros"
    assert (run_folder / "test_metrics.json").exists()
    card = json.loads((run_folder / "model" / "card.json").read_text())
    assert card["description"]["words"]["training_data"] == (
        "SAROS 2, doi 10.25737/SZ96-ZG60. License: CC BY 4.0 (masks); images by their collections. "
        "Images: CC BY 3.0 (4 cases), not stated (2 cases)."
    )


def test_licenses(saros: Path) -> None:
    stated = re.search(r"\n    collection,license\n(    .*\n)+", PAGE)
    assert stated is not None
    Path("licenses.csv").write_text("\n".join(x.strip() for x in stated[0].strip().splitlines()))
    run("Licenses")
    card = (saros / "sets" / "saros-commercial" / "data-card.md").read_text()
    assert "C4KC-KiTS" in card
    assert "| its license, CC BY-NC 3.0, is not known to allow commercial use | 1 |" in card


def test_the_rules_of_the_page_are_those_that_ship_and_serve_own_data(saros: Path) -> None:
    shown = re.search(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert shown is not None
    assert yaml.safe_load(shown[1])["left_out"] == "part 3..6"
    Path("rules.yaml").write_text(shown[1])
    assert saros_rules(Path("rules.yaml")) == saros_rules()
    Path("study").mkdir()
    rows = []
    for number in range(3):
        folder = f"../saros/data/case_{number:03d}"
        masks = f"{folder}/body-regions.nii.gz;{folder}/body-parts.nii.gz"
        rows.append({"patient": str(number), "scan": f"{folder}/image.nii.gz", "masks": masks})
    write_table(Path("study/cases.csv"), rows)
    run("Rules for your own data")
    assert (saros / "sets" / "own" / "labels.json").exists()


@pytest.mark.slow
def test_from_totalsegmentator_to_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    splits = {"s0000": "train", "s0001": "val"}
    for number, name in enumerate(splits):
        totalsegmentator_case(Path("totalsegmentator", name), number)
    rows = [{"image_id": name, "split": split} for name, split in splits.items()]
    table(Path("totalsegmentator/meta.csv"), rows, delimiter=";")
    run("TotalSegmentator")
    assert Path("models/l3/model/card.json").exists()


@pytest.mark.slow
def test_from_verse_to_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, split in enumerate(("training", "validation", "test")):
        verse_case(Path("verse"), f"dataset-verse19{split}", f"sub-verse{number:03d}", number)
    run("VerSe")
    assert Path("models/spine/test_metrics.json").exists()


def test_data_of_nnunet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = Path("Dataset501_Ward")
    names = [f"A{number:02d}_{when}" for number in (1, 2, 3) for when in ("before", "after")]
    for number, name in enumerate(names):
        made = body(number)
        save(root / "imagesTr" / f"{name}_0000.nii.gz", made.hu)
        save(root / "labelsTr" / f"{name}.nii.gz", made.regions.clip(max=3))
    labels = {"background": 0, "muscles": 1, "SAT": 2, "VAT": 3}
    content = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(content))
    table(Path("patients.csv"), [{"case": name, "patient": name[:3]} for name in names])
    run("nnU-Net's layout")
    assert Path("sets/ward/val_masks.npy").exists()


def test_outlines_of_slice_o_matic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in range(3):
        make_case(tmp_path, f"A0{seed}", seed)
        scan, index = read_scan(Path(f"A0{seed}/ct")), ANNOTATED[seed]
        file = Path(f"archive/A0{seed}.dcm")
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(scan.files[index].read_bytes())
        tag = tag_of_slice(scan.volume, index, make_volume(seed)[1][index])
        tag.pixels.flags.writeable = True
        tag.pixels[0, :1] = 12  # drawn by hand, and without a meaning here
        write_tag(file.with_suffix(".tag"), tag)
    run("Slice-O-Matic")
    assert "12=ignore" in Path("sets/outlines/data-card.md").read_text()
