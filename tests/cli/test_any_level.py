"""A level that is no vertebra goes the whole way: marks, training set, training, analysis, page."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from bodycomp.anatomy import LEVEL_CONCEPTS
from bodycomp.cli import main
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from bodycomp.nifti import write_nifti_labels
from bodycomp.phantom import Torso, sample_patient, sample_scan
from bodycomp.study.options import DicomObject
from support.reviewed_runs import make_run, table

UMBILICUS_BELOW_L4_MM = 10.0
TINY = ["--nb_blocks", "2", "--nb_layers_per_block", "1", "--growth_rate", "4"]
SPLITS = ("train", "val", "val", "test")


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four phantom patients from the pelvis to the lungs, their umbilicus and their L3 marked."""
    folder = tmp_path_factory.mktemp("umbilicus")
    levels = ["patient,umbilicus_z_mm,L3_z_mm"]
    cases = ["patient,scan,masks,levels,split"]
    for number, split in enumerate(SPLITS):
        torso = Torso(sample_patient(7, number))
        scan = sample_scan(torso.patient)
        scan = replace(scan, matrix=(128, 128), pixel_spacing_mm=scan.pixel_spacing_mm * 4)
        z_mm = torso.level_z_mm["L3"] + np.arange(-115.0, 225.0, 15.0)
        slices = [torso.render_slice(scan, float(z)) for z in z_mm]
        spacing_mm = (scan.pixel_spacing_mm, scan.pixel_spacing_mm)
        volume = Volume(np.stack([hu for hu, _ in slices]), spacing_mm, z_mm)
        labels = np.stack([mask for _, mask in slices])
        write_ct_series(folder / f"ct{number}", volume, SeriesHeader(seed=f"p{number}"))
        write_nifti_labels(
            folder / f"m{number}.nii.gz", volume, np.where(labels > 3, 0, labels).astype(np.uint8)
        )
        umbilicus_mm = torso.level_z_mm["L4"] - UMBILICUS_BELOW_L4_MM
        levels.append(f"p{number},{umbilicus_mm:.2f},{torso.level_z_mm['L3']:.2f}")
        cases.append(f"p{number},ct{number},m{number}.nii.gz,levels.csv,{split}")
    (folder / "levels.csv").write_text("\n".join(levels) + "\n")
    (folder / "cases.csv").write_text("\n".join(cases) + "\n")
    return folder


@pytest.fixture(scope="module")
def training_set(marked: Path) -> Path:
    command = ["prepare", "slice-selection", marked / "cases.csv", marked / "set"]
    assert main([*map(str, command), "-L", "umbilicus", "--jobs", "1"]) == 0
    return marked / "set"


def test_prepare_writes_offsets_from_the_umbilicus(training_set: Path, marked: Path) -> None:
    (row, *_) = table(marked / "levels.csv")
    with (training_set / "meta" / "train.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    z_mm = np.array([float(each["z_mm"]) for each in table(training_set / "manifest.csv")])
    offsets_mm = [float(each["ZOffset_umbilicus"]) for each in rows]
    assert "ZOffset_L3" not in rows[0]
    np.testing.assert_allclose(
        offsets_mm, z_mm[: len(rows)] - float(row["umbilicus_z_mm"]), atol=0.006
    )
    assert main(["validate", str(training_set)]) == 0


@pytest.mark.slow
def test_an_umbilicus_is_trained_analyzed_evaluated_and_reported(
    training_set: Path, marked: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = marked / "run"
    train = ["train", "slice-selection", training_set, place / "models", "--name", "u"]
    assert main([*map(str, train), "-L", "umbilicus", "--epochs", "1", *TINY]) == 0
    header, *_ = (place / "models/u/metrics.csv").read_text().splitlines()
    assert {"val_mae_mm_umbilicus", "val_found_umbilicus"} <= set(header.split(","))
    card = json.loads((place / "models/u/model/card.json").read_text())
    assert card["levels"] == ["umbilicus"]
    shutil.copytree(models / "segmentation", place / "both/segmentation")
    shutil.copytree(place / "models/u/model", place / "both/slice-selection")

    scan, out = str(marked / "ct3"), place / "out"
    assert main(["analyze", scan, "--models", str(place / "both"), "--out", str(out)]) == 0
    (row,) = table(out / "results.csv")
    assert row["level"] == "umbilicus"
    assert "umbilicus" in (out / "report.html").read_text()
    assert list(out.rglob("preview-umbilicus.png"))

    evaluate = ["evaluate", place / "both", "--cases", marked / "cases.csv"]
    evaluate += ["--out", place / "evaluation"]
    labels = ["--labels", "1=muscle", "2=subcutaneous_fat", "3=visceral_fat"]
    assert main([*map(str, evaluate), *labels]) == 0
    found = json.loads((place / "evaluation/evaluation.json").read_text())
    assert set(found["slice_selection"]["cases"]["levels"]) == {"umbilicus"}
    assert main(["card", str(place / "both")]) == 0
    assert "umbilicus" in capsys.readouterr().out


def test_a_found_umbilicus_is_measured_without_what_holds_at_vertebrae_alone(
    tmp_path: Path,
) -> None:
    """No order is expected of it: here it lies above L3. Cut-offs of L3 do not hold."""
    levels = {"L3": 61.0, "umbilicus": 90.0}
    run = make_run(
        tmp_path, levels=levels, patients=1, previews=True, dicom=frozenset((DicomObject.SR,))
    )
    rows = {row["level"]: row for row in run.rows()}
    assert {name: row["status"] for name, row in rows.items()} == dict.fromkeys(levels, "found")
    assert float(rows["umbilicus"]["level_z_mm"]) == pytest.approx(90.0, abs=1)
    document = json.loads((run.folder() / "results.json").read_text())
    (umbilicus,) = [each for each in document["levels"] if each["level"] == "umbilicus"]
    reasons = {outcome["reason"] for outcome in umbilicus["cut_offs"].values()}
    assert all(reason.endswith("not at umbilicus") for reason in reasons)
    assert umbilicus["quantities"]["body_area_cm2"]["value"] > 0
    assert (run.folder() / "preview-umbilicus.png").is_file()
    sites = finding_sites(run.folder() / "measurements.dcm")
    assert sites == {
        (LEVEL_CONCEPTS["L3"].value, "SCT"),
        ("LEVEL-umbilicus", "99BODYCOMP"),
    }

    moved = next(i for i, row in enumerate(run.rows()) if row["level"] == "umbilicus")
    run.apply(run.review_row(moved, moved_to_slice=12))
    (corrected,) = [r for r in run.rows("reviewed.csv") if r["level"] == "umbilicus"]
    assert corrected["slice_index"] == "12"


def finding_sites(path: Path) -> set[tuple[str, str]]:
    """Return value and scheme of the finding site of every group of measurements."""
    found = set()
    for item in _items(pydicom.dcmread(path)):
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Finding Site":
            code = item.ConceptCodeSequence[0]
            value = code.get("CodeValue") or code.LongCodeValue
            found.add((value, code.CodingSchemeDesignator))
    return found


def _items(dataset: pydicom.Dataset) -> list[pydicom.Dataset]:
    items = list(dataset.get("ContentSequence", []))
    named = [each for each in items if each.get("ConceptNameCodeSequence")]
    return named + [inner for item in items for inner in _items(item)]
